pub enum linear_state {}
pub struct LinearStateGradient {
    pub x: f64,
    pub v: f64,
}
pub struct LinearStateResiduals {
    n: usize,
}
impl linear_state {
    pub fn forward(x: f64, v: f64, n: usize) -> (f64, LinearStateResiduals) {
        let mut x_2: f64 = x;
        let mut v_2: f64 = v;
        for k in 0..n {
            let v_3 = v_2 - 0.1 * x_2;
            x_2 += 0.1 * v_3;
            v_2 = v_3;
        }
        let saved = LinearStateResiduals { n };
        (x_2, saved)
    }
    pub fn backward(saved: &LinearStateResiduals, upstream: f64) -> LinearStateGradient {
        let mut g_x: f64 = 0.0;
        let d_x = &mut g_x;
        let mut g_v: f64 = 0.0;
        let d_v = &mut g_v;
        let mut d_x_2: f64 = upstream;
        let mut d_v_2: f64 = 0.0;
        for k in (0..saved.n).rev() {
            let d_v_3 = d_v_2 + 0.1 * d_x_2;
            d_x_2 += -0.1 * d_v_3;
            d_v_2 = d_v_3;
        }
        *d_x = d_x_2;
        *d_v = d_v_2;
        LinearStateGradient {
            x: g_x,
            v: g_v,
        }
    }
    pub fn accumulate(
        x: f64,
        v: f64,
        n: usize,
        upstream: f64,
        d_x: &mut f64,
        d_v: &mut f64,
    ) -> f64 {
        let mut x_2: f64 = x;
        let mut v_2: f64 = v;
        for k in 0..n {
            let v_3 = v_2 - 0.1 * x_2;
            x_2 += 0.1 * v_3;
            v_2 = v_3;
        }
        let mut d_x_2: f64 = upstream;
        let mut d_v_2: f64 = 0.0;
        for k in (0..n).rev() {
            let d_v_3 = d_v_2 + 0.1 * d_x_2;
            d_x_2 += -0.1 * d_v_3;
            d_v_2 = d_v_3;
        }
        *d_x += d_x_2;
        *d_v += d_v_2;
        x_2
    }
    fn unit(x: f64, v: f64, n: usize, d_x: &mut f64, d_v: &mut f64) -> f64 {
        let mut x_2: f64 = x;
        let mut v_2: f64 = v;
        for k in 0..n {
            let v_3 = v_2 - 0.1 * x_2;
            x_2 += 0.1 * v_3;
            v_2 = v_3;
        }
        let mut d_x_2: f64 = 1.0;
        let mut d_v_2: f64 = 0.0;
        for k in (0..n).rev() {
            let d_v_3 = d_v_2 + 0.1 * d_x_2;
            d_x_2 += -0.1 * d_v_3;
            d_v_2 = d_v_3;
        }
        *d_x = d_x_2;
        *d_v = d_v_2;
        x_2
    }
    pub fn value_and_gradient_into(
        x: f64,
        v: f64,
        n: usize,
        d_x: &mut f64,
        d_v: &mut f64,
    ) -> f64 {
        *d_x = 0.0;
        *d_v = 0.0;
        Self::unit(x, v, n, d_x, d_v)
    }
    pub fn value_and_gradient(x: f64, v: f64, n: usize) -> (f64, LinearStateGradient) {
        let mut g_x: f64 = 0.0;
        let mut g_v: f64 = 0.0;
        let y = Self::unit(x, v, n, &mut g_x, &mut g_v);
        (
            y,
            LinearStateGradient {
                x: g_x,
                v: g_v,
            },
        )
    }
    pub fn gradient(x: f64, v: f64, n: usize) -> LinearStateGradient {
        Self::value_and_gradient(x, v, n).1
    }
}
