pub enum likelihood {}
pub struct LikelihoodGradient {
    pub mu: f64,
    pub s: f64,
}
pub struct LikelihoodResiduals<'bp> {
    mu: f64,
    s: f64,
    t: &'bp [f64],
    y: &'bp [f64],
}
impl likelihood {
    pub fn forward<'bp>(
        mu: f64,
        s: f64,
        t: &'bp [f64],
        y: &'bp [f64],
    ) -> (f64, LikelihoodResiduals<'bp>) {
        let v = t.len();
        let v_2 = y.len();
        let v_3 = ::core::cmp::min(v, v_2);
        let mut total: f64 = 0.0;
        if v_3 > 0 {
            let t_2 = &t[..v_3];
            let y_2 = &y[..v_3];
            for k in 0..v_3 {
                let t_3 = t_2[k];
                let y_3 = y_2[k];
                let r = mu + s * t_3 - y_3;
                total += r * r;
            }
        }
        let saved = LikelihoodResiduals { mu, s, t, y };
        (total, saved)
    }
    pub fn backward(
        saved: &LikelihoodResiduals<'_>,
        upstream: f64,
    ) -> LikelihoodGradient {
        let mut g_mu: f64 = 0.0;
        let d_mu = &mut g_mu;
        let mut g_s: f64 = 0.0;
        let d_s = &mut g_s;
        let v = saved.t.len();
        let v_2 = saved.y.len();
        let v_3 = ::core::cmp::min(v, v_2);
        let mut d_mu_2: f64 = 0.0;
        let mut d_s_2: f64 = 0.0;
        if v_3 > 0 {
            let t_2 = &saved.t[..v_3];
            let y_2 = &saved.y[..v_3];
            for k in 0..v_3 {
                let t_3 = t_2[k];
                let y_3 = y_2[k];
                let r = saved.mu + saved.s * t_3 - y_3;
                let v_4 = upstream * r;
                d_mu_2 += 2.0 * v_4;
                d_s_2 += 2.0 * (v_4 * t_3);
            }
        }
        *d_mu = d_mu_2;
        *d_s = d_s_2;
        LikelihoodGradient {
            mu: g_mu,
            s: g_s,
        }
    }
    pub fn accumulate(
        mu: f64,
        s: f64,
        t: &[f64],
        y: &[f64],
        upstream: f64,
        d_mu: &mut f64,
        d_s: &mut f64,
    ) -> f64 {
        let v = t.len();
        let v_2 = y.len();
        let v_3 = ::core::cmp::min(v, v_2);
        let mut total: f64 = 0.0;
        let mut d_mu_2: f64 = 0.0;
        let mut d_s_2: f64 = 0.0;
        if v_3 > 0 {
            let t_2 = &t[..v_3];
            let y_2 = &y[..v_3];
            for k in 0..v_3 {
                let t_3 = t_2[k];
                let y_3 = y_2[k];
                let r = mu + s * t_3 - y_3;
                let v_4 = upstream * r;
                total += r * r;
                d_mu_2 += 2.0 * v_4;
                d_s_2 += 2.0 * (v_4 * t_3);
            }
        }
        *d_mu += d_mu_2;
        *d_s += d_s_2;
        total
    }
    fn unit(
        mu: f64,
        s: f64,
        t: &[f64],
        y: &[f64],
        d_mu: &mut f64,
        d_s: &mut f64,
    ) -> f64 {
        let v = t.len();
        let v_2 = y.len();
        let v_3 = ::core::cmp::min(v, v_2);
        let mut total: f64 = 0.0;
        let mut d_mu_2: f64 = 0.0;
        let mut d_s_2: f64 = 0.0;
        if v_3 > 0 {
            let t_2 = &t[..v_3];
            let y_2 = &y[..v_3];
            for k in 0..v_3 {
                let t_3 = t_2[k];
                let y_3 = y_2[k];
                let r = mu + s * t_3 - y_3;
                total += r * r;
                d_mu_2 += 2.0 * r;
                d_s_2 += 2.0 * (r * t_3);
            }
        }
        *d_mu = d_mu_2;
        *d_s = d_s_2;
        total
    }
    pub fn value_and_gradient_into(
        mu: f64,
        s: f64,
        t: &[f64],
        y: &[f64],
        d_mu: &mut f64,
        d_s: &mut f64,
    ) -> f64 {
        *d_mu = 0.0;
        *d_s = 0.0;
        Self::unit(mu, s, t, y, d_mu, d_s)
    }
    pub fn value_and_gradient(
        mu: f64,
        s: f64,
        t: &[f64],
        y: &[f64],
    ) -> (f64, LikelihoodGradient) {
        let mut g_mu: f64 = 0.0;
        let mut g_s: f64 = 0.0;
        let y_2 = Self::unit(mu, s, t, y, &mut g_mu, &mut g_s);
        (
            y_2,
            LikelihoodGradient {
                mu: g_mu,
                s: g_s,
            },
        )
    }
    pub fn gradient(mu: f64, s: f64, t: &[f64], y: &[f64]) -> LikelihoodGradient {
        Self::value_and_gradient(mu, s, t, y).1
    }
}
