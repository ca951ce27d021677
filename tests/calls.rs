//! Calls of annotated functions and methods: tuples, arrays, `Vec`s and structs handed over and given back, `&mut` arguments,
//! methods of `self`. Each function is compared with differences, fused, split and accumulating, and its value bit for bit.

#![allow(clippy::needless_range_loop, clippy::assign_op_pattern)] // Differentiated as users write them.

use backprop::{Differentiable, backprop};

/// The point at which everything is compared.
const X: [f64; 2] = [0.7, 0.4];

/// Finite differences, good to some nine digits.
fn slope(f: impl Fn(f64) -> f64, x: f64) -> f64 {
    let h = 1e-3;
    let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    (d(2.0 * h) - 20.0 * d(h) + 64.0 * d(h / 2.0)) / 45.0
}

#[track_caller]
fn near(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-8 * want.abs().max(1.0),
        "got {got:e}, expected {want:e}"
    );
}

/// Compares all backward passes of a function of two numbers with differences.
macro_rules! agrees {
    ($($f:ident)*) => {$({
        let (y, g) = $f::value_and_gradient(&X);
        assert_eq!(y.to_bits(), $f(&X).to_bits(), stringify!($f));
        let (z, saved) = $f::forward(&X);
        assert_eq!(z.to_bits(), y.to_bits(), stringify!($f));
        let split = $f::backward(&saved, 1.0);
        assert_eq!(split, $f::backward(&saved, 1.0), stringify!($f));
        let mut added = [1.0; 2];
        $f::accumulate(&X, 2.0, &mut added);
        for i in 0..2 {
            let at = |v| { let mut x = X; x[i] = v; $f(&x) };
            let want = slope(at, X[i]);
            near(g.x[i], want);
            near(split.x[i], want);
            near((added[i] - 1.0) / 2.0, want);
        }
    })*};
}

#[backprop]
fn polar(x: f64, y: f64) -> (f64, f64) {
    ((x * x + y * y).sqrt(), y.atan2(x))
}

#[backprop]
fn scaled(x: &[f64], k: f64) -> Vec<f64> {
    x.iter().map(|v| v * v * k).collect()
}

#[backprop]
fn turned(x: [f64; 2], t: f64) -> [f64; 2] {
    let (s, c) = t.sin_cos();
    [c * x[0] - s * x[1], s * x[0] + c * x[1]]
}

#[backprop]
fn product(a: &[f64]) -> f64 {
    a[0] * a[0] * a[1]
}

mod elsewhere {
    use backprop::backprop;

    #[backprop(as = slopes)]
    pub fn both(x: f64, y: f64) -> (f64, [f64; 2]) {
        (x * y.sin(), [x, x * y])
    }
}

#[backprop]
fn tuples(x: &[f64; 2]) -> f64 {
    let (r, t) = polar(x[0], x[1]);
    let p = polar(r, t * 2.0);
    let (a, [b, c]) = elsewhere::both(p.0, p.1);
    r * t + p.0.sin() * p.1 + a * b - c
}

#[backprop]
fn arrays(x: &[f64; 2]) -> f64 {
    let v = scaled(x, x[0]);
    let mut p = [v[0], v[1]];
    for i in 0..4 {
        p = turned(p, v[1] * i as f64);
        if p[0] > 0.2 {
            p = turned(p, 0.3);
        }
    }
    p[0] * p[1] + v.iter().sum::<f64>()
}

#[backprop]
fn vecs_in_turn(x: &[f64; 2]) -> f64 {
    let mut v = vec![x[0], x[1], 0.5];
    for _ in 0..3 {
        v = scaled(&v, 1.0 + x[1]);
    }
    let unused = scaled(&v, 2.0);
    v[0] * v[1] + v[2] + unused[0] * 0.0
}

#[backprop]
fn parts_of_arrays(x: &[f64; 2]) -> f64 {
    let v = [x[0], x[1], x[0] * x[1], 0.2];
    let mut u = v;
    grow(&mut u[1..3], x[0]);
    product(&v[1..]) + product(&u[1..3]) * u[0]
}

#[test]
fn results_made_of_parts() {
    agrees!(tuples arrays vecs_in_turn parts_of_arrays);
}

#[backprop]
fn array_that_changes_later(x: &[f64; 2]) -> f64 {
    let mut a = [x[0], x[1]];
    let y = product(&a);
    a[0] = a[0] * y;
    a[0] + a[1]
}

#[backprop]
fn array_that_a_loop_changes(x: &[f64; 2]) -> f64 {
    let mut a = vec![x[0], x[1]];
    let mut s: f64 = 0.3;
    for _ in 0..3 {
        s += s.sin() * product(&a);
        a[0] = a[0] * s.cos();
    }
    s
}

#[backprop]
fn array_made_in_a_loop(x: &[f64; 2]) -> f64 {
    let mut s: f64 = 0.3;
    for i in 0..3 {
        let a = [x[0] * s, x[1] + i as f64];
        let b = vec![s, x[0]];
        if i != 1 {
            s += s.sin() * product(&a) * product(&b);
        }
    }
    s
}

#[backprop]
fn array_made_in_a_while(x: &[f64; 2]) -> f64 {
    let mut s: f64 = 0.3;
    let mut n = 0;
    while s < 2.0 && n < 5 {
        let b = vec![s, x[0] + x[1]];
        s += s.cos() * product(&b) + 0.1;
        n += 1;
    }
    s
}

#[test]
fn arrays_are_what_they_were_when_they_were_passed() {
    agrees!(array_that_changes_later array_that_a_loop_changes array_made_in_a_loop array_made_in_a_while);
}

#[derive(Clone, Copy, Debug, PartialEq, Differentiable)]
struct Spring {
    k: f64,
    l: f64,
}

#[derive(Clone, Differentiable)]
struct State {
    q: f64,
    p: [f64; 2],
    n: usize,
}

#[derive(Clone, Copy, Differentiable)]
struct Pair(f64, f64);

#[backprop]
fn stored(s: &Spring, at: f64) -> f64 {
    0.5 * s.k * (at - s.l) * (at - s.l)
}

#[backprop]
fn built(a: f64, b: f64) -> Spring {
    Spring { k: a * b, l: a + b }
}

#[backprop]
fn advanced(s: State, h: f64) -> State {
    State {
        q: s.q + h * s.p[0].sin(),
        p: [s.p[1], s.p[0] * s.q],
        n: s.n + 1,
    }
}

#[backprop]
fn crossed(t: (f64, Pair), k: &f64) -> (Pair, f64) {
    (Pair(t.0 * t.1.1, t.1.0 * k), t.0.sin())
}

#[backprop]
fn structs(x: &[f64; 2]) -> f64 {
    let s = built(x[0], x[1]);
    let t = Spring {
        k: s.l,
        l: 0.3 * x[1],
    };
    let mut state = State {
        q: x[0],
        p: [x[1], 0.3],
        n: 0,
    };
    for _ in 0..3 {
        state = advanced(state, 0.1 * s.k);
    }
    let (Pair(a, b), c) = crossed((x[0], Pair(x[1], s.k)), &x[0]);
    stored(&s, x[0]) * stored(&t, s.k)
        + state.q * state.p[0]
        + state.p[1] * state.n as f64
        + a * b
        + c
}

#[test]
fn structs_and_tuples_there_and_back() {
    agrees!(structs);
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Layer {
    w: Vec<f64>,
    b: [f64; 2],
    name: &'static str,
}

#[backprop]
fn applied(l: &Layer, x: &[f64]) -> f64 {
    let mut s = l.b[0];
    for i in 0..x.len() {
        s += l.w[i] * x[i];
    }
    s.tanh() * l.b[1]
}

#[backprop]
fn applied_twice(l: &Layer, x: &[f64]) -> f64 {
    let y = applied(l, x);
    y * applied(l, x) + l.b[0]
}

#[test]
fn a_parameter_passed_on_as_it_came() {
    let l = Layer {
        w: vec![0.1, 0.2],
        b: [0.3, 0.4],
        name: "first",
    };
    let x = [1.0, 2.0];
    let (y, g) = applied_twice::value_and_gradient(&l, &x);
    assert_eq!(y, applied_twice(&l, &x));
    let (_, saved) = applied_twice::forward(&l, &x);
    assert_eq!(applied_twice::backward(&saved, 1.0), g);
    let with = |i: usize, v: f64| {
        let mut l = l.clone();
        l.w[i] = v;
        applied_twice(&l, &x)
    };
    near(g.l.w[0], slope(|v| with(0, v), 0.1));
    near(g.l.w[1], slope(|v| with(1, v), 0.2));
    near(g.x[1], slope(|v| applied_twice(&l, &[1.0, v]), 2.0));
    assert_eq!(l.name, "first");
}

#[backprop]
fn grow(u: &mut [f64], h: f64) {
    for i in 0..u.len() {
        u[i] += h * u[i] * u[i];
    }
}

#[backprop]
fn exchange(a: &mut f64, b: &mut f64) {
    let t = *a;
    *a = *b * t;
    *b = t.sin();
}

#[backprop]
fn kick(s: &mut State, h: f64) {
    s.q += h * s.p[0];
    s.p[0] -= h * s.q.sin();
    s.n += 1;
}

#[backprop]
fn places(x: &[f64; 2]) -> f64 {
    let mut u = vec![x[0], x[1], 0.1];
    let mut state = State {
        q: x[0],
        p: [x[1], 0.3],
        n: 0,
    };
    let (mut a, mut b) = (x[0], x[1]);
    for _ in 0..3 {
        grow(&mut u, 0.2 * x[0]);
        exchange(&mut a, &mut b);
        kick(&mut state, 0.3);
    }
    exchange(&mut a, &mut u[1]);
    u[0] * u[1] + u[2] + a * b + state.q * state.p[0] * state.n as f64
}

#[backprop]
fn places_in_branches(x: &[f64; 2]) -> f64 {
    let mut u = [x[0], x[1]];
    if x[0] > 0.1 {
        grow(&mut u, x[1]);
    } else {
        u[0] = 2.0;
    }
    let w = u;
    let e = product(&u);
    grow(&mut u, e);
    u[0] * u[1] * w[1]
}

#[backprop]
fn rows(x: &[f64; 2]) -> f64 {
    let mut m = [[x[0], 0.2], [x[1], x[0] * x[1]]];
    for i in 0..2 {
        grow(&mut m[i], 0.5);
    }
    m[0][0] * m[1][1] + m[1][0] * m[0][1]
}

#[test]
fn what_is_behind_a_mutable_reference_is_given_and_taken_back() {
    agrees!(places places_in_branches rows);
}

#[backprop]
fn integrate(u: &mut [f64], h: f64, steps: usize) {
    for _ in 0..steps {
        grow(u, h);
    }
}

#[test]
fn a_mutable_parameter_passed_on() {
    let run = |u: [f64; 2], h| {
        let mut u = u;
        integrate(&mut u, h, 4);
        2.0 * u[0] - u[1]
    };
    let mut u = X;
    let ((), saved) = integrate::forward(&mut u, 0.3, 4);
    let mut plain = X;
    integrate(&mut plain, 0.3, 4);
    assert_eq!(u, plain);
    let g = integrate::backward(&saved, vec![2.0, -1.0]);
    near(g.u[0], slope(|v| run([v, X[1]], 0.3), X[0]));
    near(g.u[1], slope(|v| run([X[0], v], 0.3), X[1]));
    near(g.h, slope(|h| run(X, h), 0.3));
}

impl Spring {
    #[backprop(wrt(self, at))]
    fn energy(&self, at: f64) -> f64 {
        0.5 * self.k * (at - self.l) * (at - self.l)
    }

    #[backprop(wrt(self, by))]
    fn stretched(self, by: f64) -> Spring {
        Spring {
            k: self.k * by,
            l: self.l.sin(),
        }
    }

    #[backprop(wrt(self))]
    fn relax(&mut self, n: usize) {
        for _ in 0..n {
            self.l += 0.1 * self.k * self.l;
        }
        self.k = self.k.cos();
    }

    #[backprop]
    fn force(&self, x: f64) -> f64 {
        self.k * (self.l - x) * x
    }

    #[backprop]
    fn work(&self, x: f64) -> f64 {
        self.force(x) * x + Self::power(x, 2)
    }

    #[backprop(associated)]
    fn power(x: f64, n: i32) -> f64 {
        x.powi(n)
    }

    #[backprop(wrt(self, x))]
    fn total(&self, x: f64) -> f64 {
        self.energy(x) + self.stretched(x).energy(2.0 * x)
    }
}

#[backprop]
fn methods(x: &[f64; 2]) -> f64 {
    let s = Spring { k: x[0], l: x[1] };
    let t = s.stretched(x[1]);
    let mut e = 0.0;
    for i in 0..3 {
        e += t.energy(i as f64 * x[0]) * s.energy(e);
    }
    e + Spring::energy(&t, 0.3)
}

#[backprop]
fn methods_that_change(x: &[f64; 2]) -> f64 {
    let mut s = Spring { k: x[0], l: x[1] };
    for i in 0..3 {
        s.relax(i);
        if s.k > 0.2 {
            s.relax(2);
        }
    }
    let springs = [s, Spring { k: x[1], l: 0.3 }];
    let mut e = 0.0;
    for p in springs.iter() {
        e += p.total(x[0]);
    }
    e + springs[1].energy(x[0])
}

#[test]
fn methods_are_called_like_functions() {
    agrees!(methods methods_that_change);
}

#[test]
fn methods_with_respect_to_self() {
    let s = Spring { k: 2.0, l: 0.5 };
    let want = (SpringGradient { k: 0.5, l: -2.0 }, 2.0);
    assert_eq!(s.energy_value_and_gradient(1.5), (1.0, want.clone()));
    assert_eq!(s.energy_gradient(1.5), want);
    let (e, saved) = s.energy_forward(1.5);
    assert_eq!((e, s.energy_backward(&saved, 1.0)), (1.0, want));
    let (mut ds, mut dx) = (SpringGradient { k: 1.0, l: 0.0 }, 0.0);
    assert_eq!(s.energy_accumulate(1.5, 2.0, &mut ds, &mut dx), 1.0);
    assert_eq!((ds, dx), (SpringGradient { k: 2.0, l: -4.0 }, 4.0));

    let (y, (ds, dx)) = s.total_value_and_gradient(1.5);
    assert_eq!(y, s.total(1.5));
    near(ds.k, slope(|k| Spring { k, ..s }.total(1.5), s.k));
    near(ds.l, slope(|l| Spring { l, ..s }.total(1.5), s.l));
    near(dx, slope(|x| s.total(x), 1.5));

    // Of a method that changes `self` the contents on entry get the gradient.
    let mut u = s;
    let ((), saved) = u.relax_forward(3);
    let mut plain = s;
    plain.relax(3);
    assert_eq!(u, plain);
    let (d,) = u.relax_backward(&saved, SpringGradient { k: 1.0, l: 1.0 });
    let run = |mut s: Spring| {
        s.relax(3);
        s.k + s.l
    };
    near(d.k, slope(|k| run(Spring { k, ..s }), s.k));
    near(d.l, slope(|l| run(Spring { l, ..s }), s.l));
}

#[test]
fn self_is_constant_where_wrt_does_not_name_it() {
    let s = Spring { k: 2.0, l: 0.5 };
    let (y, (dx,)) = s.work_value_and_gradient(1.5);
    assert_eq!(y, s.work(1.5));
    near(dx, slope(|x| s.work(x), 1.5));
}

#[backprop]
fn even(x: f64, n: u32) -> f64 {
    if n == 0 { x } else { odd(x * 1.5, n - 1) + x }
}

#[backprop]
fn odd(x: f64, n: u32) -> f64 {
    if n == 0 {
        x * x
    } else {
        even(x.sin(), n - 1) * x
    }
}

#[backprop]
fn recursion(x: &[f64; 2]) -> f64 {
    even(x[0], 3) * odd(x[1], 2)
}

#[test]
fn functions_that_call_each_other() {
    agrees!(recursion);
}

#[backprop]
fn damped<const N: usize>(v: [f64; N], k: f64) -> [f64; N] {
    v.map(|x| x * k.exp())
}

#[backprop]
fn generic_lengths(x: &[f64; 2]) -> f64 {
    let v = damped([x[0], x[1], 0.2], 0.3 * x[0]);
    v[0] * v[1] + v[2]
}

#[test]
fn lengths_follow_from_arguments() {
    agrees!(generic_lengths);
}

/// Not in this file, as far as the macro can tell: the type says what comes back.
macro_rules! hidden {
    ($name:ident) => {
        #[backprop]
        fn $name(x: f64, v: &mut [f64; 2]) {
            v[0] *= x;
            v[1] += v[0].sin();
        }
    };
}
hidden!(unseen);

mod unseen_pair {
    macro_rules! hidden {
        ($name:ident) => {
            #[backprop::backprop]
            pub fn $name(x: f64) -> (f64, f64) {
                (x.sin(), x * x)
            }
        };
    }
    hidden!(pair);
}

#[backprop]
fn signatures_not_in_sight(x: &[f64; 2]) -> f64 {
    let (a, b): (f64, f64) = unseen_pair::pair(x[0]);
    let mut v = [a, x[1]];
    unseen(b, &mut v);
    v[0] * v[1]
}

#[test]
fn the_type_of_a_result_may_be_written_out() {
    agrees!(signatures_not_in_sight);
}
