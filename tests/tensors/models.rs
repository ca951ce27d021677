//! Programs as users write them: networks with state, attention, normalisation, filters, physics on grids, updates inside of a loss.

use backprop::backprop;
use ndarray::{Array1, Array2, Axis, arr1, s};

functions! {
    fn multi_head(z, v, k) {
        let h = 2;
        let d = z.ncols() / h;
        let mut out = Array2::<f64>::zeros(z.dim());
        for i in 0..h {
            let q = z.slice(s![.., i * d..(i + 1) * d]);
            let s = q.dot(&q.t()) * k;
            let e = s.mapv(f64::exp);
            let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
            out.slice_mut(s![.., i * d..(i + 1) * d]).assign(&p.dot(&q));
        }
        (&out * &out * z).sum()
    }

    fn layer_norm(z, v, k) {
        let mu = z.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        let var = z.var_axis(Axis(1), 0.0).insert_axis(Axis(1));
        let n = (z - &mu) / (var + 1e-5).mapv(f64::sqrt);
        (n * v + k).mapv(|x| x * x * x).sum()
    }

    fn batch_norm(z, v, k) {
        let mu = z.mean_axis(Axis(0)).unwrap();
        let c = z - &mu;
        let var = (&c * &c).mean_axis(Axis(0)).unwrap();
        let n = &c / &(var + 1e-5).sqrt();
        (n * v + k).mapv(|x| x.tanh()).sum()
    }

    fn conv_by_slices(z, v, k) {
        let lap = &z.slice(s![..-2, 1..-1])
            + &z.slice(s![2.., 1..-1])
            + z.slice(s![1..-1, ..-2])
            + z.slice(s![1..-1, 2..])
            - &z.slice(s![1..-1, 1..-1]) * 4.0;
        (&lap * &lap).sum() * k
    }

    fn rnn_outputs(z, v, k) {
        let mut h = v.clone();
        let mut out = Array2::<f64>::zeros((4, 4));
        for (i, x) in z.outer_iter().enumerate() {
            h = (&h * k + &x).mapv(f64::tanh);
            out.row_mut(i).assign(&h);
        }
        (&out * &out).sum() + h.sum()
    }

    fn lstm(z, v, k) {
        let mut h = v * 0.1;
        let mut c = Array1::<f64>::zeros(4);
        let sig = |x: f64| 1.0 / (1.0 + (-x).exp());
        for x in z.rows() {
            let g = z.dot(&h) + &x;
            let i = g.mapv(sig);
            let f = (&g * k).mapv(sig);
            let o = (&g + 1.0).mapv(sig);
            c = &f * &c + &i * &g.mapv(f64::tanh);
            h = &o * &c.mapv(f64::tanh);
        }
        h.dot(v) + c.sum()
    }

    fn gru(z, v, k) {
        let mut h = v.clone();
        for t in 0..z.nrows() {
            let x = z.row(t);
            let u = (&x + &h * k).mapv(|a| 1.0 / (1.0 + (-a).exp()));
            let n = (z.dot(&(&h * &u)) + &x).mapv(f64::tanh);
            h = &(&h * &u) + &(n * (1.0 - &u));
        }
        h.sum()
    }

    fn vae(z, v, k) {
        let mu = z.dot(v);
        let lv = z.t().dot(v) * k;
        let eps = Array1::linspace(-1.0, 1.0, 4);
        let x = &mu + &(lv.mapv(|l| (0.5 * l).exp()) * &eps);
        let kl = -0.5 * (1.0 + &lv - &mu * &mu - lv.mapv(f64::exp)).sum();
        let r = (&x - v).mapv(|e| e * e).sum();
        r + kl
    }

    fn logistic(z, v, k) {
        let y = arr1(&[0.0, 1.0, 1.0, 0.0]);
        let t = z.dot(v) + k;
        let l = t.mapv(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()) - y * t;
        l.mean().unwrap() + 0.1 * v.dot(v)
    }

    fn power_iteration(z, v, k) {
        let a = z.dot(&z.t());
        let mut x = v.clone();
        for _ in 0..10 {
            let y = a.dot(&x);
            let n = y.dot(&y).sqrt();
            x = y / n;
        }
        x.dot(&a.dot(&x))
    }

    fn kalman(z, v, k) {
        let mut x = v.clone();
        let mut p = Array2::<f64>::eye(4) * k;
        let mut nll = 0.0;
        for t in 0..4 {
            x = z.dot(&x) * 0.5;
            p = z.dot(&p).dot(&z.t()) * 0.25 + Array2::<f64>::eye(4) * 0.1;
            let s = p[[0, 0]] + 0.5;
            let e = v[t] - x[0];
            let g = p.column(0).to_owned() / s;
            x = &x + &(&g * e);
            let o = g
                .view()
                .insert_axis(Axis(1))
                .dot(&p.row(0).insert_axis(Axis(0)));
            p = &p - &o;
            nll += 0.5 * (e * e / s + s.ln());
        }
        nll
    }

    fn adam(z, v, k) {
        let mut w = v.clone();
        let mut m = Array1::<f64>::zeros(4);
        let mut s = Array1::<f64>::zeros(4);
        for t in 1..=3 {
            let g = z.dot(&w) * 2.0;
            m = &m * 0.9 + &g * 0.1;
            s = &s * 0.99 + &g * &g * 0.01;
            let mh = &m / (1.0 - 0.9_f64.powi(t));
            let sh = &s / (1.0 - 0.99_f64.powi(t));
            w = &w - &(mh / (sh.mapv(f64::sqrt) + 1e-3) * k);
        }
        w.dot(&w)
    }

    fn heat_in_place(z, v, k) {
        let mut u = z.clone();
        for _ in 0..3 {
            let lap = &u.slice(s![..-2, ..]) - &u.slice(s![1..-1, ..]);
            u.slice_mut(s![1..-1, ..]).scaled_add(k, &lap);
        }
        (&u * &u).sum()
    }

    fn softmax_ce(z, v, k) {
        let l = z * k;
        let m = l.map_axis(Axis(1), |r| {
            r.iter().cloned().fold(f64::NEG_INFINITY, f64::max)
        });
        let e = (&l - &m.view().insert_axis(Axis(1))).mapv(f64::exp);
        let lse = e.sum_axis(Axis(1)).mapv(f64::ln) + &m;
        let mut s = 0.0;
        for (i, &c) in [1usize, 0, 3, 2].iter().enumerate() {
            s += lse[i] - l[[i, c]];
        }
        s + v[0]
    }

    fn regularisers(z, v, k) {
        z.mapv(f64::abs).sum() * k
            + (v * v).sum().sqrt()
            + z.iter().map(|x| x.abs()).sum::<f64>()
            + z.map(|x| x * x).sum_axis(Axis(0)).mapv(f64::sqrt).sum()
    }
}
