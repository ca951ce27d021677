//! Run-time dispatch: the same safe code, compiled for the vectors that the machine has.
//!
//! In goes a closure, out comes its result. [`dispatch`] inlines the closure into a function compiled for AVX-512, into one compiled
//! for AVX2, and into one for what every processor of the target has, and calls the widest that the processor can run. Nothing
//! is contracted or reassociated by this: the result has the same bits on each of the three ways.

/// Runs `work` with the widest vector instructions of this processor.
///
/// Loops in `work` are vectorised for AVX-512 or AVX2 where the processor has them, whatever the program was compiled for. That
/// reaches code which is inlined into `work`, no further: write the closure as `#[inline(always)] || …`, and call functions that
/// are `#[inline(always)]` too, as those of [`elementary`](super::elementary) are. The cost of asking is about a nanosecond.
///
/// ```
/// use backprop_runtime::kernel::dispatch;
///
/// let x = [1.0_f32; 1000];
/// let mut y = [2.0; 1000];
/// dispatch(#[inline(always)] || y.iter_mut().zip(&x).for_each(|(y, x)| *y += 3.0 * x));
/// assert_eq!(y, [5.0; 1000]);
/// ```
#[inline(always)]
pub fn dispatch<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        x86_64::dispatch(work)
    }
    // The vectors of other targets, NEON among them, belong to what they are compiled for.
    #[cfg(not(target_arch = "x86_64"))]
    {
        work()
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(super) mod x86_64 {
    use std::sync::atomic::{AtomicU8, Ordering};

    /// Which instructions the processor has, each including the ones before.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    #[repr(u8)]
    pub enum Level {
        Baseline = 1,
        Avx2,
        Avx512,
    }

    impl Level {
        /// The level of this processor; asked for once, then remembered.
        #[inline(always)]
        pub fn get() -> Self {
            static LEVEL: AtomicU8 = AtomicU8::new(0);
            match LEVEL.load(Ordering::Relaxed) {
                1 => Self::Baseline,
                2 => Self::Avx2,
                3 => Self::Avx512,
                _ => {
                    let level = Self::detect();
                    LEVEL.store(level as u8, Ordering::Relaxed);
                    level
                }
            }
        }

        #[cold]
        fn detect() -> Self {
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match (has_avx2, has_avx512) {
                (true, true) => Self::Avx512,
                (true, false) => Self::Avx2,
                (false, _) => Self::Baseline,
            }
        }
    }

    #[inline(always)]
    pub fn dispatch<R>(work: impl FnOnce() -> R) -> R {
        match Level::get() {
            // SAFETY: `Level::get` says so only where the processor has each of these features.
            Level::Avx512 => unsafe { avx512(work) },
            // SAFETY: as above.
            Level::Avx2 => unsafe { avx2(work) },
            Level::Baseline => work(),
        }
    }

    /// `work` compiled for AVX-512.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    pub fn avx512<R>(work: impl FnOnce() -> R) -> R {
        work()
    }

    /// `work` compiled for AVX2.
    #[target_feature(enable = "avx2,fma")]
    pub fn avx2<R>(work: impl FnOnce() -> R) -> R {
        work()
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
#[allow(unsafe_code)]
mod tests {
    use super::super::elementary::*;
    use super::super::real::Real;
    use super::x86_64::{Level, avx2, avx512};

    #[inline(always)]
    fn all_of<T: Real>(x: &[T], y: &mut [[T; 8]]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = [
                exp(x),
                exp_m1(x),
                tanh(x),
                sigmoid(x),
                ln(x),
                ln_1p(x),
                softplus(x),
                x.sqrt(),
            ];
        }
    }

    /// The same bits with every set of instructions.
    fn check<T: Real>(x: &[T]) {
        let mut expected = vec![[T::zero(); 8]; x.len()];
        all_of(x, &mut expected);
        let same = |found: &[[T; 8]]| {
            let same = |(a, b): (&T, &T)| {
                a.integer_decode() == b.integer_decode() || a.is_nan() && b.is_nan()
            };
            assert!(
                found
                    .as_flattened()
                    .iter()
                    .zip(expected.as_flattened())
                    .all(same)
            );
        };
        let mut found = expected.clone();
        if Level::get() >= Level::Avx2 {
            found.fill([T::zero(); 8]);
            // SAFETY: the processor has it.
            unsafe {
                avx2(
                    #[inline(always)]
                    || all_of(x, &mut found),
                )
            };
            same(&found);
        }
        if Level::get() >= Level::Avx512 {
            found.fill([T::zero(); 8]);
            // SAFETY: the processor has it.
            unsafe {
                avx512(
                    #[inline(always)]
                    || all_of(x, &mut found),
                )
            };
            same(&found);
        }
    }

    #[test]
    fn every_level_has_the_same_bits() {
        check::<f64>(
            &(0..3000)
                .map(|i| 0.5 * f64::from(i - 1500) + 1e-3)
                .collect::<Vec<_>>(),
        );
        check::<f32>(
            &(0..3000)
                .map(|i| 0.1 * (i - 1500) as f32 + 1e-3)
                .collect::<Vec<_>>(),
        );
    }
}
