pub enum polar {}
pub struct PolarGradient {
    pub radius: f64,
    pub angle: f64,
}
pub struct PolarResiduals {
    radius: f64,
    v: f64,
    v_2: f64,
}
impl polar {
    pub fn forward(radius: f64, angle: f64) -> ([f64; 2], PolarResiduals) {
        let v = angle.cos();
        let v_2 = angle.sin();
        let mut array: [f64; 2] = [(radius * v), (radius * v_2)];
        let saved = PolarResiduals { radius, v, v_2 };
        (array, saved)
    }
    pub fn backward(saved: &PolarResiduals, upstream: [f64; 2]) -> PolarGradient {
        let mut g_radius: f64 = 0.0;
        let d_radius = &mut g_radius;
        let mut g_angle: f64 = 0.0;
        let d_angle = &mut g_angle;
        let v = saved.v;
        let v_2 = saved.v_2;
        let mut d_array: [f64; 2] = [0.0; 2];
        for (to, from) in ::core::iter::Iterator::zip(
            d_array.iter_mut(),
            upstream.iter(),
        ) {
            *to += *from;
        }
        let d_array0 = d_array[0];
        let d_array1 = d_array[1];
        *d_radius = d_array1 * v_2 + d_array0 * v;
        *d_angle = d_array1 * saved.radius * v - d_array0 * saved.radius * v_2;
        PolarGradient {
            radius: g_radius,
            angle: g_angle,
        }
    }
    pub fn accumulate(
        radius: f64,
        angle: f64,
        upstream: [f64; 2],
        d_radius: &mut f64,
        d_angle: &mut f64,
    ) -> [f64; 2] {
        let v = angle.cos();
        let v_2 = angle.sin();
        let mut array: [f64; 2] = [(radius * v), (radius * v_2)];
        let mut d_array: [f64; 2] = [0.0; 2];
        for (to, from) in ::core::iter::Iterator::zip(
            d_array.iter_mut(),
            upstream.iter(),
        ) {
            *to += *from;
        }
        let d_array0 = d_array[0];
        let d_array1 = d_array[1];
        let v_3 = d_array1 * v_2 + d_array0 * v;
        let v_4 = d_array1 * radius * v - d_array0 * radius * v_2;
        *d_radius += v_3;
        *d_angle += v_4;
        array
    }
}
