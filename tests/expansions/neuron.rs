pub enum neuron {}
pub struct NeuronGradient {
    pub w: [f64; 3],
    pub x: [f64; 2],
}
pub struct NeuronResiduals<'bp> {
    v: f64,
    w: &'bp [f64; 3],
    x: &'bp [f64; 2],
}
impl neuron {
    pub fn forward<'bp>(
        w: &'bp [f64; 3],
        x: &'bp [f64; 2],
    ) -> (f64, NeuronResiduals<'bp>) {
        let v_2 = w[0] * x[0] + w[1] * x[1] + w[2];
        let v = (-v_2).exp();
        let saved = NeuronResiduals { v, w, x };
        (1.0 / (1.0 + v), saved)
    }
    pub fn backward(saved: &NeuronResiduals<'_>, upstream: f64) -> NeuronGradient {
        let mut g_w: [f64; 3] = [0.0; 3];
        let d_w = &mut g_w;
        let mut g_x: [f64; 2] = [0.0; 2];
        let d_x = &mut g_x;
        let v = saved.v;
        let w0 = saved.w[0];
        let x0 = saved.x[0];
        let w1 = saved.w[1];
        let x1 = saved.x[1];
        let v_2 = 1.0 / (1.0 + v);
        let v_3 = if (w0 * x0 + w1 * x1 + saved.w[2]) < 0.0 {
            1.0 - v_2
        } else {
            v * v_2
        };
        let v_4 = upstream * (v_2 * v_3);
        d_w[2] += v_4;
        d_x[1] += v_4 * w1;
        d_w[1] += v_4 * x1;
        d_x[0] += v_4 * w0;
        d_w[0] += v_4 * x0;
        NeuronGradient { w: g_w, x: g_x }
    }
    pub fn accumulate(
        w: &[f64; 3],
        x: &[f64; 2],
        upstream: f64,
        d_w: &mut [f64; 3],
        d_x: &mut [f64; 2],
    ) -> f64 {
        let w0 = w[0];
        let x0 = x[0];
        let w1 = w[1];
        let x1 = x[1];
        let v_2 = w0 * x0 + w1 * x1 + w[2];
        let v = (-v_2).exp();
        let v_3 = 1.0 / (1.0 + v);
        let v_4 = upstream * (v_3 * if v_2 < 0.0 { 1.0 - v_3 } else { v * v_3 });
        d_w[2] += v_4;
        d_x[1] += v_4 * w1;
        d_w[1] += v_4 * x1;
        d_x[0] += v_4 * w0;
        d_w[0] += v_4 * x0;
        v_3
    }
    fn unit(w: &[f64; 3], x: &[f64; 2], d_w: &mut [f64; 3], d_x: &mut [f64; 2]) -> f64 {
        let w0 = w[0];
        let x0 = x[0];
        let w1 = w[1];
        let x1 = x[1];
        let v_2 = w0 * x0 + w1 * x1 + w[2];
        let v = (-v_2).exp();
        let v_3 = 1.0 / (1.0 + v);
        let v_4 = v_3 * if v_2 < 0.0 { 1.0 - v_3 } else { v * v_3 };
        d_w[2] = v_4;
        d_x[1] = v_4 * w1;
        d_w[1] = v_4 * x1;
        d_x[0] = v_4 * w0;
        d_w[0] = v_4 * x0;
        v_3
    }
    pub fn value_and_gradient_into(
        w: &[f64; 3],
        x: &[f64; 2],
        d_w: &mut [f64; 3],
        d_x: &mut [f64; 2],
    ) -> f64 {
        Self::unit(w, x, d_w, d_x)
    }
    pub fn value_and_gradient(w: &[f64; 3], x: &[f64; 2]) -> (f64, NeuronGradient) {
        let mut g_w: [f64; 3] = [0.0; 3];
        let mut g_x: [f64; 2] = [0.0; 2];
        let y = Self::unit(w, x, &mut g_w, &mut g_x);
        (y, NeuronGradient { w: g_w, x: g_x })
    }
    pub fn gradient(w: &[f64; 3], x: &[f64; 2]) -> NeuronGradient {
        Self::value_and_gradient(w, x).1
    }
}
