pub fn log_sum_exp(x: &[f64]) -> f64 {
    let v_2 = x.len();
    let loop0_n = v_2;
    if loop0_n > 0 {
        let x_2 = &x[0..][..loop0_n];
        for loop0_k in 0..loop0_n {}
    }
    let mut v_3: f64 = f64::NEG_INFINITY;
    let loop1_n = v_2;
    if loop1_n > 0 {
        let x_3 = &x[0..][..loop1_n];
        for loop1_k in 0..loop1_n {
            let largest = (v_3).max(x_3[loop1_k]);
            v_3 = largest;
        }
    }
    let v_4 = v_3;
    let shift = if (v_4).is_finite() { v_4 } else { 0.0 };
    let mut v_5: f64 = 0.0;
    let loop2_n = v_2;
    if loop2_n > 0 {
        let x_4 = &x[0..][..loop2_n];
        for loop2_k in 0..loop2_n {
            v_5 += (x_4[loop2_k] - shift).exp();
        }
    }
    let v = v_5;
    shift + v.ln()
}
pub enum log_sum_exp {}
pub struct LogSumExpGradient {
    pub x: Vec<f64>,
}
pub struct LogSumExpResiduals<'bp> {
    v: f64,
    loop2_tape: Vec<f64>,
    x: &'bp [f64],
}
impl log_sum_exp {
    pub fn forward<'bp>(x: &'bp [f64]) -> (f64, LogSumExpResiduals<'bp>) {
        let v_2 = x.len();
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        let loop1_n = v_2;
        if loop1_n > 0 {
            let x_3 = &x[0..][..loop1_n];
            for loop1_k in 0..loop1_n {
                let largest = (v_3).max(x_3[loop1_k]);
                v_3 = largest;
            }
        }
        let v_4 = v_3;
        let shift = if (v_4).is_finite() { v_4 } else { 0.0 };
        let mut loop2_tape = ::std::vec![0.0; v_2];
        let mut loop2_at = 0usize;
        let mut v_5: f64 = 0.0;
        let loop2_n = v_2;
        let loop2_track = &mut loop2_tape[loop2_at..loop2_at + loop2_n];
        if loop2_n > 0 {
            let x_4 = &x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_6 = (x_4[loop2_k] - shift).exp();
                loop2_track[loop2_k] = v_6;
                v_5 += v_6;
            }
        }
        let v = v_5;
        loop2_at += loop2_n;
        let saved = LogSumExpResiduals {
            v,
            loop2_tape: {
                let mut loop2_tape = loop2_tape;
                loop2_tape.truncate(loop2_at);
                loop2_tape
            },
            x,
        };
        (shift + v.ln(), saved)
    }
    pub fn backward(saved: &LogSumExpResiduals<'_>, upstream: f64) -> LogSumExpGradient {
        let mut g_x: Vec<f64> = ::std::vec![0.0; saved.x.len()];
        let d_x = &mut g_x;
        let loop2_tape = &saved.loop2_tape;
        let mut loop2_at = loop2_tape.len();
        let v = saved.v;
        let v_2 = saved.x.len();
        let v_3 = upstream / v;
        let loop2_n = v_2;
        loop2_at -= loop2_n;
        let loop2_track = &loop2_tape[loop2_at..loop2_at + loop2_n];
        if loop2_n > 0 {
            let d_x_2 = &mut d_x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_4 = loop2_track[loop2_k];
                d_x_2[loop2_k] += v_3 * v_4;
            }
        }
        LogSumExpGradient { x: g_x }
    }
    pub fn accumulate(x: &[f64], upstream: f64, d_x: &mut [f64]) -> f64 {
        ::core::assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        let v_2 = x.len();
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        let loop1_n = v_2;
        if loop1_n > 0 {
            let x_3 = &x[0..][..loop1_n];
            for loop1_k in 0..loop1_n {
                let largest = (v_3).max(x_3[loop1_k]);
                v_3 = largest;
            }
        }
        let v_4 = v_3;
        let shift = if (v_4).is_finite() { v_4 } else { 0.0 };
        let mut loop2_tape = ::std::vec![0.0; v_2];
        let mut loop2_at = 0usize;
        let mut v_5: f64 = 0.0;
        let loop2_n = v_2;
        let loop2_track = &mut loop2_tape[loop2_at..loop2_at + loop2_n];
        if loop2_n > 0 {
            let x_4 = &x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_6 = (x_4[loop2_k] - shift).exp();
                loop2_track[loop2_k] = v_6;
                v_5 += v_6;
            }
        }
        let v = v_5;
        loop2_at += loop2_n;
        let v_7 = upstream / v;
        let loop2_n = v_2;
        loop2_at -= loop2_n;
        let loop2_track = &loop2_tape[loop2_at..loop2_at + loop2_n];
        if loop2_n > 0 {
            let d_x_2 = &mut d_x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_6 = loop2_track[loop2_k];
                d_x_2[loop2_k] += v_7 * v_6;
            }
        }
        shift + v.ln()
    }
    fn unit(x: &[f64], d_x: &mut [f64]) -> f64 {
        let v_2 = x.len();
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        let loop1_n = v_2;
        if loop1_n > 0 {
            let x_3 = &x[0..][..loop1_n];
            for loop1_k in 0..loop1_n {
                let largest = (v_3).max(x_3[loop1_k]);
                v_3 = largest;
            }
        }
        let v_4 = v_3;
        let shift = if (v_4).is_finite() { v_4 } else { 0.0 };
        let mut v_5: f64 = 0.0;
        let loop2_n = v_2;
        if loop2_n > 0 {
            let x_4 = &x[0..][..loop2_n];
            let d_x_2 = &mut d_x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_6 = (x_4[loop2_k] - shift).exp();
                d_x_2[loop2_k] = v_6;
                v_5 += v_6;
            }
        }
        let v = v_5;
        let v_7 = 1.0 / v;
        let loop2_n = v_2;
        if loop2_n > 0 {
            let d_x_3 = &mut d_x[0..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let v_6 = d_x_3[loop2_k];
                d_x_3[loop2_k] = v_7 * v_6;
            }
        }
        shift + v.ln()
    }
    pub fn value_and_gradient_into(x: &[f64], d_x: &mut [f64]) -> f64 {
        ::core::assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        Self::unit(x, d_x)
    }
    pub fn value_and_gradient(x: &[f64]) -> (f64, LogSumExpGradient) {
        let mut g_x: Vec<f64> = ::std::vec![0.0; x.len()];
        let y = Self::unit(x, &mut g_x);
        (y, LogSumExpGradient { x: g_x })
    }
    pub fn gradient(x: &[f64]) -> LogSumExpGradient {
        Self::value_and_gradient(x).1
    }
}
