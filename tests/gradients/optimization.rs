//! Test functions of optimisation, and roots found by iteration.

use crate::check::check;
use backprop::backprop;

#[test]
fn beale() {
    #[backprop]
    fn beale(x: f64, y: f64) -> f64 {
        let a = 1.5 - x + x * y;
        let b = 2.25 - x + x * y.powi(2);
        let c = 2.625 - x + x * y.powi(3);
        a * a + b * b + c * c
    }

    check!(beale(1.0, 2.0) = 126.453125, { x: 171.25, y: 278.0 });
    check!(beale(3.0, 0.5) = 0.0, { x: 0.0, y: 0.0 });
    check!(beale(-1.5, 0.3) = 36.25386525, { x: -18.097737, y: -17.465445 });
}

// Implicitly, dy/dP = 1 / (dP/dy).
#[test]
fn bond_yield_newton() {
    #[backprop]
    fn bond_yield_newton(price: f64, coupon: f64) -> f64 {
        let n = 5;
        let mut y = 0.05_f64;
        for _ in 0..30 {
            let mut pv = 0.0;
            let mut dpv = 0.0;
            for t in 1..=n {
                let cf = if t == n { 100.0 + coupon } else { coupon };
                let df = (1.0 + y).powi(-t);
                pv += cf * df;
                dpv -= t as f64 * cf * df / (1.0 + y);
            }
            let step = (pv - price) / dpv;
            y -= step;
            if step.abs() < 1e-13 {
                break;
            }
        }
        y
    }

    check!(bond_yield_newton(95.0, 4.0) = 0.05159986152509451, { price: -0.002396624231452451, coupon: 0.010330400178776808 });
    check!(bond_yield_newton(110.0, 6.5) = 0.042386480457884075, { price: -0.0021267656481130165, coupon: 0.009404841400968483 });
}

// Hundreds of iterations.
#[test]
fn fixed_point_cos() {
    #[backprop]
    fn fixed_point_cos(a: f64) -> f64 {
        let mut x = 0.5;
        let mut k = 0;
        loop {
            let n = (a * x).cos();
            let d = n - x;
            x = n;
            k += 1;
            if d.abs() < 1e-13 || k > 500 {
                break;
            }
        }
        x
    }

    check!(fixed_point_cos(0.8) = 0.8014178535169557, { a: -0.3242050300296899 });
    check!(fixed_point_cos(0.4) = 0.9313987395802772, { a: -0.2959406201278549 });
}

#[test]
fn himmelblau() {
    #[backprop]
    fn himmelblau(x: f64, y: f64) -> f64 {
        (x * x + y - 11.0).powi(2) + (x + y * y - 7.0).powi(2)
    }

    check!(himmelblau(1.0, 2.0) = 68.0, { x: -36.0, y: -32.0 });
    check!(himmelblau(3.0, 2.0) = 0.0, { x: 0.0, y: 0.0 });
    check!(himmelblau(-2.5, 3.1) = 2.7346, { x: 16.72, y: -1.935999999999993 });
}

// Implicitly, dE/dM = 1 / (1 − e·cos E).
#[test]
fn kepler_newton() {
    #[backprop]
    fn kepler_newton(ma: f64, e: f64) -> f64 {
        let mut ea = if e < 0.8 { ma } else { std::f64::consts::PI };
        for _ in 0..50 {
            let f = ea - e * ea.sin() - ma;
            let fp = 1.0 - e * ea.cos();
            let d = f / fp;
            ea -= d;
            if d.abs() < 1e-13 {
                break;
            }
        }
        ea
    }

    check!(kepler_newton(1.0, 0.3) = 1.2880913132118377, { ma: 1.0913293011504175, e: 1.0480083050499363 });
    check!(kepler_newton(2.5, 0.9) = 2.8008058643031317, { ma: 0.5410544572517267, e: 0.1808359484985195 });
    check!(kepler_newton(0.2, 0.05) = 0.2104447425593835, { ma: 1.0514107309982554, e: 0.2196342881889998 });
}

// dλ/dA = v·vᵀ.
#[test]
fn power_iteration() {
    #[backprop]
    fn power_iteration(a: f64, b: f64, c: f64) -> f64 {
        let mut v = [1.0, 0.5];
        let mut lam = 0.0;
        for _ in 0..60 {
            let w = [a * v[0] + b * v[1], b * v[0] + c * v[1]];
            let n = (w[0] * w[0] + w[1] * w[1]).sqrt();
            v = [w[0] / n, w[1] / n];
            lam = n;
        }
        lam
    }

    check!(power_iteration(3.0, 0.5, 1.0) = 3.118033988749895, { a: 0.947213595499958, b: 0.4472135954999579, c: 0.05278640450004206 });
    check!(power_iteration(2.0, -0.7, 0.4) = 2.263014581273465, { a: 0.876288347353439, b: -0.658504607868518, c: 0.12371165264656107 });
}

#[test]
fn rastrigin() {
    #[backprop]
    fn rastrigin(x: &[f64]) -> f64 {
        x.iter().fold(10.0 * x.len() as f64, |s, v| {
            s + v * v - 10.0 * (2.0 * std::f64::consts::PI * v).cos()
        })
    }

    check!(rastrigin(&[1.2, -0.7]) = 21.93, { x: [62.156643294831106, 58.35664329483111] });
    check!(rastrigin(&[0.0, 0.0]) = 0.0, { x: [0.0, 0.0] });
}

// Converges to the implicit derivative.
#[test]
fn secant_root() {
    #[backprop]
    fn secant_root(p: f64, q: f64) -> f64 {
        let mut x0 = 0.5;
        let mut x1 = 1.5;
        let mut f0 = x0 * x0 * x0 + p * x0 - q;
        for _ in 0..12 {
            let f1 = x1 * x1 * x1 + p * x1 - q;
            if f1.abs() < 1e-14 {
                break;
            }
            let x2 = x1 - f1 * (x1 - x0) / (f1 - f0);
            x0 = x1;
            f0 = f1;
            x1 = x2;
        }
        x1
    }

    check!(secant_root(1.0, 3.0) = 1.2134116627622296, { p: -0.22399639264904986, q: 0.1846004942289255 });
    check!(secant_root(2.0, 1.5) = 0.6268452758262435, { p: -0.19719525920255226, q: 0.3145836250303228 });
}

#[test]
fn styblinski_tang() {
    #[backprop]
    fn styblinski_tang(x: [f64; 3]) -> f64 {
        let mut s = 0.0;
        for v in x {
            s += v.powi(4) - 16.0 * v.powi(2) + 5.0 * v;
        }
        0.5 * s
    }

    check!(styblinski_tang([1.0, -2.0, 0.3]) = -33.96595, { x: [-11.5, 18.5, -2.246] });
    check!(styblinski_tang([0.94, -1.55, 0.359]) = -24.6626652389195, { x: [-10.878832, 19.85225, -3.151463442] });
}
