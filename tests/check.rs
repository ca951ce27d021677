//! `#[backprop(check)]`: what passes compiles, here; what does not is in `ui/check`. What cannot be evaluated while
//! compiling is a generated test, of which this file holds several: they run with the rest.

use backprop::backprop;

#[path = "check/own_detach.rs"]
mod own_detach;

#[backprop(check)]
fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

#[backprop(check(
    domain(w in -3.0..3.0, x in -3.0..3.0),
    points = 16,
    seed = 7,
    at(w = [2.0, -3.0, -3.0], x = [-1.0, -2.0]),
    value = 0.731,
    gradient(w = [-0.197, -0.393, 0.197], x = [0.393, -0.590]),
    tolerance = 1e-3
))]
fn lecture(w: [f64; 3], x: &[f64; 2]) -> f64 {
    1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
}

#[backprop(check(domain(x > 0.0, p > 0.5, p < 1.5), len(x = 6)))]
fn power_sum(x: &[f64], p: f64) -> f64 {
    x.iter().map(|v| v.powf(p)).sum::<f64>().ln()
}

// Results of any shape, an integer, a constant of the body, a const generic parameter.
#[backprop(check(len(N = 5), domain(n in 2..6)))]
fn horner<const N: usize>(c: [f64; N], x: f64, n: usize) -> (f64, [f64; 2]) {
    const SCALE: f64 = 0.5;
    let mut y = 0.0;
    for k in (0..N).rev() {
        y = y * x + c[k];
    }
    (y * SCALE, [y.powi(2), n as f64 * x])
}

#[backprop(check)]
fn generic<T: num_traits::Float>(x: T, y: T) -> T {
    (x * y).tanh() + x.sin()
}

#[test]
fn checked_functions_are_differentiated() {
    let (y, g) = neuron::value_and_gradient(&[2.0, -3.0, -3.0], &[-1.0, -2.0]);
    assert_eq!(y, lecture([2.0, -3.0, -3.0], &[-1.0, -2.0]));
    assert_eq!(g.w, lecture::gradient([2.0, -3.0, -3.0], &[-1.0, -2.0]).w);
    assert!(power_sum::gradient(&[1.0, 2.0], 1.0).p.is_finite());
    assert!(generic::gradient(0.3, 0.4_f64).x.is_finite());
    let (_, saved) = horner::forward([1.0, 2.0], 0.5, 3);
    assert!(horner::backward(&saved, (1.0, [1.0, 1.0])).x.is_finite());
}

/// What the macro cannot see: calls and constants from elsewhere, and what generated tests are made of in spite of them.
mod deferred {
    use backprop::backprop;

    const DIM: usize = 3;
    static TABLE: [f64; 2] = [0.25, 4.0];

    #[backprop(check(domain(x > 0.0)))]
    pub fn scaled(x: [f64; DIM], k: usize, flag: bool, y: &[Vec<f64>]) -> f64 {
        let sign = if flag { 1.0 } else { -1.0 };
        sign * x[k - 1].ln() * TABLE[0] + x[0] * x[2] + y[0][1] * y[1][0]
    }

    #[backprop(check(at(a = 0.5, b = [1.0, -2.0]), value = -0.6648, gradient(b = [0.6648, 0.6648]), tolerance = 1e-3))]
    pub fn outer(a: f64, b: &[f64]) -> f64 {
        let s = b[0] + b[1];
        inner(a, 1.0) * s
    }

    #[backprop]
    pub fn inner(a: f64, b: f64) -> f64 {
        (a * b).exp().sin() * 0.667
    }

    // Changed in place: with nothing returned what they hold in the end is the result.
    #[backprop(check(len(u = 5)))]
    pub fn diffused(u: &mut [f64], k: f64) {
        for i in 1..u.len() {
            u[i] += k * TABLE[0] * u[i - 1].sin();
        }
    }

    #[backprop(check)]
    pub fn turned(x: &mut f64, v: &mut [f64; 2], a: f64) {
        let (p, q) = (*x, v[0]);
        *x = p * a.cos() - q * TABLE[1];
        v[0] = p * q + v[1];
    }

    #[backprop(check)]
    pub fn counted(v: &mut [f64; 3], x: f64) -> f64 {
        v[0] *= x;
        let mut u = [x, v[0], x * v[2]];
        diffused(&mut u, v[1]);
        u[2] * TABLE[1] + u[1]
    }

    #[backprop(check)]
    pub fn single(x: f32, y: &[f32; 2]) -> (f32, f32) {
        let t = TABLE[1] as f32;
        (x * t + y[0], (x * y[1]).sin())
    }

    #[backprop(check(len(N = 2)))]
    pub fn generic<T: num_traits::Float, const N: usize>(x: [T; N], y: &T) -> T {
        let mut s = *y;
        for v in x {
            s = s * v + T::epsilon();
        }
        s
    }
}

#[test]
fn deferred_functions_are_differentiated() {
    let g = deferred::outer::gradient(0.5, &[1.0, -2.0]);
    let (_, saved) = deferred::turned::forward(&mut 2.0, &mut [3.0, 4.0], 0.0);
    assert_eq!(deferred::turned::backward(&saved, (1.0, [0.0; 2])).x, 1.0);
    let (y, _) = deferred::counted::value_and_gradient(&mut [1.0, 2.0, 3.0], 0.5);
    assert_eq!(y, deferred::counted(&mut [1.0, 2.0, 3.0], 0.5));
    let ((), saved) = deferred::diffused::forward(&mut [1.0, 2.0], 0.0);
    assert_eq!(
        deferred::diffused::backward(&saved, vec![1.0, 1.0]).u,
        [1.0, 1.0]
    );
    assert!((g.a + deferred::inner::gradient(0.5, 1.0).a).abs() < 1e-12);
    assert_eq!(
        deferred::scaled::gradient([1.0, 2.0, 3.0], 1, true, &[vec![1.0, 2.0], vec![3.0]]).x[2],
        1.0
    );
    let (_, saved) = deferred::single::forward(1.0, &[2.0, 3.0]);
    assert_eq!(deferred::single::backward(&saved, (1.0, 0.0)).x, 4.0);
    assert!(deferred::generic::gradient([1.0, 2.0], &0.5).y > 1.9);
}

/// Methods that read `self`, which the user spells out: a struct, a tuple struct, parts and elements of these.
mod methods {
    use backprop::backprop;

    struct Spring {
        k: f64,
        rest: Rest,
        modes: Vec<f64>,
        n: i32,
    }

    struct Rest(f64, [f64; 2]);

    impl Spring {
        #[backprop(check(
            self = Spring { k: 3.0, rest: Rest(0.5, [0.0, -1.0]), modes: vec![1.0, 0.25], n: 2 },
            points = 8,
            at(x = 1.5),
            value = 4.4375,
            gradient(x = 7.0)
        ))]
        fn energy(&self, x: f64) -> f64 {
            let d = x - self.rest.0;
            let mut e = 0.5 * self.k * d.powi(self.n);
            for k in 0..self.modes.len() {
                e += self.modes[k] * (x * x + self.rest.1[k]);
            }
            e + x * 0.25
        }
    }

    struct Scale(f64);

    impl Scale {
        #[backprop(check(self = Self(2.0), domain(x > 0.0)))]
        fn apply(&self, x: f64) -> f64 {
            x.ln() * self.0
        }
    }

    #[test]
    fn they_are_differentiated() {
        let spring = Spring {
            k: 3.0,
            rest: Rest(0.5, [0.0, -1.0]),
            modes: vec![1.0, 0.25],
            n: 2,
        };
        assert_eq!(
            spring.energy_value_and_gradient(1.5),
            (spring.energy(1.5), (7.0,))
        );
        assert_eq!(Scale(2.0).apply_gradient(4.0), (0.5,));
    }
}

/// `detach` stops a gradient, wherever its path comes from; a function of that name of the user's is the user's.
mod detached {
    use super::own_detach as own;
    use backprop::{backprop, detach};

    #[backprop(check)]
    fn target(w: f64, x: &[f64]) -> f64 {
        let mut s = 0.0;
        for v in x {
            let goal = detach((w * v).tanh()) + 0.5;
            s += (w * v - goal).powi(2);
        }
        s * ::backprop::detach(w.abs()).exp()
    }

    #[test]
    fn nothing_goes_through() {
        let (w, x) = (0.7, [0.3, -1.1]);
        let (y, g) = target::value_and_gradient(w, &x);
        assert_eq!(y, target(w, &x));
        let outer = w.abs().exp();
        let want: f64 = x
            .iter()
            .map(|v| 2.0 * (w * v - (w * v).tanh() - 0.5) * v)
            .sum();
        approx::assert_relative_eq!(g.w, want * outer, max_relative = 1e-12);
        let (_, saved) = target::forward(w, &x);
        assert_eq!(target::backward(&saved, 1.0), g);
    }

    #[test]
    fn a_function_of_that_name_is_differentiated() {
        assert_eq!(own::through::gradient(3.0).x, 12.0);
        assert_eq!(own::imported::stopped::gradient(3.0).x, 3.0);
    }
}
