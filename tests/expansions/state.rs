pub enum state {}
pub struct StateGradient {
    pub x: f64,
    pub r: f64,
}
pub struct StateResiduals {
    r: f64,
    n: usize,
    loop0_tape: Vec<f64>,
}
impl state {
    pub fn forward(x: f64, r: f64, n: usize) -> (f64, StateResiduals) {
        let mut loop0_tape = vec![0.0; n];
        let mut loop0_at = 0usize;
        let mut x_2: f64 = x;
        let loop0_n = n;
        let loop0_track = &mut loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in 0..loop0_n {
            let x_3 = r * x_2 * (1.0 - x_2);
            loop0_track[k] = x_2;
            x_2 = x_3;
        }
        loop0_at += loop0_n;
        let saved = StateResiduals {
            r,
            n,
            loop0_tape: {
                let mut loop0_tape = loop0_tape;
                loop0_tape.truncate(loop0_at);
                loop0_tape
            },
        };
        (x_2, saved)
    }
    pub fn backward(saved: &StateResiduals, upstream: f64) -> StateGradient {
        let mut g_x: f64 = 0.0;
        let d_x = &mut g_x;
        let mut g_r: f64 = 0.0;
        let d_r = &mut g_r;
        let loop0_tape = &saved.loop0_tape;
        let mut loop0_at = loop0_tape.len();
        let mut d_x_2: f64 = upstream;
        let mut d_r_2: f64 = 0.0;
        let loop0_n = saved.n;
        loop0_at -= loop0_n;
        let loop0_track = &loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in (0..loop0_n).rev() {
            let x_2 = loop0_track[k];
            let v = d_x_2 * (1.0 - x_2);
            d_x_2 = v * saved.r - d_x_2 * (saved.r * x_2);
            d_r_2 += v * x_2;
        }
        *d_x = d_x_2;
        *d_r = d_r_2;
        StateGradient { x: g_x, r: g_r }
    }
    pub fn accumulate(
        x: f64,
        r: f64,
        n: usize,
        upstream: f64,
        d_x: &mut f64,
        d_r: &mut f64,
    ) -> f64 {
        let mut loop0_tape = vec![0.0; n];
        let mut loop0_at = 0usize;
        let mut x_2: f64 = x;
        let loop0_n = n;
        let loop0_track = &mut loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in 0..loop0_n {
            let x_3 = r * x_2 * (1.0 - x_2);
            loop0_track[k] = x_2;
            x_2 = x_3;
        }
        let x_4 = x_2;
        loop0_at += loop0_n;
        let mut d_x_2: f64 = upstream;
        let mut d_r_2: f64 = 0.0;
        let loop0_n = n;
        loop0_at -= loop0_n;
        let loop0_track = &loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in (0..loop0_n).rev() {
            let x_2 = loop0_track[k];
            let v = d_x_2 * (1.0 - x_2);
            d_x_2 = v * r - d_x_2 * (r * x_2);
            d_r_2 += v * x_2;
        }
        *d_x += d_x_2;
        *d_r += d_r_2;
        x_4
    }
    fn unit(x: f64, r: f64, n: usize, d_x: &mut f64, d_r: &mut f64) -> f64 {
        let mut loop0_tape = vec![0.0; n];
        let mut loop0_at = 0usize;
        let mut x_2: f64 = x;
        let loop0_n = n;
        let loop0_track = &mut loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in 0..loop0_n {
            let x_3 = r * x_2 * (1.0 - x_2);
            loop0_track[k] = x_2;
            x_2 = x_3;
        }
        let x_4 = x_2;
        loop0_at += loop0_n;
        let mut d_x_2: f64 = 1.0;
        let mut d_r_2: f64 = 0.0;
        let loop0_n = n;
        loop0_at -= loop0_n;
        let loop0_track = &loop0_tape[loop0_at..loop0_at + loop0_n];
        for k in (0..loop0_n).rev() {
            let x_2 = loop0_track[k];
            let v = d_x_2 * (1.0 - x_2);
            d_x_2 = v * r - d_x_2 * (r * x_2);
            d_r_2 += v * x_2;
        }
        *d_x = d_x_2;
        *d_r = d_r_2;
        x_4
    }
    pub fn value_and_gradient_into(
        x: f64,
        r: f64,
        n: usize,
        d_x: &mut f64,
        d_r: &mut f64,
    ) -> f64 {
        *d_x = 0.0;
        *d_r = 0.0;
        Self::unit(x, r, n, d_x, d_r)
    }
    pub fn value_and_gradient(x: f64, r: f64, n: usize) -> (f64, StateGradient) {
        let mut g_x: f64 = 0.0;
        let mut g_r: f64 = 0.0;
        let y = Self::unit(x, r, n, &mut g_x, &mut g_r);
        (y, StateGradient { x: g_x, r: g_r })
    }
    pub fn gradient(x: f64, r: f64, n: usize) -> StateGradient {
        Self::value_and_gradient(x, r, n).1
    }
}
