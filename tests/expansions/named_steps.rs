pub enum named_steps {}
pub struct NamedStepsGradient {
    pub x: f64,
    pub y: f64,
}
pub struct NamedStepsResiduals {
    x: f64,
    y: f64,
    b: f64,
    v: f64,
}
impl named_steps {
    pub fn forward(x: f64, y: f64) -> (f64, NamedStepsResiduals) {
        let a = x * y;
        let v = a.cos();
        let b = a.sin() + x;
        let c = (a - b) / (1.0 + b * b);
        let saved = NamedStepsResiduals { x, y, b, v };
        (a * c, saved)
    }
    pub fn backward(saved: &NamedStepsResiduals, upstream: f64) -> NamedStepsGradient {
        let mut g_x: f64 = 0.0;
        let d_x = &mut g_x;
        let mut g_y: f64 = 0.0;
        let d_y = &mut g_y;
        let b = saved.b;
        let v = saved.v;
        let a = saved.x * saved.y;
        let v_2 = 1.0 + b * b;
        let c = (a - b) / v_2;
        let d_c = upstream * a;
        let v_3 = d_c / v_2;
        let d_b = -2.0 * (d_c * (c / v_2) * b) - v_3;
        let d_a = upstream * c + v_3 + d_b * v;
        *d_x = d_b + d_a * saved.y;
        *d_y = d_a * saved.x;
        NamedStepsGradient {
            x: g_x,
            y: g_y,
        }
    }
    pub fn accumulate(
        x: f64,
        y: f64,
        upstream: f64,
        d_x: &mut f64,
        d_y: &mut f64,
    ) -> f64 {
        let a = x * y;
        let b = a.sin() + x;
        let v_2 = 1.0 + b * b;
        let c = (a - b) / v_2;
        let d_c = upstream * a;
        let v_3 = d_c / v_2;
        let d_b = -2.0 * (d_c * (c / v_2) * b) - v_3;
        let d_a = upstream * c + v_3 + d_b * a.cos();
        let v_4 = d_a * x;
        let v_5 = d_b + d_a * y;
        *d_x += v_5;
        *d_y += v_4;
        a * c
    }
    fn unit(x: f64, y: f64, d_x: &mut f64, d_y: &mut f64) -> f64 {
        let a = x * y;
        let b = a.sin() + x;
        let v_2 = 1.0 + b * b;
        let c = (a - b) / v_2;
        let v_3 = a / v_2;
        let d_b = -2.0 * (a * (c / v_2) * b) - v_3;
        let d_a = c + v_3 + d_b * a.cos();
        let v_4 = d_a * x;
        let v_5 = d_b + d_a * y;
        *d_x = v_5;
        *d_y = v_4;
        a * c
    }
    pub fn value_and_gradient_into(x: f64, y: f64, d_x: &mut f64, d_y: &mut f64) -> f64 {
        *d_x = 0.0;
        *d_y = 0.0;
        Self::unit(x, y, d_x, d_y)
    }
    pub fn value_and_gradient(x: f64, y: f64) -> (f64, NamedStepsGradient) {
        let mut g_x: f64 = 0.0;
        let mut g_y: f64 = 0.0;
        let y_2 = Self::unit(x, y, &mut g_x, &mut g_y);
        (
            y_2,
            NamedStepsGradient {
                x: g_x,
                y: g_y,
            },
        )
    }
    pub fn gradient(x: f64, y: f64) -> NamedStepsGradient {
        Self::value_and_gradient(x, y).1
    }
}
