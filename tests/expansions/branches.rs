pub enum branches {}
pub struct BranchesGradient {
    pub x: f64,
    pub y: f64,
}
pub struct BranchesResiduals {
    x: f64,
    y: f64,
    slope: f64,
    v: f64,
}
impl branches {
    pub fn forward(x: f64, y: f64) -> (f64, BranchesResiduals) {
        let (slope, v) = if x > y {
            (x * y, 0.0)
        } else {
            let v_2 = x.exp();
            (v_2, v_2)
        };
        let saved = BranchesResiduals {
            x,
            y,
            slope,
            v,
        };
        (slope * slope, saved)
    }
    pub fn backward(saved: &BranchesResiduals, upstream: f64) -> BranchesGradient {
        let mut g_x: f64 = 0.0;
        let d_x = &mut g_x;
        let mut g_y: f64 = 0.0;
        let d_y = &mut g_y;
        let slope = saved.slope;
        let v = saved.v;
        let v_2 = upstream * slope;
        let (v_3, v_4) = if saved.x > saved.y {
            (2.0 * (v_2 * saved.y), 2.0 * (v_2 * saved.x))
        } else {
            (2.0 * (v_2 * v), 0.0)
        };
        *d_x = v_3;
        *d_y = v_4;
        BranchesGradient { x: g_x, y: g_y }
    }
    pub fn accumulate(
        x: f64,
        y: f64,
        upstream: f64,
        d_x: &mut f64,
        d_y: &mut f64,
    ) -> f64 {
        let v_2 = x > y;
        let (slope, v) = if v_2 {
            (x * y, 0.0)
        } else {
            let v_3 = x.exp();
            (v_3, v_3)
        };
        let v_4 = upstream * slope;
        let (v_5, v_6) = if v_2 {
            (2.0 * (v_4 * y), 2.0 * (v_4 * x))
        } else {
            (2.0 * (v_4 * v), 0.0)
        };
        *d_x += v_5;
        *d_y += v_6;
        slope * slope
    }
    fn unit(x: f64, y: f64, d_x: &mut f64, d_y: &mut f64) -> f64 {
        let v_2 = x > y;
        let (slope, v_3) = if v_2 {
            (x * y, 0.0)
        } else {
            let v_4 = x.exp();
            (v_4, v_4)
        };
        let (v_5, v_6) = if v_2 {
            (2.0 * (slope * y), 2.0 * (slope * x))
        } else {
            (2.0 * (slope * v_3), 0.0)
        };
        *d_x = v_5;
        *d_y = v_6;
        slope * slope
    }
    pub fn value_and_gradient_into(x: f64, y: f64, d_x: &mut f64, d_y: &mut f64) -> f64 {
        *d_x = 0.0;
        *d_y = 0.0;
        Self::unit(x, y, d_x, d_y)
    }
    pub fn value_and_gradient(x: f64, y: f64) -> (f64, BranchesGradient) {
        let mut g_x: f64 = 0.0;
        let mut g_y: f64 = 0.0;
        let y_2 = Self::unit(x, y, &mut g_x, &mut g_y);
        (y_2, BranchesGradient { x: g_x, y: g_y })
    }
    pub fn gradient(x: f64, y: f64) -> BranchesGradient {
        Self::value_and_gradient(x, y).1
    }
}
