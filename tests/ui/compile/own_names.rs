// What looks like the standard library and is the file's own.
#![allow(dead_code)]
mod a {
    use backprop::backprop;
    macro_rules! vec { ($($e:expr),*) => { [$(2.0 * $e),*] } }
    macro_rules! matches {
        ($a:expr, $b:pat) => {
            false
        };
    }
    #[backprop]
    pub fn own_vec(x: f64) -> f64 {
        let v = vec![x, x * x];
        v[0] + v[1]
    }
    #[backprop]
    pub fn own_matches(x: f64, n: i32) -> f64 {
        if matches!(n, 3) { x * x } else { x }
    }
}
mod b {
    use backprop::backprop;
    pub trait Float: Copy + std::ops::Mul<Output = Self> {
        fn exp(self) -> Self;
    }
    impl Float for f64 {
        fn exp(self) -> f64 {
            self * self * self
        }
    }
    #[backprop]
    pub fn own_float<T: Float>(x: T) -> T {
        x.exp() * x
    }
}
mod c {
    use backprop::backprop;
    mod mem {
        pub fn swap(a: &mut f64, _b: &mut f64) {
            *a *= 2.0;
        }
        pub fn replace(a: &mut f64, b: f64) -> f64 {
            *a += b;
            b
        }
    }
    #[backprop]
    pub fn own_swap(x: f64, y: f64) -> f64 {
        let (mut a, mut b) = (x, y);
        mem::swap(&mut a, &mut b);
        a * a * b
    }
    #[backprop]
    pub fn own_replace(x: f64, y: f64) -> f64 {
        let mut a = x;
        let o = mem::replace(&mut a, y);
        a * a * o
    }
}
mod d {
    use backprop::backprop;
    mod array {
        pub fn from_fn<const N: usize>(f: impl Fn(usize) -> f64) -> [f64; N] {
            let mut out = [0.0; N];
            for i in 0..N {
                out[i] = 2.0 * f(i)
            }
            out
        }
    }
    #[backprop]
    pub fn own_from_fn(x: f64) -> f64 {
        let a: [f64; 3] = array::from_fn(|i| x * i as f64);
        a[1] + a[2]
    }
}
mod e {
    use backprop::backprop;
    fn swap(a: &mut f64, _b: &mut f64) {
        *a *= 2.0;
    }
    #[backprop]
    pub fn own_swap2(x: f64, y: f64) -> f64 {
        let (mut a, mut b) = (x, y);
        swap(&mut a, &mut b);
        a * a * b
    }
}
mod f {
    use backprop::backprop;
    mod cmp {
        pub fn max(a: f64, b: f64) -> f64 {
            a + b
        }
    }
    use cmp::max;
    #[backprop]
    pub fn own_max(x: f64, y: f64) -> f64 {
        max(x, y) * x
    }
    #[backprop]
    pub fn own_max2(x: f64, v: &[f64]) -> f64 {
        v.iter().copied().fold(x, max)
    }
}
mod g {
    use backprop::backprop;
    mod f64 {
        pub fn sin(x: ::core::primitive::f64) -> ::core::primitive::f64 {
            x * x
        }
    }
    #[backprop]
    pub fn own_f64(x: ::core::primitive::f64) -> ::core::primitive::f64 {
        f64::sin(x) * x
    }
}
fn main() {}
