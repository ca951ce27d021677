pub fn log_sum_exp(x: &[f64]) -> f64 {
    let v_2 = x.len();
    if v_2 > 0 {
        let x_2 = &x[..v_2];
        for k in 0..v_2 {}
    }
    let mut v_3: f64 = f64::NEG_INFINITY;
    if v_2 > 0 {
        let x_3 = &x[..v_2];
        for v_4 in 0..v_2 {
            let largest = (v_3).max(x_3[v_4]);
            v_3 = largest;
        }
    }
    let shift = if (v_3).is_finite() { v_3 } else { 0.0 };
    let mut v_5: f64 = 0.0;
    if v_2 > 0 {
        let x_4 = &x[..v_2];
        for v_6 in 0..v_2 {
            v_5 += (x_4[v_6] - shift).exp();
        }
    }
    shift + v_5.ln()
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
        if v_2 > 0 {
            let x_2 = &x[..v_2];
            for k in 0..v_2 {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        if v_2 > 0 {
            let x_3 = &x[..v_2];
            for v_4 in 0..v_2 {
                let largest = (v_3).max(x_3[v_4]);
                v_3 = largest;
            }
        }
        let shift = if (v_3).is_finite() { v_3 } else { 0.0 };
        let mut loop2_tape = vec![0.0; v_2];
        let mut loop2_at = 0usize;
        let mut v_5: f64 = 0.0;
        let loop2_track = &mut loop2_tape[loop2_at..loop2_at + v_2];
        if v_2 > 0 {
            let x_4 = &x[..v_2];
            for v_6 in 0..v_2 {
                let v_7 = (x_4[v_6] - shift).exp();
                loop2_track[v_6] = v_7;
                v_5 += v_7;
            }
        }
        loop2_at += v_2;
        let saved = LogSumExpResiduals {
            v: v_5,
            loop2_tape: {
                let mut loop2_tape = loop2_tape;
                loop2_tape.truncate(loop2_at);
                loop2_tape
            },
            x,
        };
        (shift + v_5.ln(), saved)
    }
    pub fn backward(saved: &LogSumExpResiduals<'_>, upstream: f64) -> LogSumExpGradient {
        let mut g_x: Vec<f64> = vec![0.0; saved.x.len()];
        let d_x = &mut g_x;
        let loop2_tape = &saved.loop2_tape;
        let mut loop2_at = loop2_tape.len();
        let v = saved.v;
        let v_2 = saved.x.len();
        let v_3 = upstream / v;
        loop2_at -= v_2;
        let loop2_track = &loop2_tape[loop2_at..loop2_at + v_2];
        if v_2 > 0 {
            let d_x_2 = &mut d_x[..v_2];
            for v_4 in 0..v_2 {
                let v_5 = loop2_track[v_4];
                d_x_2[v_4] += v_3 * v_5;
            }
        }
        LogSumExpGradient { x: g_x }
    }
    pub fn accumulate(x: &[f64], upstream: f64, d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        let v_2 = x.len();
        if v_2 > 0 {
            let x_2 = &x[..v_2];
            for k in 0..v_2 {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        if v_2 > 0 {
            let x_3 = &x[..v_2];
            for v_4 in 0..v_2 {
                let largest = (v_3).max(x_3[v_4]);
                v_3 = largest;
            }
        }
        let shift = if (v_3).is_finite() { v_3 } else { 0.0 };
        let mut loop2_tape = vec![0.0; v_2];
        let mut loop2_at = 0usize;
        let mut v_5: f64 = 0.0;
        let loop2_n = v_2;
        let loop2_track = &mut loop2_tape[loop2_at..loop2_at + loop2_n];
        if loop2_n > 0 {
            let x_4 = &x[..loop2_n];
            for v_6 in 0..loop2_n {
                let v_7 = (x_4[v_6] - shift).exp();
                loop2_track[v_6] = v_7;
                v_5 += v_7;
            }
        }
        loop2_at += loop2_n;
        let v_8 = upstream / v_5;
        loop2_at -= v_2;
        let loop2_track = &loop2_tape[loop2_at..loop2_at + v_2];
        if v_2 > 0 {
            let d_x_2 = &mut d_x[..v_2];
            for v_6 in 0..v_2 {
                let v_7 = loop2_track[v_6];
                d_x_2[v_6] += v_8 * v_7;
            }
        }
        shift + v_5.ln()
    }
    fn unit(x: &[f64], d_x: &mut [f64]) -> f64 {
        let v_2 = x.len();
        if v_2 > 0 {
            let x_2 = &x[..v_2];
            for k in 0..v_2 {}
        }
        let mut v_3: f64 = f64::NEG_INFINITY;
        if v_2 > 0 {
            let x_3 = &x[..v_2];
            for v_4 in 0..v_2 {
                let largest = (v_3).max(x_3[v_4]);
                v_3 = largest;
            }
        }
        let shift = if (v_3).is_finite() { v_3 } else { 0.0 };
        let mut v_5: f64 = 0.0;
        let loop2_n = v_2;
        if loop2_n > 0 {
            let x_4 = &x[..loop2_n];
            let d_x_2 = &mut d_x[..loop2_n];
            for v_6 in 0..loop2_n {
                let v_7 = (x_4[v_6] - shift).exp();
                d_x_2[v_6] = v_7;
                v_5 += v_7;
            }
        }
        let v_8 = 1.0 / v_5;
        if v_2 > 0 {
            let d_x_3 = &mut d_x[..v_2];
            for v_6 in 0..v_2 {
                let v_7 = d_x_3[v_6];
                d_x_3[v_6] = v_8 * v_7;
            }
        }
        shift + v_5.ln()
    }
    pub fn value_and_gradient_into(x: &[f64], d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        Self::unit(x, d_x)
    }
    pub fn value_and_gradient(x: &[f64]) -> (f64, LogSumExpGradient) {
        let mut g_x: Vec<f64> = vec![0.0; x.len()];
        let y = Self::unit(x, &mut g_x);
        (y, LogSumExpGradient { x: g_x })
    }
    pub fn gradient(x: &[f64]) -> LogSumExpGradient {
        Self::value_and_gradient(x).1
    }
}
