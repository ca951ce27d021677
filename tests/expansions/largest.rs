pub enum largest {}
pub struct LargestGradient {
    pub x: Vec<f64>,
}
pub struct LargestResiduals<'bp> {
    v: bool,
    last: usize,
    x: &'bp [f64],
}
impl largest {
    pub fn forward<'bp>(x: &'bp [f64]) -> (f64, LargestResiduals<'bp>) {
        let most = x[0];
        let v_2 = x.len();
        let mut most_2: f64 = most;
        let mut v_3: bool = false;
        let mut last_2: usize = 1;
        let loop0_n = usize::saturating_sub(v_2, 1);
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = 1 + loop0_k;
                let most_3 = x_2[loop0_k];
                let (most_4, v_4, v_5) = if most_3 > most_2 {
                    (most_3, true, i)
                } else {
                    (most_2, v_3, last_2)
                };
                most_2 = most_4;
                v_3 = v_4;
                last_2 = v_5;
            }
        }
        let saved = LargestResiduals {
            v: v_3,
            last: last_2,
            x,
        };
        (most_2, saved)
    }
    pub fn backward(saved: &LargestResiduals<'_>, upstream: f64) -> LargestGradient {
        let mut g_x: Vec<f64> = vec![0.0; saved.x.len()];
        let d_x = &mut g_x;
        let v = saved.v;
        let last = saved.last;
        let d_most = if v {
            d_x[last] += upstream;
            0.0
        } else {
            upstream
        };
        d_x[0] += d_most;
        LargestGradient { x: g_x }
    }
    pub fn accumulate(x: &[f64], upstream: f64, d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        let most = x[0];
        let v_2 = x.len();
        let mut most_2: f64 = most;
        let mut v_3: bool = false;
        let mut last_2: usize = 1;
        let loop0_n = usize::saturating_sub(v_2, 1);
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = 1 + loop0_k;
                let most_3 = x_2[loop0_k];
                let (most_4, v_4, v_5) = if most_3 > most_2 {
                    (most_3, true, i)
                } else {
                    (most_2, v_3, last_2)
                };
                most_2 = most_4;
                v_3 = v_4;
                last_2 = v_5;
            }
        }
        let d_most = if v_3 {
            d_x[last_2] += upstream;
            0.0
        } else {
            upstream
        };
        d_x[0] += d_most;
        most_2
    }
    fn unit(x: &[f64], d_x: &mut [f64]) -> f64 {
        let most = x[0];
        let v_2 = x.len();
        let mut most_2: f64 = most;
        let mut v_3: bool = false;
        let mut last_2: usize = 1;
        let loop0_n = usize::saturating_sub(v_2, 1);
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = 1 + loop0_k;
                let most_3 = x_2[loop0_k];
                let (most_4, v_4, v_5) = if most_3 > most_2 {
                    (most_3, true, i)
                } else {
                    (most_2, v_3, last_2)
                };
                most_2 = most_4;
                v_3 = v_4;
                last_2 = v_5;
            }
        }
        let d_most = if v_3 {
            d_x[last_2] += 1.0;
            0.0
        } else {
            1.0
        };
        d_x[0] += d_most;
        most_2
    }
    pub fn value_and_gradient_into(x: &[f64], d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        d_x.fill(0.0);
        Self::unit(x, d_x)
    }
    pub fn value_and_gradient(x: &[f64]) -> (f64, LargestGradient) {
        let mut g_x: Vec<f64> = vec![0.0; x.len()];
        let y = Self::unit(x, &mut g_x);
        (y, LargestGradient { x: g_x })
    }
    pub fn gradient(x: &[f64]) -> LargestGradient {
        Self::value_and_gradient(x).1
    }
}
