//! Expressions without control flow: every elementary function, precedence, references and casts.

use crate::check::check;
use backprop::backprop;

#[test]
fn abs_signum_copysign() {
    #[backprop]
    fn abs_signum_copysign(x: f64, y: f64) -> f64 {
        x.abs() * y + x.signum() * y * y + x.copysign(y)
    }

    check!(abs_signum_copysign(1.5, -2.0) = -0.5, { x: -3.0, y: -2.5 });
    check!(abs_signum_copysign(-0.5, 0.7) = 0.36000000000000004, { x: -1.7, y: -0.8999999999999999 });
}

#[test]
fn bool_cast() {
    #[backprop]
    fn bool_cast(x: f64, y: f64) -> f64 {
        ((x > y) as i32 as f64) * x * x + f64::from(x < y) * y
    }

    check!(bool_cast(2.0, 1.0) = 4.0, { x: 4.0, y: 0.0 });
    check!(bool_cast(1.0, 2.5) = 2.5, { x: 0.0, y: 1.0 });
}

#[test]
fn cubic_reuse() {
    #[backprop]
    fn cubic_reuse(x: f64) -> f64 {
        x * x * x + x
    }

    check!(cubic_reuse(1.3) = 3.4970000000000003, { x: 6.07 });
    check!(cubic_reuse(-0.4) = -0.464, { x: 1.48 });
    check!(cubic_reuse(0.0) = 0.0, { x: 1.0 });
}

#[test]
fn deep_expression() {
    #[backprop]
    fn deep_expression(x: f64) -> f64 {
        ((((((((x + 0.1).sin() * 1.1 + x).cos() + 0.3).exp() * 0.5 + x).ln_1p() + 1.0).sqrt() + x)
            .tanh()
            + 2.0)
            .recip()
            * x)
            .atan()
    }

    check!(deep_expression(0.3) = 0.10178357529765346, { x: 0.33324909618356713 });
    check!(deep_expression(1.7) = 0.5160792304708776, { x: 0.25129881017315836 });
}

#[test]
fn elem_explog() {
    #[backprop]
    fn elem_explog(x: f64) -> f64 {
        x.exp() - x.exp2() + x.exp_m1() + x.ln() * x.log2() - x.log10() + x.ln_1p()
    }

    check!(elem_explog(0.3) = 3.3450755489808714, { x: -10.41183479537493 });
    check!(elem_explog(2.2) = 14.172834733604509, { x: 16.01434642436472 });
}

#[test]
fn elem_hyper() {
    #[backprop]
    fn elem_hyper(x: f64) -> f64 {
        x.sinh() * x.cosh() - x.tanh() + x.asinh() + (x * x + 1.5).acosh() + (x / 3.0).atanh()
    }

    check!(elem_hyper(0.3) = 1.461942683689788, { x: 2.05022759724976 });
    check!(elem_hyper(-1.8) = -8.001642856755074, { x: 18.43871533911487 });
    check!(elem_hyper(0.0) = 0.9624236501192069, { x: 1.3333333333333333 });
}

#[test]
fn elem_roots() {
    #[backprop]
    fn elem_roots(x: f64) -> f64 {
        x.sqrt() + (-x).cbrt() + x.recip() + x.powf(0.25) + x.powf(-1.5)
    }

    check!(elem_roots(0.3) = 10.03751193975046, { x: -40.754349873015016 });
    check!(elem_roots(4.2) = 2.221804448118799, { x: 0.1029558810338831 });
}

#[test]
fn hypot_pair() {
    #[backprop]
    fn hypot_pair(a: f64, b: f64) -> f64 {
        a.hypot(b) + b.hypot(2.0)
    }

    check!(hypot_pair(3.0, -4.0) = 9.47213595499958, { a: 0.6, b: -1.6944271909999158 });
    check!(hypot_pair(0.1, 0.2) = 2.233581921974157, { a: 0.4472135954999579, b: 0.9939309100209148 });
}

#[test]
fn identity() {
    #[backprop]
    fn identity(x: f64) -> f64 {
        x
    }

    check!(identity(0.7) = 0.7, { x: 1.0 });
    check!(identity(-3.5) = -3.5, { x: 1.0 });
}

#[test]
fn literal_forms() {
    #[backprop]
    fn literal_forms(x: f64) -> f64 {
        1e-1 * x + 2_f64 * x + 1_000.5e-3 * x * x + 3. * x - 0.5f64 + (7 as f64) * x + -1.0
    }

    check!(literal_forms(0.3) = 2.220045, { x: 12.7003 });
    check!(literal_forms(-1.7) = -19.178555, { x: 8.6983 });
}

#[test]
fn log_base_active() {
    #[backprop]
    fn log_base_active(x: f64, b: f64) -> f64 {
        x.log(b) + x.log(10.0)
    }

    check!(log_base_active(3.0, 2.0) = 2.0620837554408187, { x: 0.6256631742640717, b: -1.1433087698926911 });
    check!(log_base_active(0.5, 7.0) = -0.6572371827720034, { x: 1.896385648546005, b: 0.026150611856429175 });
}

// No ties at these points.
#[test]
fn min_max_chain() {
    #[backprop]
    fn min_max_chain(a: f64, b: f64, c: f64) -> f64 {
        a.max(b).min(c * 2.0) + f64::max(a * b, c) - f64::min(a, c)
    }

    check!(min_max_chain(1.0, 2.0, 3.0) = 4.0, { a: -1.0, b: 1.0, c: 1.0 });
    check!(min_max_chain(2.5, -1.0, 0.4) = 0.8, { a: 0.0, b: 0.0, c: 2.0 });
    check!(min_max_chain(-1.0, -2.0, -0.2) = 2.0, { a: -2.0, b: -1.0, c: 0.0 });
}

#[test]
fn mul_add_fma() {
    #[backprop]
    fn mul_add_fma(a: f64, b: f64, c: f64) -> f64 {
        a.mul_add(b, c) * c.mul_add(2.0, a)
    }

    check!(mul_add_fma(1.5, 2.0, -0.3) = 2.43, { a: 4.5, b: 1.35, c: 6.3 });
    check!(mul_add_fma(-0.2, 0.4, 1.1) = 2.0400000000000005, { a: 1.8200000000000003, b: -0.4000000000000001, c: 4.04 });
}

#[test]
fn neg_powi_precedence() {
    #[backprop]
    fn neg_powi_precedence(x: f64) -> f64 {
        -x.powi(2) + 2.0_f64.powi(3) * x - -x
    }

    check!(neg_powi_precedence(1.5) = 11.25, { x: 6.0 });
    check!(neg_powi_precedence(-2.0) = -22.0, { x: 13.0 });
}

#[test]
fn parens_deref() {
    #[backprop]
    fn parens_deref(x: f64) -> f64 {
        let r = &x;
        let rr = &r;
        (*r) * **rr + (r.sin()) + (&x).cos()
    }

    check!(parens_deref(0.3) = 1.3408566957869457, { x: 1.2598162824642665 });
    check!(parens_deref(-1.7) = 1.7694906952520066, { x: -2.537179683843056 });
}

#[test]
fn powf_both_active() {
    #[backprop]
    fn powf_both_active(x: f64, y: f64) -> f64 {
        x.powf(y) + y.powf(x)
    }

    check!(powf_both_active(1.3, 2.5) = 5.217851979253137, { x: 6.721042165161029, y: 2.2168456402758836 });
    check!(powf_both_active(0.4, 0.9) = 1.3971148060682697, { x: 0.885349956894712, y: 0.024416349640876557 });
}

#[test]
fn powf_self() {
    #[backprop]
    fn powf_self(x: f64) -> f64 {
        x.powf(x)
    }

    check!(powf_self(1.3) = 1.4064566732378863, { x: 1.7754606438173386 });
    check!(powf_self(0.4) = 0.6931448431551464, { x: 0.05802264752572092 });
}

// The derivative of `powi(0)` is 0 everywhere.
#[test]
fn powi_constants() {
    #[backprop]
    fn powi_constants(x: f64) -> f64 {
        x.powi(0) + x.powi(1) + x.powi(-3) + 0.5 * x.powi(5)
    }

    check!(powi_constants(1.3) = 4.6116311356395085, { x: 7.089866610062674 });
    check!(powi_constants(-0.6) = -4.26850962962963, { x: -21.82414814814815 });
}

#[test]
fn powi_runtime_exponent() {
    #[backprop]
    fn powi_runtime_exponent(x: f64, n: i32) -> f64 {
        x.powi(n) + (n as f64) * x
    }

    check!(powi_runtime_exponent(1.3, 4) = 8.0561, { x: 12.788 });
    check!(powi_runtime_exponent(-0.7, -2) = 3.440816326530612, { x: 3.8309037900874645 });
    check!(powi_runtime_exponent(0.9, 0) = 1.0, { x: 0.0 });
}

#[test]
fn ref_param() {
    #[backprop]
    fn ref_param(x: &f64, y: f64) -> f64 {
        *x * y + x.sin()
    }

    check!(ref_param(&0.3, 2.0) = 0.8955202066613396, { x: 2.955336489125606, y: 0.3 });
    check!(ref_param(&-1.7, 0.5) = -1.8416648104524687, { x: 0.37115550570447536, y: -1.7 });
}

#[test]
fn same_output_twice() {
    #[backprop]
    fn same_output_twice(x: f64) -> (f64, f64) {
        let t = x.sin();
        (t, t)
    }

    check!(same_output_twice(0.5) = (0.479425538604203, 0.479425538604203), upstream (2.0, 3.0), twice (4.0, 6.0), { x: 4.387912809451864 });
    check!(same_output_twice(-1.2) = (-0.9320390859672263, -0.9320390859672263), upstream (2.0, 3.0), twice (4.0, 6.0), { x: 1.811788772383368 });
}

#[test]
fn tuple_output() {
    #[backprop]
    fn tuple_output(x: f64, y: f64) -> (f64, f64) {
        (x * y, x.sin() + y)
    }

    check!(tuple_output(0.5, 2.0) = (1.0, 2.479425538604203), upstream (1.0, -0.5), twice (2.0, -1.0), { x: 1.5612087190548136, y: 0.0 });
    check!(tuple_output(1.2, -0.7) = (-0.84, 0.2320390859672264), upstream (1.0, -0.5), twice (2.0, -1.0), { x: -0.8811788772383368, y: 0.7 });
}
