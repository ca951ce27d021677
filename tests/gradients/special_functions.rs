//! Series, continued fractions, splines and other approximations.

use crate::check::check;
use backprop::backprop;

// K(0.5) = 1.685750354812596.
#[test]
fn agm_elliptic_k() {
    #[backprop]
    fn agm_elliptic_k(k: f64) -> f64 {
        let mut a = 1.0;
        let mut b = (1.0 - k * k).sqrt();
        while (a - b).abs() > 1e-15 {
            let an = 0.5 * (a + b);
            b = (a * b).sqrt();
            a = an;
            if (a - b).abs() < 1e-14 {
                break;
            }
        }
        std::f64::consts::FRAC_PI_2 / a
    }

    check!(agm_elliptic_k(0.5) = 1.685750354812596, { k: 0.5417318486132803 });
    check!(agm_elliptic_k(0.9) = 2.280549138422769, { k: 4.318086061293962 });
}

// J₀′ = −J₁.
#[test]
fn bessel_j0_series() {
    #[backprop]
    fn bessel_j0_series(x: f64) -> f64 {
        let q = -0.25 * x * x;
        let mut t = 1.0;
        let mut s = 1.0;
        let mut k = 1.0;
        loop {
            t *= q / (k * k);
            s += t;
            if t.abs() < 1e-17 {
                break;
            }
            k += 1.0;
        }
        s
    }

    check!(bessel_j0_series(1.5) = 0.5118276717359181, { x: -0.5579365079100996 });
    check!(bessel_j0_series(4.0) = -0.39714980986384735, { x: 0.06604332802354913 });
}

#[test]
fn bilinear_interp() {
    #[backprop]
    fn bilinear_interp(img: &[f64], w: usize, x: f64, y: f64) -> f64 {
        let x0 = x.floor();
        let y0 = y.floor();
        let fx = x - x0;
        let fy = y - y0;
        let i = y0 as usize * w + x0 as usize;
        let top = img[i] * (1.0 - fx) + img[i + 1] * fx;
        let bot = img[i + w] * (1.0 - fx) + img[i + w + 1] * fx;
        top * (1.0 - fy) + bot * fy
    }

    check!(bilinear_interp(&[0.1, 0.5, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6], 3, 0.3, 1.6) = 0.5760000000000001, { img: [0.0, 0.0, 0.0, 0.2799999999999999, 0.11999999999999997, 0.0, 0.4200000000000001, 0.18000000000000002, 0.0], x: -0.0800000000000001, y: 0.26000000000000006 });
    check!(bilinear_interp(&[0.1, 0.5, 0.9, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6], 3, 1.25, 0.5) = 0.5875, { img: [0.0, 0.375, 0.125, 0.0, 0.375, 0.125, 0.0, 0.0, 0.0], x: -0.04999999999999996, y: -0.025000000000000036 });
}

#[test]
fn chebyshev_clenshaw() {
    #[backprop]
    fn chebyshev_clenshaw(c: &[f64], x: f64) -> f64 {
        let mut b1 = 0.0;
        let mut b2 = 0.0;
        for k in (1..c.len()).rev() {
            let t = 2.0 * x * b1 - b2 + c[k];
            b2 = b1;
            b1 = t;
        }
        x * b1 - b2 + c[0]
    }

    check!(chebyshev_clenshaw(&[1.0, -2.0, 0.5, 3.0, 0.2], 0.7) = -2.7938400000000003, { c: [1.0, 0.7, -0.020000000000000125, -0.7280000000000001, -0.9992], x: 7.995199999999997 });
    check!(chebyshev_clenshaw(&[0.94, -1.55, 0.525, 2.6, 0.276], 0.691) = -2.3880058029629123, { c: [1.0, 0.691, -0.04503800000000015, -0.7532425160000001, -0.995943157112], x: 6.8610757246719976 });
}

// The derivative is 1 + tan².
#[test]
fn continued_fraction_tan() {
    #[backprop]
    fn continued_fraction_tan(x: f64) -> f64 {
        let mut d = 21.0;
        let mut k = 19.0;
        while k >= 1.0 {
            d = k - x * x / d;
            k -= 2.0;
        }
        x / d
    }

    check!(continued_fraction_tan(0.7) = 0.8422883804630794, { x: 1.7094497158631172 });
    check!(continued_fraction_tan(-1.2) = -2.5721516221263188, { x: 7.615963967207052 });
}

// Thomas algorithm and interval search; with respect to knots, values and position.
#[test]
fn cubic_spline_eval() {
    #[backprop]
    fn cubic_spline_eval(xs: &[f64], ys: &[f64], t: f64) -> f64 {
        let n = xs.len();
        let mut m = vec![0.0; n];
        let mut cp = vec![0.0; n];
        let mut dp = vec![0.0; n];
        for i in 1..n - 1 {
            let h0 = xs[i] - xs[i - 1];
            let h1 = xs[i + 1] - xs[i];
            let a = h0;
            let b = 2.0 * (h0 + h1);
            let c = h1;
            let d = 6.0 * ((ys[i + 1] - ys[i]) / h1 - (ys[i] - ys[i - 1]) / h0);
            let w = b - a * cp[i - 1];
            cp[i] = c / w;
            dp[i] = (d - a * dp[i - 1]) / w;
        }
        for i in (1..n - 1).rev() {
            m[i] = dp[i] - cp[i] * m[i + 1];
        }
        let mut k = 0;
        while k < n - 2 && t > xs[k + 1] {
            k += 1;
        }
        let h = xs[k + 1] - xs[k];
        let a = (xs[k + 1] - t) / h;
        let b = (t - xs[k]) / h;
        a * ys[k]
            + b * ys[k + 1]
            + ((a * a * a - a) * m[k] + (b * b * b - b) * m[k + 1]) * h * h / 6.0
    }

    check!(cubic_spline_eval(&[0.0, 1.0, 2.5, 3.0, 4.2], &[1.0, -0.5, 2.0, 0.7, 1.1], 1.8) = 1.3078730588456478, { xs: [-0.41691585628763084, -1.0543229757384136, 0.3080819804748104, -1.379450952607722, -0.0642596521298197], ys: [-0.11143147208121827, 0.5349742432788117, 0.980491069749953, -0.4256168452716676, 0.02158300432412107], t: 2.606867456288776 });
    check!(cubic_spline_eval(&[0.0, 1.0, 2.5, 3.0], &[1.0, -0.5, 2.0, 0.7], 0.4) = 0.039076056338028124, { xs: [1.6807441380678436, 0.1577952522647623, -0.011067433710242684, 0.23110081333068838], ys: [0.524281690140845, 0.5451267605633803, -0.12619718309859154, 0.0567887323943662], t: -2.0585727699530514 });
}

// The derivative is 2/√π·exp(−x²).
#[test]
fn erf_series() {
    #[backprop]
    fn erf_series(x: f64) -> f64 {
        let mut t = x;
        let mut s = x;
        for n in 1..40 {
            let n = n as f64;
            t *= -x * x / n;
            s += t / (2.0 * n + 1.0);
        }
        1.1283791670955126 * s
    }

    check!(erf_series(0.5) = 0.5204998778130465, { x: 0.8787825789354448 });
    check!(erf_series(-1.7) = -0.9837904585907745, { x: 0.06271104049686839 });
}

#[test]
fn horner_poly() {
    #[backprop]
    fn horner_poly(c: &[f64], x: f64) -> f64 {
        let mut p = 0.0;
        for i in (0..c.len()).rev() {
            p = p * x + c[i];
        }
        p
    }

    check!(horner_poly(&[1.0, -2.0, 0.5, 3.0], 0.7) = 0.8739999999999999, { c: [1.0, 0.7, 0.48999999999999994, 0.3429999999999999], x: 3.1099999999999994 });
    check!(horner_poly(&[1.0, -2.0, 0.5, 3.0], 0.0) = 1.0, { c: [1.0, 0.0, 0.0, 0.0], x: -2.0 });
}

// The derivative is the digamma function.
#[test]
fn lanczos_ln_gamma() {
    #[backprop]
    fn lanczos_ln_gamma(x: f64) -> f64 {
        const C: [f64; 8] = [
            676.5203681218851,
            -1259.1392167224028,
            771.3234287776531,
            -176.6150291621406,
            12.507343278686905,
            -0.13857109526572012,
            9.984369578019572e-6,
            1.5056327351493116e-7,
        ];
        if x < 0.5 {
            return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln()
                - lanczos_ln_gamma(1.0 - x);
        }
        let z = x - 1.0;
        let mut a = 0.9999999999998099;
        for i in 0..8 {
            a += C[i] / (z + i as f64 + 1.0);
        }
        let t = z + 7.5;
        0.9189385332046727 + (z + 0.5) * t.ln() - t + a.ln()
    }

    check!(lanczos_ln_gamma(3.7) = 1.428072326665389, { x: 1.1671535393615118 });
    check!(lanczos_ln_gamma(0.8) = 0.15205967839983767, { x: -0.9650085667061384 });
    check!(lanczos_ln_gamma(0.2) = 1.5240638224307843, { x: -5.289039896592188 });
}

// The argument shift overwrites the parameter.
#[test]
fn stirling_ln_gamma() {
    #[backprop]
    fn stirling_ln_gamma(mut x: f64) -> f64 {
        let mut shift = 0.0;
        while x < 8.0 {
            shift -= x.ln();
            x += 1.0;
        }
        let r = 1.0 / (x * x);
        let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
        shift + (x - 0.5) * x.ln() - x + 0.9189385332046727 + series
    }

    check!(stirling_ln_gamma(3.7) = 1.4280723266625253, { x: 1.1671535393644543 });
    check!(stirling_ln_gamma(0.8) = 0.1520596783972528, { x: -0.9650085667035113 });
    check!(stirling_ln_gamma(12.5) = 18.734347511936335, { x: 2.4851956512749918 });
}
