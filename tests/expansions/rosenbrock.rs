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
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            let x_3 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = loop0_k;
                let v_3 = i + 1;
                let x_4 = x_2[loop0_k];
                let x_5 = x_3[loop0_k];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                total += 100.0 * a * a + b * b;
            }
        }
        let total_2 = total;
        let saved = RosenbrockResiduals { x };
        (total_2, saved)
    }
    pub fn backward(
        saved: &RosenbrockResiduals<'_>,
        upstream: f64,
    ) -> RosenbrockGradient {
        let mut g_x: Vec<f64> = ::std::vec![0.0; saved.x.len()];
        let d_x = &mut g_x;
        let v = saved.x.len();
        let v_2 = v - 1;
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &saved.x[1..][..loop0_n];
            let x_3 = &saved.x[0..][..loop0_n];
            for loop0_k in ::core::iter::Iterator::rev(0..loop0_n) {
                let i = loop0_k;
                let v_3 = i + 1;
            }
        }
        let loop2_n = usize::saturating_sub(v_2, 1);
        if loop2_n > 0 {
            let x_4 = &saved.x[1..][..loop2_n];
            let x_5 = &saved.x[2..][..loop2_n];
            let x_6 = &saved.x[0..][..loop2_n];
            let d_x_2 = &mut d_x[1..][..loop2_n];
            for loop2_k in 0..loop2_n {
                let j = 1 + loop2_k;
                let x_7 = x_4[loop2_k];
                let v_4 = x_5[loop2_k] - x_7 * x_7;
                let v_5 = (upstream * (100.0 * v_4) + 100.0 * (upstream * v_4)) * x_7;
                let x_8 = x_6[loop2_k];
                let v_6 = x_7 - x_8 * x_8;
                let v_7 = (-2.0) * (upstream * (1.0 - x_7)) - v_5 - v_5
                    + (upstream * (100.0 * v_6) + 100.0 * (upstream * v_6));
                d_x_2[loop2_k] += v_7;
            }
        }
        let v_8 = 0 < v_2;
        if v_8 {
            for j_2 in (0)..(1) {
                let v_9 = j_2 >= 0;
                let v_10 = j_2 < v_2;
                let v_11 = v_9 && v_10;
                if v_11 {
                    let x_9 = saved.x[j_2];
                    let v_12 = j_2 + 1;
                    let v_13 = saved.x[v_12] - x_9 * x_9;
                    let v_14 = (upstream * (100.0 * v_13) + 100.0 * (upstream * v_13))
                        * x_9;
                    d_x[j_2] += (-2.0) * (upstream * (1.0 - x_9)) - v_14 - v_14;
                }
                let v_15 = v_2 + 1;
                let v_16 = j_2 >= 1;
                let v_17 = j_2 < v_15;
                let v_18 = v_16 && v_17;
                if v_18 {
                    let v_19 = j_2 - 1;
                    let x_10 = saved.x[v_19];
                    let v_20 = saved.x[j_2] - x_10 * x_10;
                    d_x[j_2] += upstream * (100.0 * v_20) + 100.0 * (upstream * v_20);
                }
            }
            let v_21 = v_2 + 1;
            let v_22 = ::core::cmp::max(v_2, 1);
            for j_3 in (v_22)..(v_21) {
                let v_23 = j_3 >= 0;
                let v_24 = j_3 < v_2;
                let v_25 = v_23 && v_24;
                if v_25 {
                    let x_11 = saved.x[j_3];
                    let v_26 = j_3 + 1;
                    let v_27 = saved.x[v_26] - x_11 * x_11;
                    let v_28 = (upstream * (100.0 * v_27) + 100.0 * (upstream * v_27))
                        * x_11;
                    d_x[j_3] += (-2.0) * (upstream * (1.0 - x_11)) - v_28 - v_28;
                }
                let v_29 = j_3 >= 1;
                let v_30 = j_3 < v_21;
                let v_31 = v_29 && v_30;
                if v_31 {
                    let v_32 = j_3 - 1;
                    let x_12 = saved.x[v_32];
                    let v_33 = saved.x[j_3] - x_12 * x_12;
                    d_x[j_3] += upstream * (100.0 * v_33) + 100.0 * (upstream * v_33);
                }
            }
        }
        RosenbrockGradient { x: g_x }
    }
    pub fn accumulate(x: &[f64], upstream: f64, d_x: &mut [f64]) -> f64 {
        ::core::assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        let v = x.len();
        let v_2 = v - 1;
        let mut total: f64 = 0.0;
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            let x_3 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = loop0_k;
                let v_3 = i + 1;
                let x_4 = x_2[loop0_k];
                let x_5 = x_3[loop0_k];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                total += 100.0 * a * a + b * b;
            }
        }
        let total_2 = total;
        let loop1_n = usize::saturating_sub(v_2, 1);
        if loop1_n > 0 {
            let x_6 = &x[1..][..loop1_n];
            let x_7 = &x[2..][..loop1_n];
            let x_8 = &x[0..][..loop1_n];
            let d_x_2 = &mut d_x[1..][..loop1_n];
            for loop1_k in 0..loop1_n {
                let j = 1 + loop1_k;
                let x_9 = x_6[loop1_k];
                let v_4 = x_7[loop1_k] - x_9 * x_9;
                let v_5 = (upstream * (100.0 * v_4) + 100.0 * (upstream * v_4)) * x_9;
                let x_10 = x_8[loop1_k];
                let v_6 = x_9 - x_10 * x_10;
                let v_7 = (-2.0) * (upstream * (1.0 - x_9)) - v_5 - v_5
                    + (upstream * (100.0 * v_6) + 100.0 * (upstream * v_6));
                d_x_2[loop1_k] += v_7;
            }
        }
        let v_8 = 0 < v_2;
        if v_8 {
            for j_2 in (0)..(1) {
                let v_9 = j_2 >= 0;
                let v_10 = j_2 < v_2;
                let v_11 = v_9 && v_10;
                if v_11 {
                    let x_11 = x[j_2];
                    let v_12 = j_2 + 1;
                    let v_13 = x[v_12] - x_11 * x_11;
                    let v_14 = (upstream * (100.0 * v_13) + 100.0 * (upstream * v_13))
                        * x_11;
                    d_x[j_2] += (-2.0) * (upstream * (1.0 - x_11)) - v_14 - v_14;
                }
                let v_15 = v_2 + 1;
                let v_16 = j_2 >= 1;
                let v_17 = j_2 < v_15;
                let v_18 = v_16 && v_17;
                if v_18 {
                    let v_19 = j_2 - 1;
                    let x_12 = x[v_19];
                    let v_20 = x[j_2] - x_12 * x_12;
                    d_x[j_2] += upstream * (100.0 * v_20) + 100.0 * (upstream * v_20);
                }
            }
            let v_21 = v_2 + 1;
            let v_22 = ::core::cmp::max(v_2, 1);
            for j_3 in (v_22)..(v_21) {
                let v_23 = j_3 >= 0;
                let v_24 = j_3 < v_2;
                let v_25 = v_23 && v_24;
                if v_25 {
                    let x_13 = x[j_3];
                    let v_26 = j_3 + 1;
                    let v_27 = x[v_26] - x_13 * x_13;
                    let v_28 = (upstream * (100.0 * v_27) + 100.0 * (upstream * v_27))
                        * x_13;
                    d_x[j_3] += (-2.0) * (upstream * (1.0 - x_13)) - v_28 - v_28;
                }
                let v_29 = j_3 >= 1;
                let v_30 = j_3 < v_21;
                let v_31 = v_29 && v_30;
                if v_31 {
                    let v_32 = j_3 - 1;
                    let x_14 = x[v_32];
                    let v_33 = x[j_3] - x_14 * x_14;
                    d_x[j_3] += upstream * (100.0 * v_33) + 100.0 * (upstream * v_33);
                }
            }
        }
        total_2
    }
    fn unit(x: &[f64], d_x: &mut [f64]) -> f64 {
        let v = x.len();
        let v_2 = v - 1;
        let mut total: f64 = 0.0;
        let loop0_n = v_2;
        if loop0_n > 0 {
            let x_2 = &x[1..][..loop0_n];
            let x_3 = &x[0..][..loop0_n];
            for loop0_k in 0..loop0_n {
                let i = loop0_k;
                let v_3 = i + 1;
                let x_4 = x_2[loop0_k];
                let x_5 = x_3[loop0_k];
                let a = x_4 - x_5 * x_5;
                let b = 1.0 - x_5;
                total += 100.0 * a * a + b * b;
            }
        }
        let total_2 = total;
        let loop1_n = usize::saturating_sub(v_2, 1);
        if loop1_n > 0 {
            let x_6 = &x[1..][..loop1_n];
            let x_7 = &x[2..][..loop1_n];
            let x_8 = &x[0..][..loop1_n];
            let d_x_2 = &mut d_x[1..][..loop1_n];
            for loop1_k in 0..loop1_n {
                let j = 1 + loop1_k;
                let x_9 = x_6[loop1_k];
                let v_4 = (-200.0) * ((x_7[loop1_k] - x_9 * x_9) * x_9);
                let x_10 = x_8[loop1_k];
                d_x_2[loop1_k] = (-2.0) * (1.0 - x_9) + v_4 + v_4
                    + 200.0 * (x_9 - x_10 * x_10);
            }
        }
        let v_5 = 0 < v_2;
        if v_5 {
            for j_2 in (0)..(1) {
                let v_6 = j_2 >= 0;
                let v_7 = j_2 < v_2;
                let v_8 = v_6 && v_7;
                if v_8 {
                    let x_11 = x[j_2];
                    let v_9 = j_2 + 1;
                    let v_10 = (-200.0) * ((x[v_9] - x_11 * x_11) * x_11);
                    d_x[j_2] += (-2.0) * (1.0 - x_11) + v_10 + v_10;
                }
                let v_11 = v_2 + 1;
                let v_12 = j_2 >= 1;
                let v_13 = j_2 < v_11;
                let v_14 = v_12 && v_13;
                if v_14 {
                    let v_15 = j_2 - 1;
                    let x_12 = x[v_15];
                    d_x[j_2] += 200.0 * (x[j_2] - x_12 * x_12);
                }
            }
            let v_16 = v_2 + 1;
            let v_17 = ::core::cmp::max(v_2, 1);
            for j_3 in (v_17)..(v_16) {
                let v_18 = j_3 >= 0;
                let v_19 = j_3 < v_2;
                let v_20 = v_18 && v_19;
                if v_20 {
                    let x_13 = x[j_3];
                    let v_21 = j_3 + 1;
                    let v_22 = (-200.0) * ((x[v_21] - x_13 * x_13) * x_13);
                    d_x[j_3] += (-2.0) * (1.0 - x_13) + v_22 + v_22;
                }
                let v_23 = j_3 >= 1;
                let v_24 = j_3 < v_16;
                let v_25 = v_23 && v_24;
                if v_25 {
                    let v_26 = j_3 - 1;
                    let x_14 = x[v_26];
                    d_x[j_3] += 200.0 * (x[j_3] - x_14 * x_14);
                }
            }
        }
        total_2
    }
    pub fn value_and_gradient_into(x: &[f64], d_x: &mut [f64]) -> f64 {
        ::core::assert!(
            d_x.len() == x.len(), "the buffer for the gradient of `x` has another length"
        );
        d_x.fill(0.0);
        Self::unit(x, d_x)
    }
    pub fn value_and_gradient(x: &[f64]) -> (f64, RosenbrockGradient) {
        let mut g_x: Vec<f64> = ::std::vec![0.0; x.len()];
        let y = Self::unit(x, &mut g_x);
        (y, RosenbrockGradient { x: g_x })
    }
    pub fn gradient(x: &[f64]) -> RosenbrockGradient {
        Self::value_and_gradient(x).1
    }
}
