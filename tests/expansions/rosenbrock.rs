pub enum rosenbrock {}
pub struct RosenbrockGradient {
    pub x: Vec<f64>,
}
pub struct RosenbrockResiduals<'bp> {
    x: &'bp [f64],
}
impl rosenbrock {
    pub fn forward<'bp>(x: &'bp [f64]) -> (f64, RosenbrockResiduals<'bp>) {
        let v = x.len();
        let v_2 = v - 1;
        let mut total: f64 = 0.0;
        if v_2 > 0 {
            let x_2 = &x[1..][..v_2];
            let x_3 = &x[..v_2];
            for i in 0..v_2 {
                let x_4 = x_2[i];
                let x_5 = x_3[i];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                total += 100.0 * a * a + b * b;
            }
        }
        let saved = RosenbrockResiduals { x };
        (total, saved)
    }
    pub fn backward(
        saved: &RosenbrockResiduals<'_>,
        upstream: f64,
    ) -> RosenbrockGradient {
        let mut g_x: Vec<f64> = vec![0.0; saved.x.len()];
        let d_x = &mut g_x;
        let v = saved.x.len();
        let v_2 = v - 1;
        let v_3 = 1 <= v_2;
        if v_3 {
            let x0 = saved.x[0];
            let v_4 = upstream * (1.0 - x0)
                + upstream * (200.0 * (saved.x[1] - x0 * x0)) * x0;
            d_x[0] += -2.0 * v_4;
            let v_5 = v_2 - 1;
            let x_2 = saved.x[v_5];
            d_x[v_2] += upstream * (200.0 * (saved.x[v_2] - x_2 * x_2));
            let loop2_n = usize::saturating_sub(v_2, 1);
            if loop2_n > 0 {
                let x_3 = &saved.x[1..][..loop2_n];
                let x_4 = &saved.x[2..][..loop2_n];
                let x_5 = &saved.x[..loop2_n];
                let d_x_2 = &mut d_x[1..][..loop2_n];
                for loop2_k in 0..loop2_n {
                    let j = 1 + loop2_k;
                    let x_6 = x_3[loop2_k];
                    let v_6 = upstream * (1.0 - x_6)
                        + upstream * (200.0 * (x_4[loop2_k] - x_6 * x_6)) * x_6;
                    let x_7 = x_5[loop2_k];
                    d_x_2[loop2_k]
                        += -2.0 * v_6 + upstream * (200.0 * (x_6 - x_7 * x_7));
                }
            }
        } else {
            let v_7 = 0 < v_2;
            if v_7 {
                let v_8 = v_2 + 1;
                for j_2 in 0..v_8 {
                    let v_9 = j_2 >= 0;
                    let v_10 = j_2 < v_2;
                    let v_11 = v_9 && v_10;
                    if v_11 {
                        let x_8 = saved.x[j_2];
                        let v_12 = j_2 + 1;
                        let v_13 = upstream * (1.0 - x_8)
                            + upstream * (200.0 * (saved.x[v_12] - x_8 * x_8)) * x_8;
                        d_x[j_2] += -2.0 * v_13;
                    }
                    let v_14 = j_2 >= 1;
                    let v_15 = j_2 < v_8;
                    let v_16 = v_14 && v_15;
                    if v_16 {
                        let v_17 = j_2 - 1;
                        let x_9 = saved.x[v_17];
                        d_x[j_2] += upstream * (200.0 * (saved.x[j_2] - x_9 * x_9));
                    }
                }
            }
        }
        RosenbrockGradient { x: g_x }
    }
    pub fn accumulate(x: &[f64], upstream: f64, d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        let v = x.len();
        let v_2 = v - 1;
        let v_3 = 0 < v_2;
        let mut total: f64 = 0.0;
        let mut waiting: f64 = 0.0;
        if v_2 > 0 {
            let x_2 = &x[1..][..v_2];
            let x_3 = &x[..v_2];
            let d_x_2 = &mut d_x[..v_2];
            for i in 0..v_2 {
                let x_4 = x_2[i];
                let x_5 = x_3[i];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                let d_a = upstream * (200.0 * a);
                d_x_2[i] += waiting + -2.0 * (upstream * b + d_a * x_5);
                total += 100.0 * a * a + b * b;
                waiting = d_a;
            }
        }
        if v_3 {
            d_x[v_2] += waiting;
        }
        total
    }
    fn unit(x: &[f64], d_x: &mut [f64]) -> f64 {
        let v = x.len();
        let v_2 = v - 1;
        let v_3 = 0 < v_2;
        let mut total: f64 = 0.0;
        let mut waiting: f64 = 0.0;
        if v_2 > 0 {
            let x_2 = &x[1..][..v_2];
            let x_3 = &x[..v_2];
            let d_x_2 = &mut d_x[..v_2];
            for i in 0..v_2 {
                let x_4 = x_2[i];
                let x_5 = x_3[i];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                let d_a = 200.0 * a;
                d_x_2[i] = waiting + -2.0 * b + -400.0 * (a * x_5);
                total += 100.0 * a * a + b * b;
                waiting = d_a;
            }
        }
        if v_3 {
            d_x[v_2] = waiting;
        } else {
            d_x.fill(0.0);
        }
        total
    }
    pub fn value_and_gradient_into(x: &[f64], d_x: &mut [f64]) -> f64 {
        assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        Self::unit(x, d_x)
    }
    pub fn value_and_gradient(x: &[f64]) -> (f64, RosenbrockGradient) {
        let mut g_x: Vec<f64> = vec![0.0; x.len()];
        let y = Self::unit(x, &mut g_x);
        (y, RosenbrockGradient { x: g_x })
    }
    pub fn gradient(x: &[f64]) -> RosenbrockGradient {
        Self::value_and_gradient(x).1
    }
}
