//! Values that are moved, copied, swapped, cloned and returned whole: tuples, structs and `Option`s keep the arrays that are
//! parts of them apart, in loops and branches too.

#![allow(clippy::all, clippy::pedantic, unused)] // Differentiated as users write them.

#[path = "support/differences.rs"]
mod differences;

use backprop::{Differentiable, backprop};
use differences::slope;

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct Item {
    u: f64,
    f: [f64; 2],
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Big {
    u: f64,
    v: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct Outer {
    c: Item,
    t: (f64, [f64; 2]),
}

#[allow(non_upper_case_globals)]
const lower: f64 = 3.0;

#[backprop]
fn relax(cells: &mut [Item], k: f64) -> f64 {
    for i in 0..3 {
        cells.swap(0, 1);
        let c = cells[1];
        cells[0] = Item {
            u: c.u * 0.5 * k,
            ..cells[0]
        };
        cells[i % 2].f[0] += c.f[1] * k;
    }
    let mut s = 0.0;
    for c in cells.iter() {
        s += c.u * c.f[0] + c.f[1] * c.f[1];
    }
    s
}

#[backprop]
fn rows(m: Vec<Vec<f64>>, k: f64) -> f64 {
    let mut m = m;
    m.swap(0, 1);
    let r = m[0].clone();
    m[1] = r.clone();
    m[0][0] *= k;
    m[1].iter().sum::<f64>() * m[0][0] + m[2][0] * k
}

#[backprop]
fn takes(s: &mut Big, k: f64) -> f64 {
    let v = std::mem::take(&mut s.u);
    let old = std::mem::replace(&mut s.v, vec![k, k]);
    s.v[0] += v;
    old[0] * s.v[0] * v + s.v[1] * old[1]
}

#[backprop]
fn clone_loop(x: f64, k: f64) -> f64 {
    let mut b = Big {
        u: x,
        v: vec![x, k, x * k],
    };
    for i in 0..3 {
        let c = b.clone();
        b.v[i] = c.v[(i + 1) % 3] * k + c.u;
        b.u *= c.v[i];
    }
    b.u + b.v.iter().sum::<f64>()
}

#[backprop]
fn swap_in_if(x: f64, k: f64) -> f64 {
    let mut a = Big {
        u: x,
        v: vec![x, k],
    };
    let mut b = Big {
        u: k,
        v: vec![k * k, 1.0],
    };
    if x > 0.0 {
        std::mem::swap(&mut a, &mut b);
    }
    a.v[0] *= 3.0;
    a.v[0] * b.v[0] + a.u * b.v[1]
}

#[backprop]
fn opt(x: f64, k: f64) -> f64 {
    let mut a = [x, k];
    let o = Some(a);
    a[0] = 5.0;
    if let Some(v) = o {
        v[0] * a[0] * k + v[1]
    } else {
        0.0
    }
}

#[backprop]
fn tuple_move(x: f64, k: f64) -> f64 {
    let v = vec![x, k];
    let t = (v, x);
    let mut w = t.0;
    w[0] *= k;
    let (a, b) = (w.clone(), w);
    let mut b = b;
    b[1] += a[0];
    a[0] * b[1] + a[1] * b[0]
}

#[backprop]
fn struct_copy(c: Item, k: f64) -> f64 {
    let mut d = c;
    d.f[0] *= k;
    let mut e = d;
    e.f[0] += d.f[0] * c.f[0];
    let arr = [c, d, e];
    let mut brr = arr;
    brr[0].f = arr[2].f;
    brr[0].f[1] *= k;
    arr[0].f[1] * brr[0].f[1] + brr[0].f[0] * arr[2].f[0] + e.f[0]
}

#[backprop]
fn fold_struct(xs: &[f64], k: f64) -> f64 {
    let r = xs.iter().fold(
        Item {
            u: k,
            f: [0.0, 1.0],
        },
        |mut c, &x| {
            let old = c;
            c.f[0] += x * old.f[1];
            c.f[1] = old.f[0] * k;
            c.u *= x;
            c
        },
    );
    r.u + r.f[0] * r.f[1]
}

#[backprop]
fn while_replace(x: f64, k: f64) -> f64 {
    let mut cur = Item { u: x, f: [x, k] };
    let mut prev = Item {
        u: 0.0,
        f: [1.0, k],
    };
    let mut n = 0;
    while n < 4 {
        let next = Item {
            u: cur.u * k + prev.u,
            f: [prev.f[1], cur.f[0] * k],
        };
        prev = std::mem::replace(&mut cur, next);
        prev.f[0] += cur.f[1];
        n += 1;
    }
    cur.u + cur.f[0] * prev.f[0] + prev.u
}

#[backprop]
fn assign_struct(x: f64, k: f64) -> f64 {
    let mut a = Item { u: x, f: [x, k] };
    let mut b = Item {
        u: k,
        f: [k * k, 1.0],
    };
    b = a;
    a.f[0] *= k;
    let mut c = a;
    c = b;
    c.f[1] += a.f[0];
    b.f[0] * a.f[0] + c.f[0] * c.f[1] + b.f[1]
}

#[backprop]
fn assign_tuple(x: f64, k: f64) -> f64 {
    let mut t = ([x, k], [k, 2.0]);
    t = (t.1, t.0);
    let mut s = t;
    s.0[0] *= x;
    t = s;
    s.1[0] += t.0[0];
    t.0[0] * s.1[0] + t.1[0] * s.0[1]
}

#[backprop]
fn assign_big(x: f64, k: f64) -> f64 {
    let mut a = Big {
        u: x,
        v: vec![x, k],
    };
    let mut b = Big {
        u: k,
        v: vec![k * k, 1.0, 3.0],
    };
    b = a.clone();
    a.v[0] *= k;
    let c = Big { u: k, ..b };
    a.v[1] = c.v[0];
    c.v[0] * a.v[0] + a.v[1] * c.u
}

#[backprop]
fn of_a_constant(x: f64, k: f64) -> f64 {
    let mut c = lower;
    let mut s = 0.;
    for _ in 0..3 {
        s += c * x * k;
        c = k;
    }
    s
}

#[backprop]
fn brk(x: f64, k: f64) -> f64 {
    let mut c = Item { u: x, f: [x, k] };
    let mut n = 0;
    let d = loop {
        c.f[n % 2] *= k;
        c.u += c.f[0];
        n += 1;
        if n > 2 {
            break c;
        }
    };
    c.f[0] = 7.0;
    d.f[0] * d.f[1] + d.u * c.f[0]
}

#[backprop]
fn early(x: f64, k: f64) -> Item {
    let mut c = Item { u: x, f: [x, k] };
    if x > 1.0 {
        return c;
    }
    c.f[0] *= k;
    for i in 0..3 {
        c.f[1] += k;
        if c.f[1] > 3.0 {
            return Item { u: k, f: c.f };
        }
    }
    c
}

#[backprop]
fn opts(x: f64, k: f64) -> f64 {
    let mut best: Option<[f64; 2]> = Some([k, k]);
    let mut a = [x, k];
    for i in 0..3 {
        a[0] *= k;
        if a[0] > 1.0 {
            best = Some(a);
        }
    }
    if let Some(b) = best {
        b[0] * a[0] + b[1]
    } else {
        k
    }
}

#[backprop]
fn swapif(a: [f64; 2], b: [f64; 2], k: f64) -> f64 {
    let (mut lo, mut hi) = (a, b);
    if lo[0] > hi[0] {
        std::mem::swap(&mut lo, &mut hi);
    }
    if k > 1.0 {
        (lo, hi) = (hi, lo);
    }
    lo[0] * k + hi[1] * hi[0] * k * k
}

#[backprop]
fn pairs(x: f64, k: f64) -> f64 {
    let mut t = ([x, k], 1.0);
    for i in 0..3 {
        t = ([t.0[1], t.0[0] * k], t.1 * t.0[0]);
    }
    t.0[0] + t.1 * t.0[1]
}

#[backprop]
fn iffy(x: f64, k: f64) -> f64 {
    let a = Item { u: x, f: [x, k] };
    let b = Item { u: k, f: [k, 2.0] };
    let mut c = if x > k { a } else { b };
    c.f[0] *= k;
    let d = match c.f[0] > 1.0 {
        true => c,
        false => a,
    };
    c.f[0] += a.f[0];
    d.f[0] * c.f[0] * b.f[0]
}

#[backprop]
fn nested(m: [[f64; 2]; 2], k: f64) -> f64 {
    let mut a = m;
    let mut prev = a;
    for i in 0..3 {
        let row = a[i % 2];
        a[(i + 1) % 2] = [row[1] * k, row[0]];
        let keep = prev;
        prev = a;
        a[0] = keep[1];
        prev[0][0] += a[1][0];
    }
    a[0][0] * a[1][1] * prev[0][0] + prev[1][0]
}

#[backprop]
fn closure_mut(x: f64, k: f64) -> f64 {
    let mut a = [x, k];
    let f = |b: [f64; 2]| {
        let mut b = b;
        b[0] *= k;
        b
    };
    let c = f(a);
    a[0] += c[0];
    let mut g = |v: f64| {
        a[1] += v;
        a
    };
    let d = g(k);
    let e = g(x);
    d[1] * e[1] * a[0]
}

#[backprop]
fn exchanged(cells: &mut [Item], k: f64) -> f64 {
    cells.swap(0, 1);
    cells[0].u + 10.0 * cells[1].f[0] * cells[0].f[0] * k
}

#[backprop]
fn replaced(cells: &mut [Item], k: f64) -> f64 {
    let new = Item { u: k, f: [k, 2.0] };
    let old = std::mem::replace(&mut cells[0], new);
    old.f[0] * cells[0].f[0] + old.u
}

#[backprop]
fn cloned(s: &mut Big, k: f64) -> f64 {
    let old = s.clone();
    s.v[0] = k;
    s.v[1] *= k;
    old.v[0] * s.v[1] + old.v[1]
}

#[backprop]
fn tuples(v: &mut [(f64, [f64; 2])], k: f64) -> f64 {
    v.swap(0, 1);
    v[0].0 + 10.0 * v[1].1[0] * v[0].1[0] * k
}

#[backprop]
fn in_a_list(s: &mut Big, k: f64) -> f64 {
    let mut all = vec![
        s.clone(),
        Big {
            u: k,
            v: vec![k; 2],
        },
    ];
    all.swap(0, 1);
    all[0].v[0] = k * s.v[1];
    all[1].v[0] * all[0].v[0] + all[1].v[1]
}

#[backprop]
fn given_away(s: &mut Big, k: f64) -> f64 {
    let mut m = Big {
        u: k,
        v: vec![k, k * k],
    };
    std::mem::swap(s, &mut m);
    s.v[0] * m.v[1] + m.u
}

#[backprop]
fn whole_out_of_a_reference(p: &mut Item, k: f64) -> f64 {
    let mut q = *p;
    q.f[0] *= k;
    p.f[0] + q.f[0] * p.u
}

#[backprop]
fn part_out_of_a_reference(p: &mut Item, k: f64) -> f64 {
    let mut f = p.f;
    f[0] *= k;
    p.f[0] * f[0]
}

#[backprop]
fn out_of_a_shared_reference(p: &Item, k: f64) -> f64 {
    let mut f = p.f;
    f[0] *= k;
    let mut q = *p;
    q.f[1] += k;
    p.f[0] * f[0] + q.f[1] * p.f[1]
}

#[backprop]
fn out_of_a_tuple(t: &(f64, [f64; 2]), k: f64) -> f64 {
    let mut f = t.1;
    let mut s = *t;
    s.1[0] = k;
    f[1] *= k;
    t.1[0] * f[1] + s.1[0] * t.1[1]
}

#[backprop]
fn through_a_reference(p: &mut Item, k: f64) -> f64 {
    p.f[0] *= k;
    p.u += p.f[0];
    p.u * p.f[0]
}

#[backprop]
fn nested_parts(o: &Outer, k: f64) -> f64 {
    let mut c = o.c;
    c.f[0] = k;
    let mut t = o.t;
    t.1[1] *= k;
    let r = &o.c;
    let mut z = *r;
    z.f[1] = k * k;
    c.f[0] * o.c.f[0] + t.1[1] * o.t.1[1] + z.f[1] * r.f[1]
}

#[backprop]
fn a_reference_and_its_copy(o: &mut Outer, k: f64) -> f64 {
    let c = &o.c;
    let d = *c;
    o.c.f[0] *= k;
    o.c.u = d.f[0] * k;
    o.t.1[0] += d.u * k;
    let old = o.t;
    o.t.1[1] = 7.0;
    old.1[1] * o.t.1[0] * o.c.u
}

#[backprop]
fn elements_by_reference(cells: &mut [Item], k: f64) -> f64 {
    let c = &mut cells[1];
    c.f[0] *= k;
    let mut d = *c;
    d.f[0] += k;
    let first = cells[0];
    cells[0].f[1] = d.f[0];
    for c in cells.iter_mut() {
        let mut e = *c;
        e.f[0] = 2.0 * k;
        c.f[1] *= e.f[0];
    }
    first.f[1] * cells[0].f[1] + cells[1].f[0]
}

#[backprop]
fn copies_of_elements(cells: &[Item], k: f64) -> f64 {
    let mut s = 0.0;
    for c in cells {
        let mut d = *c;
        d.f[0] *= k;
        let Item { f, .. } = c;
        let mut g = *f;
        g[1] = k;
        s += d.f[0] * c.f[0] + g[1] * f[1];
    }
    s
}

/// Value bit-equal, both passes as the fused one, the gradient as differences have it.
macro_rules! check {
    ($f:ident(x = $x:expr, k = $k:expr)) => {
        check!($f(; k = $k; $x));
        let x = $f::gradient($x, $k).x;
        let want = slope(|x| $f(x, $k), $x);
        assert!((x - want).abs() < 1e-7 * want.abs().max(1.0), "{}: d_x {x}, differences {want}", stringify!($f));
    };
    ($f:ident(; k = $k:expr; $($first:expr),*)) => {
        let (y, g) = $f::value_and_gradient($($first,)* $k);
        assert_eq!(y.to_bits(), $f($($first,)* $k).to_bits(), stringify!($f));
        let (two, saved) = $f::forward($($first,)* $k);
        assert_eq!(y.to_bits(), two.to_bits(), stringify!($f));
        // Sums of adjoints may have another order in the two.
        let split = $f::backward(&saved, 1.0).k;
        assert!((split - g.k).abs() <= 1e-15 * g.k.abs().max(1.0), "{}: {split}, {}", stringify!($f), g.k);
        let want = slope(|k| $f($($first,)* k), $k);
        assert!((g.k - want).abs() < 1e-7 * want.abs().max(1.0), "{}: d_k {}, differences {want}", stringify!($f), g.k);
    };
}

fn cells() -> [Item; 2] {
    [
        Item {
            u: 0.7,
            f: [1.1, 0.3],
        },
        Item {
            u: 1.7,
            f: [0.2, 0.5],
        },
    ]
}

fn big() -> Big {
    Big {
        u: 1.1,
        v: vec![0.3, 0.8],
    }
}

#[test]
fn places_behind_references() {
    check!(relax(; k = 1.3; &mut cells()));
    check!(exchanged(; k = 1.3; &mut cells()));
    check!(replaced(; k = 1.3; &mut cells()));
    check!(cloned(; k = 1.3; &mut big()));
    check!(takes(; k = 1.3; &mut big()));
    check!(in_a_list(; k = 1.3; &mut big()));
    check!(given_away(; k = 1.3; &mut big()));
    check!(tuples(; k = 1.3; &mut [(0.5, [1.0, 2.0]), (0.7, [3.0, 5.0])]));
}

#[test]
fn locals() {
    check!(rows(; k = 1.3; vec![vec![0.3, 0.5], vec![0.7, 0.2], vec![2.0, 1.0]]));
    check!(struct_copy(; k = 1.3; cells()[0]));
    check!(nested(; k = 1.3; [[0.1, 0.7], [0.3, 1.1]]));
    check!(fold_struct(; k = 1.3; &[0.3, 0.7, 1.9]));
    check!(tuple_move(x = 0.7, k = 1.3));
    check!(assign_struct(x = 0.7, k = 1.3));
    check!(assign_tuple(x = 0.7, k = 1.3));
    check!(assign_big(x = 0.7, k = 1.3));
    check!(opt(x = 0.7, k = 1.3));
    check!(closure_mut(x = 0.7, k = 1.3));
    check!(of_a_constant(x = 0.7, k = 1.3));
}

#[test]
fn out_of_references() {
    let item = cells()[0];
    let outer = || Outer {
        c: item,
        t: (0.4, [0.9, 1.7]),
    };
    check!(whole_out_of_a_reference(; k = 1.3; &mut item.clone()));
    check!(part_out_of_a_reference(; k = 1.3; &mut item.clone()));
    check!(out_of_a_shared_reference(; k = 1.3; &item));
    check!(out_of_a_tuple(; k = 1.3; &(0.3, [0.8, 1.4])));
    check!(through_a_reference(; k = 1.3; &mut item.clone()));
    let (shared, both) = (outer(), cells());
    check!(nested_parts(; k = 1.3; &shared));
    check!(a_reference_and_its_copy(; k = 1.3; &mut outer()));
    check!(elements_by_reference(; k = 1.3; &mut cells()));
    check!(copies_of_elements(; k = 1.3; &both));
}

#[test]
fn in_loops_and_branches() {
    check!(clone_loop(x = 0.7, k = 1.3));
    check!(while_replace(x = 0.7, k = 1.3));
    check!(brk(x = 0.7, k = 1.3));
    check!(opts(x = 0.7, k = 1.3));
    check!(pairs(x = 0.7, k = 1.3));
    for x in [-0.7, 0.7, 2.7] {
        check!(swap_in_if(x = x, k = 1.3));
        check!(iffy(x = x, k = 1.3));
    }
    check!(swapif(; k = 1.3; [0.2, 0.3], [0.1, 0.8]));
    check!(swapif(; k = 0.3; [0.2, 0.3], [0.1, 0.8]));
}

/// A struct that is returned from inside a loop.
#[test]
fn early_returns() {
    let weights = ItemGradient {
        u: 1.0,
        f: [0.5, 2.0],
    };
    for (x, k) in [(0.7, 1.3), (1.7, 1.3), (0.2, 0.1)] {
        let (y, saved) = early::forward(x, k);
        assert_eq!(y, early(x, k));
        let g = early::backward(&saved, weights.clone());
        let sum = |c: Item| c.u + 0.5 * c.f[0] + 2.0 * c.f[1];
        assert!((g.x - slope(|x| sum(early(x, k)), x)).abs() < 1e-7);
        assert!((g.k - slope(|k| sum(early(x, k)), k)).abs() < 1e-7);
    }
}
