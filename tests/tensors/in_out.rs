//! Arrays that are changed in place: `&mut Array`, `ArrayViewMut`, `&mut f64`; differentiated with respect to what they hold on entry.

use super::agree::{close, numbers, slope};
use backprop::{Float, backprop};
use ndarray::*;

/// The largest difference of two arrays.
fn apart<D: Dimension>(a: &Array<f64, D>, b: &Array<f64, D>) -> f64 {
    (a - b).mapv(f64::abs).sum()
}

#[backprop]
fn diffuse(u: &mut Array1<f64>, k: f64, steps: usize) -> f64 {
    let n = u.len();
    for _ in 0..steps {
        let lap = &u.slice(s![..-2]) + &u.slice(s![2..]) - &u.slice(s![1..-1]) * 2.0;
        u.slice_mut(s![1..n - 1])
            .zip_mut_with(&lap, |x, &l| *x += k * l + 0.1 * *x * *x);
    }
    u.dot(u)
}

#[test]
fn an_array_changed_in_place() {
    let (start, k) = (numbers(6, 1), 0.2);
    let value = |u: &Array1<f64>, k| diffuse(&mut u.clone(), k, 3);
    let mut after = start.clone();
    let y = diffuse(&mut after, k, 3);
    let mut u = start.clone();
    let (z, g) = diffuse::value_and_gradient(&mut u, k, 3);
    close(z, y, 1e-13, "the value");
    close(apart(&u, &after), 0.0, 1e-13, "what is left");
    for (i, &found) in g.u.indexed_iter() {
        let expected = slope(|h| {
            let mut u = start.clone();
            u[i] += h;
            value(&u, k)
        });
        close(found, expected, 1e-8, "u");
    }
    close(g.k, slope(|h| value(&start, k + h)), 1e-8, "k");

    let mut u = start.clone();
    let (z, saved) = diffuse::forward(&mut u, k, 3);
    close(z, y, 1e-13, "the value");
    close(apart(&u, &after), 0.0, 1e-13, "what is left");
    // The caller may go on changing it.
    u.fill(0.0);
    for _ in 0..2 {
        let again = diffuse::backward(&saved, 1.0);
        close(apart(&again.u, &g.u), 0.0, 1e-13, "backward");
        close(again.k, g.k, 1e-13, "backward");
    }
    let mut u = start.clone();
    let (mut du, mut dk) = (Array1::ones(6), 2.0);
    diffuse::accumulate(&mut u, k, 3, 1.0, &mut du, &mut dk);
    close(apart(&u, &after), 0.0, 1e-13, "what is left");
    close(apart(&du, &(&g.u + 1.0)), 0.0, 1e-13, "added");
    close(dk, g.k + 2.0, 1e-13, "added");
    let mut workspace = DiffuseWorkspace::default();
    for _ in 0..2 {
        let mut u = start.clone();
        let (z, with) = diffuse::value_and_gradient_with(&mut workspace, &mut u, k, 3);
        assert_eq!((z, with), (y, &g));
        close(apart(&u, &after), 0.0, 1e-13, "what is left");
        let mut u = start.clone();
        diffuse::value_and_gradient_into(&mut u, k, 3, &mut du, &mut dk);
        assert_eq!((&du, dk), (&g.u, g.k));
    }
}

#[backprop]
fn leapfrog(mut q: ArrayViewMut1<f64>, p: &mut ArrayRef1<f64>, w: &Array2<f64>, h: f64) {
    for _ in 0..3 {
        let force = w.dot(&q.mapv(f64::sin));
        p.scaled_add(-0.5 * h, &force);
        q.scaled_add(h, p);
        let force = w.dot(&q.mapv(f64::sin));
        p.scaled_add(-0.5 * h, &force);
    }
}

#[test]
fn a_function_that_returns_nothing() {
    let (q0, p0, w, h) = (numbers(3, 1), numbers(3, 2), numbers((3, 3), 3), 0.3);
    let (a, b) = (numbers(3, 4), numbers(3, 5));
    let run = |q: &Array1<f64>, p: &Array1<f64>, w: &Array2<f64>, h| {
        let (mut q, mut p) = (q.clone(), p.clone());
        leapfrog(q.view_mut(), &mut p, w, h);
        (q, p)
    };
    let weigh = |q: &Array1<f64>, p: &Array1<f64>, w: &Array2<f64>, h| {
        let (q, p) = run(q, p, w, h);
        q.dot(&a) + p.dot(&b)
    };
    let (after_q, after_p) = run(&q0, &p0, &w, h);
    let (mut q, mut p) = (q0.clone(), p0.clone());
    let ((), saved) = leapfrog::forward(q.view_mut(), &mut p, &w, h);
    close(
        apart(&q, &after_q) + apart(&p, &after_p),
        0.0,
        1e-13,
        "left",
    );
    let g = leapfrog::backward(&saved, (a.clone(), b.clone()));
    let check = |found: f64, f: &dyn Fn(&mut Array1<f64>, &mut Array1<f64>, f64), what: &str| {
        let at = |h: f64| {
            let (mut q, mut p) = (q0.clone(), p0.clone());
            f(&mut q, &mut p, h);
            (q, p)
        };
        let expected = slope(|e| {
            let (q, p) = at(e);
            weigh(&q, &p, &w, h)
        });
        close(found, expected, 1e-8, what);
    };
    for i in 0..3 {
        check(g.q[i], &|q, _, e| q[i] += e, "q");
        check(g.p[i], &|_, p, e| p[i] += e, "p");
    }
    for (i, &found) in g.w.indexed_iter() {
        let expected = slope(|e| {
            let mut w = w.clone();
            w[i] += e;
            weigh(&q0, &p0, &w, h)
        });
        close(found, expected, 1e-8, "w");
    }
    close(g.h, slope(|e| weigh(&q0, &p0, &w, h + e)), 1e-8, "h");
    let (mut q, mut p) = (q0.clone(), p0.clone());
    let (mut dq, mut dp) = (Array1::zeros(3), Array1::zeros(3));
    let (mut dw, mut dh) = (Array2::zeros((3, 3)), 0.0);
    let upstream = (a.clone(), b.clone());
    leapfrog::accumulate(
        q.view_mut(),
        &mut p,
        &w,
        h,
        upstream,
        &mut dq,
        &mut dp,
        &mut dw,
        &mut dh,
    );
    close(
        apart(&q, &after_q) + apart(&p, &after_p),
        0.0,
        1e-13,
        "left",
    );
    close(apart(&dq, &g.q) + apart(&dw, &g.w), 0.0, 1e-13, "added");
}

#[backprop]
fn normalise<T: Float>(x: &mut Array2<T>) {
    let n = x.mapv(|v| v * v).sum();
    if n == T::zero() {
        return;
    }
    *x /= n.sqrt();
}

#[test]
fn one_array_and_no_result() {
    let x0 = numbers((2, 3), 1);
    let up = numbers((2, 3), 2);
    for x0 in [x0, Array2::zeros((2, 3))] {
        let f = |x: &Array2<f64>| {
            let mut x = x.clone();
            normalise(&mut x);
            (&x * &up).sum()
        };
        let mut x = x0.clone();
        let ((), saved) = normalise::forward(&mut x);
        let mut after = x0.clone();
        normalise(&mut after);
        close(apart(&x, &after), 0.0, 1e-13, "left");
        let g = normalise::backward(&saved, up.clone());
        if x0[[0, 0]] == 0.0 {
            assert_eq!(g.x, up);
            continue;
        }
        for (i, &found) in g.x.indexed_iter() {
            let expected = slope(|h| {
                let mut x = x0.clone();
                x[i] += h;
                f(&x)
            });
            close(found, expected, 1e-8, "x");
        }
    }
}

/// Exchanged, turned, handed on under other names, replaced, left as they are.
#[backprop]
fn moved(
    a: &mut Array2<f64>,
    b: &mut Array2<f64>,
    c: &mut Array2<f64>,
    s: &mut f64,
    n: usize,
) -> f64 {
    std::mem::swap(a, b);
    a.swap_axes(0, 1);
    let first = a;
    first[[0, 1]] *= *s;
    let row = first.row(1).to_owned();
    for mut r in b.rows_mut() {
        r += &row;
        if n > 2 {
            *s += r.sum();
        }
    }
    let kept = c.clone();
    *s *= 2.0;
    if n > 1 {
        *b = first.dot(&*b);
        return (&kept * &*b).sum() + *s;
    }
    *s
}

#[test]
fn arrays_exchanged_and_replaced() {
    let (a0, b0, c0) = (numbers((2, 2), 1), numbers((2, 2), 2), numbers((2, 2), 3));
    for n in 1..4 {
        let run = |a: &Array2<f64>, b: &Array2<f64>, c: &Array2<f64>, s: f64| {
            let (mut a, mut b, mut c, mut s) = (a.clone(), b.clone(), c.clone(), s);
            let y = moved(&mut a, &mut b, &mut c, &mut s, n);
            (y, a, b, c, s)
        };
        let (y, a1, b1, c1, s1) = run(&a0, &b0, &c0, 0.7);
        let (mut a, mut b, mut c, mut s) = (a0.clone(), b0.clone(), c0.clone(), 0.7);
        let (z, g) = moved::value_and_gradient(&mut a, &mut b, &mut c, &mut s, n);
        close(z, y, 1e-13, "the value");
        close(s, s1, 1e-13, "s left");
        close(
            apart(&a, &a1) + apart(&b, &b1) + apart(&c, &c1),
            0.0,
            1e-13,
            "left",
        );
        let (mut a, mut b, mut c, mut s) = (a0.clone(), b0.clone(), c0.clone(), 0.7);
        let (_, saved) = moved::forward(&mut a, &mut b, &mut c, &mut s, n);
        close(s, s1, 1e-13, "s left");
        close(
            apart(&a, &a1) + apart(&b, &b1) + apart(&c, &c1),
            0.0,
            1e-13,
            "left",
        );
        assert_eq!(moved::backward(&saved, 1.0), g);
        for i in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let with = |m: &Array2<f64>, h: f64| {
                let mut m = m.clone();
                m[i] += h;
                m
            };
            close(
                g.a[i],
                slope(|h| run(&with(&a0, h), &b0, &c0, 0.7).0),
                1e-8,
                "a",
            );
            close(
                g.b[i],
                slope(|h| run(&a0, &with(&b0, h), &c0, 0.7).0),
                1e-8,
                "b",
            );
            close(
                g.c[i],
                slope(|h| run(&a0, &b0, &with(&c0, h), 0.7).0),
                1e-8,
                "c",
            );
        }
        close(g.s, slope(|h| run(&a0, &b0, &c0, 0.7 + h).0), 1e-8, "s");
    }
}

/// The first sum above a bound, and what stands then; the state is constant.
#[backprop(wrt(x))]
fn until(state: &mut Array1<f64>, x: &Array1<f64>) {
    for i in 0..x.len() {
        state.scaled_add(x[i], x);
        if state.sum() > 0.5 {
            return;
        }
    }
    state.fill(0.0);
}

#[test]
fn left_in_the_middle() {
    let x0 = arr1(&[0.3, 0.5, -0.2, 0.7]);
    for start in [0.0, -3.0, 1.0] {
        let s0 = Array1::from_elem(4, start);
        let up = numbers(4, 3);
        let mut state = s0.clone();
        let ((), saved) = until::forward(&mut state, &x0);
        let mut after = s0.clone();
        until(&mut after, &x0);
        close(apart(&state, &after), 0.0, 1e-13, "left");
        let g = until::backward(&saved, up.clone());
        for i in 0..4 {
            let expected = slope(|h| {
                let (mut x, mut s) = (x0.clone(), s0.clone());
                x[i] += h;
                until(&mut s, &x);
                s.dot(&up)
            });
            close(g.x[i], expected, 1e-8, "x");
        }
    }
}
