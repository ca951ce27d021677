//! Attention, Gaussian processes, graph convolution, solvers, factorisations, physics on grids.

use backprop::backprop;
use ndarray::*;

#[backprop]
fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + (0.7978845608 * (x + 0.044715 * x * x * x)).tanh())
}

functions! {
    fn transformer(z, v, k) {
        let (n, d) = z.dim();
        let q = z.dot(z);
        let kk = z.dot(&z.t());
        let vv = z.mapv(|x| x * k);
        let scores = q.dot(&kk.t()) / (d as f64).sqrt();
        let mut att = scores.clone();
        for i in 0..n {
            for j in (i + 1)..n {
                att[[i, j]] = -1e9;
            }
        }
        let m = att.map_axis(Axis(1), |r| {
            r.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        });
        let e = (&att - &m.insert_axis(Axis(1))).mapv(f64::exp);
        let p = &e / &e.sum_axis(Axis(1)).insert_axis(Axis(1));
        let o = p.dot(&vv) + z;
        let mu = o.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
        let c = &o - &mu;
        let s = c
            .mapv(|x| x * x)
            .mean_axis(Axis(1))
            .unwrap()
            .mapv(|x| 1.0 / (x + 1e-5).sqrt());
        let y = &c * &s.insert_axis(Axis(1)) * v;
        y.mapv(gelu).sum()
    }

    fn gp(z, v, k) {
        let n = z.nrows();
        let sq = (z * z).sum_axis(Axis(1));
        let d2 =
            &sq.view().insert_axis(Axis(1)) + &sq.view().insert_axis(Axis(0)) - 2.0 * z.dot(&z.t());
        let mut kmat = d2.mapv(|d| (-0.5 * d * k * k).exp());
        kmat.diag_mut().mapv_inplace(|x| x + 0.5);
        // Cholesky
        let mut l = Array2::<f64>::zeros((n, n));
        for i in 0..n {
            for j in 0..=i {
                let mut s = kmat[[i, j]];
                for p in 0..j {
                    s -= l[[i, p]] * l[[j, p]];
                }
                if i == j {
                    l[[i, j]] = s.sqrt();
                } else {
                    l[[i, j]] = s / l[[j, j]];
                }
            }
        }
        let mut y = v.clone();
        for i in 0..n {
            let s = l.slice(s![i, ..i]).dot(&y.slice(s![..i]));
            y[i] = (y[i] - s) / l[[i, i]];
        }
        0.5 * y.dot(&y) + l.diag().mapv(f64::ln).sum()
    }

    fn contrastive(z, v, k) {
        let n = z.map_axis(Axis(1), |r| {
            r.iter().map(|x| x * x).sum::<f64>().sqrt() + 1e-3
        });
        let u = z / &n.insert_axis(Axis(1));
        let sim = u.dot(&u.t()) / (k * k + 0.5);
        let mut loss = 0.0;
        for i in 0..4 {
            let j = (i + 1) % 4;
            let row = sim.row(i);
            let mut den = 0.0;
            for l in 0..4 {
                if l != i {
                    den += row[l].exp();
                }
            }
            loss += den.ln() - row[j];
        }
        loss / 4.0 + v.sum()
    }

    fn gcn(z, v, k) {
        let a = z.mapv(|x| x * x + 0.1);
        let a = &a + &a.t();
        let deg = a.sum_axis(Axis(1)).mapv(|d| d.powf(-0.5));
        let norm = &a * &deg.view().insert_axis(Axis(1)) * &deg.view().insert_axis(Axis(0));
        let mut h = z.clone();
        for _ in 0..2 {
            h = norm
                .dot(&h)
                .dot(z)
                .mapv(|x| if x > 0.0 { x } else { k * x });
        }
        h.mean_axis(Axis(0)).unwrap().dot(v)
    }

    fn lstm_struct(z, v, k) {
        let (mut h, mut c) = (Array1::<f64>::zeros(4), v.clone());
        let mut outs = [0.0; 4];
        for t in 0..4 {
            let g = z.dot(&h) + &z.row(t);
            let s = g.mapv(|x| 1.0 / (1.0 + (-x).exp()));
            c = &s * &c + (1.0 - &s) * g.mapv(f64::tanh);
            h = &s * &c.mapv(f64::tanh);
            outs[t] = h.sum();
        }
        let mut total = 0.0;
        for (i, o) in outs.iter().enumerate() {
            total += o * (i as f64 + k);
        }
        total
    }

    fn poisson(z, v, k) {
        let mut u = Array2::<f64>::zeros((6, 6));
        for _ in 0..5 {
            let mut next = u.clone();
            for i in 1..5 {
                for j in 1..5 {
                    next[[i, j]] = 0.25
                        * (u[[i - 1, j]]
                            + u[[i + 1, j]]
                            + u[[i, j - 1]]
                            + u[[i, j + 1]]
                            + k * z[[i - 1, j - 1]]);
                }
            }
            u = next;
        }
        (&u * &u).sum() + v.sum()
    }

    fn wave(z, v, k) {
        let mut u = z.clone();
        let mut p = z * 0.5;
        for _ in 0..3 {
            let mut lap = Array2::<f64>::zeros((4, 4));
            {
                let mut inner = lap.slice_mut(s![1..3, 1..3]);
                inner += &u.slice(s![..2, 1..3]);
                inner += &u.slice(s![2.., 1..3]);
                inner += &u.slice(s![1..3, ..2]);
                inner += &u.slice(s![1..3, 2..]);
                inner -= &(&u.slice(s![1..3, 1..3]) * 4.0);
            }
            let next = &u * 2.0 - &p + lap * (k * k);
            p = std::mem::replace(&mut u, next);
        }
        (&u * z).sum() + v.dot(&p.row(0))
    }

    fn newton(z, v, k) {
        let a = z.dot(&z.t()) + Array2::<f64>::eye(4) * 2.0;
        let mut x = Array2::<f64>::eye(4) * 0.1;
        for _ in 0..4 {
            x = &x * 2.0 - x.dot(&a).dot(&x);
        }
        x.dot(v).sum() * k
    }

    fn qr(z, v, k) {
        let mut q = z.clone();
        for j in 0..4 {
            for i in 0..j {
                let r = q.column(i).dot(&q.column(j));
                let c = q.column(i).to_owned();
                q.column_mut(j).scaled_add(-r, &c);
            }
            let n = q.column(j).dot(&q.column(j)).sqrt();
            q.column_mut(j).mapv_inplace(|x| x / n);
        }
        q.t().dot(v).mapv(|x| x * x * x).sum() * k
    }

    fn while_conv(z, v, k) {
        let mut x = v.clone();
        let mut n = 0;
        while x.dot(&x) > 0.01 && n < 6 {
            x = z.dot(&x) * 0.4;
            n += 1;
        }
        x.sum() * n as f64 + k
    }

    fn huber(z, v, k) {
        let e = z.dot(v);
        e.mapv(|x| {
            if x.abs() < k {
                0.5 * x * x
            } else {
                k * (x.abs() - 0.5 * k)
            }
        })
        .mean()
        .unwrap()
    }

    fn dropout(z, v, k) {
        let mask = Array2::from_shape_fn((4, 4), |(i, j)| if (i + j) % 3 == 0 { 0.0 } else { 1.5 });
        ((z * &mask).dot(v) * k).mapv(|x| x.max(0.0)).sum()
    }

    fn one_hot_ce(z, v, k) {
        let labels = [2usize, 0, 1, 3];
        let z2 = z * k;
        let lse = z2.mapv(f64::exp).sum_axis(Axis(1)).mapv(f64::ln);
        let mut t = 0.0;
        for (r, &c) in z2.outer_iter().zip(labels.iter()) {
            t += r[c];
        }
        lse.sum() - t + v.sum()
    }

    fn mog(z, v, k) {
        let mut ll = 0.0;
        for x in z.rows() {
            let mut p = 0.0;
            for j in 0..4 {
                let d = (&x - v[j]).mapv(|a| a * a).sum();
                p += (-d * k).exp() * 0.25;
            }
            ll += p.ln();
        }
        ll
    }

    fn ode_rk4(z, v, k) {
        let f = |x: &Array1<f64>| z.dot(&x.mapv(f64::sin));
        let mut x = v.clone();
        let h = 0.1 * k;
        for _ in 0..3 {
            let k1 = f(&x);
            let k2 = f(&(&x + &(&k1 * (h / 2.0))));
            let k3 = f(&(&x + &(&k2 * (h / 2.0))));
            let k4 = f(&(&x + &(&k3 * h)));
            x = x + (k1 + k2 * 2.0 + k3 * 2.0 + k4) * (h / 6.0);
        }
        x.dot(&x)
    }

    fn particle(z, v, k) {
        let mut f = Array2::<f64>::zeros((4, 4));
        for i in 0..4 {
            for j in 0..i {
                let d = &z.row(i) - &z.row(j);
                let r2 = d.dot(&d) + 0.1;
                let g = &d * (k / (r2 * r2));
                f.row_mut(i).scaled_add(1.0, &g);
                let mut fj = f.row_mut(j);
                fj -= &g;
            }
        }
        (&f * &f).sum() + v.sum()
    }

    fn conv1d(z, v, k) {
        let n = 8;
        let x = concatenate![Axis(0), *v, z.row(0)];
        let mut out = Array1::<f64>::zeros(n - 3);
        for i in 0..n - 3 {
            out[i] = x.slice(s![i..i + 4]).dot(v) * k;
        }
        out.mapv(|a| a.max(0.0)).sum()
            + x.windows(2)
                .into_iter()
                .map(|w| (w[1] - w[0]).powi(2))
                .sum::<f64>()
    }

    fn maxpool(z, v, k) {
        let mut t = 0.0;
        for b in z.exact_chunks((2, 2)) {
            t += b.iter().cloned().fold(f64::NEG_INFINITY, f64::max) * k;
        }
        for c in v.exact_chunks(2) {
            t += c.sum() * c[0];
        }
        t
    }

    fn shadow(z, v, k) {
        let z = z.dot(z);
        let z = &z + v;
        let k = k * 2.0;
        let v = {
            let v = v * k;
            v.mapv(|v| v + k)
        };
        let f = |z: f64| z * k;
        f(z.sum()) * v.sum()
    }

    fn nested_if(z, v, k) {
        let mut s = z.sum();
        let t;
        if s > 0.0 {
            if v[0] > 0.0 {
                s *= 2.0;
                t = v.clone();
            } else {
                t = v * k;
                s -= 1.0;
            }
        } else {
            t = z.row(0).to_owned();
        }
        t.dot(v) * s
    }

    fn matrix_exp(z, v, k) {
        let a = z * k;
        let mut term = Array2::<f64>::eye(4);
        let mut sum = term.clone();
        for i in 1..8 {
            term = term.dot(&a) / i as f64;
            sum += &term;
        }
        sum.dot(v).sum()
    }

    fn running_stats(z, v, k) {
        let mut mean = Array1::<f64>::zeros(4);
        let mut var = Array1::<f64>::ones(4);
        for r in z.rows() {
            let d = &r - &mean;
            mean = &mean + &(&d * k);
            var = (&var + &d * &d * k) * (1.0 - k * 0.1);
        }
        (mean / var.mapv(f64::sqrt)).dot(v)
    }

    fn zero_iter(z, v, k) {
        let mut x = v.clone();
        for i in 0..z.nrows() - 4 {
            x = z.dot(&x) * i as f64;
        }
        for r in z.slice(s![4.., ..]).rows() {
            x += &r;
        }
        x.sum() * k
    }

    fn swap_rows(z, v, k) {
        let mut a = z.clone();
        for i in 0..2 {
            let (p, q) = (a.row(i).to_owned(), a.row(3 - i).to_owned());
            a.row_mut(i).assign(&q);
            a.row_mut(3 - i).assign(&(&p * k));
        }
        (&a * z).sum() + v.sum()
    }

    fn two_layers(z, v, k) {
        let ws = [z.clone(), z.t().to_owned(), z * k];
        let mut h = v.clone();
        for w in ws.iter() {
            h = w.dot(&h).mapv(|x| x.tanh());
        }
        for (w, s) in ws.iter().zip([0.1, 0.2, 0.3]) {
            h = h + w.dot(v) * s;
        }
        h.sum()
    }
}
