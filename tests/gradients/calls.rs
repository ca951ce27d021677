//! Closures, recursion, statics, boxes and names.

use crate::check::check;
use backprop::backprop;

#[test]
fn boxed_value() {
    #[backprop]
    fn boxed_value(x: f64) -> f64 {
        let mut b = Box::new(x * 2.0);
        *b = *b * x;
        *b + 1.0
    }

    check!(boxed_value(1.2) = 3.88, { x: 4.8 });
    check!(boxed_value(-1.0) = 3.0, { x: -4.0 });
}

#[test]
fn closure_captures() {
    #[backprop]
    fn closure_captures(x: f64, y: f64) -> f64 {
        let k = x * 2.0;
        let f = |t: f64| t * k + y;
        f(x) * f(y)
    }

    check!(closure_captures(1.2, 0.5) = 5.7459999999999996, { x: 11.54, y: 13.191999999999998 });
    check!(closure_captures(-1.0, 2.0) = -8.0, { x: 24.0, y: -6.0 });
}

// A `move` closure captured the old `x`.
#[test]
fn closure_move_snapshot() {
    #[backprop]
    fn closure_move_snapshot(mut x: f64) -> f64 {
        let f = move |t: f64| t * x;
        x = x * x;
        f(x) + x
    }

    check!(closure_move_snapshot(1.2) = 3.1679999999999997, { x: 6.72 });
    check!(closure_move_snapshot(-0.7) = 0.147, { x: 0.0699999999999999 });
}

#[test]
fn local_var_named_like_fn() {
    #[backprop]
    fn local_var_named_like_fn(x: f64) -> f64 {
        let sin = x * 2.0;
        let exp = sin.sin();
        let ln = exp.exp() + sin;
        ln.abs().ln()
    }

    check!(local_var_named_like_fn(1.2) = 1.473605105255632, { x: -0.2057009903136048 });
    check!(local_var_named_like_fn(-0.2) = -1.2821116429829738, { x: 11.706388920668216 });
}

// The function calls itself.
#[test]
fn recursion_power() {
    #[backprop]
    fn recursion_power(x: f64, n: u32) -> f64 {
        if n == 0 {
            1.0
        } else if n % 2 == 0 {
            let h = recursion_power(x, n / 2);
            h * h
        } else {
            x * recursion_power(x, n - 1)
        }
    }

    check!(recursion_power(1.2, 0) = 1.0, { x: 0.0 });
    check!(recursion_power(1.2, 5) = 2.4883199999999994, { x: 10.367999999999999 });
    check!(recursion_power(-0.7, 8) = 0.05764800999999997, { x: -0.6588343999999997 });
}

#[test]
fn static_const_table() {
    static COEF: [f64; 4] = [0.5, -1.5, 2.25, 4.0];
    #[backprop]
    fn static_const_table(x: f64, i: usize) -> f64 {
        COEF[i] * x * x + COEF[COEF.len() - 1 - i] * x
    }

    check!(static_const_table(1.2, 0) = 5.52, { x: 5.2 });
    check!(static_const_table(0.4, 2) = -0.24, { x: 0.3000000000000001 });
}

#[test]
fn unicode_and_raw_idents() {
    #[backprop]
    fn unicode_and_raw_idents(r#type: f64, θ: f64) -> f64 {
        let λ = θ.cos() * r#type;
        let r#loop = λ * λ;
        r#loop + r#type
    }

    check!(unicode_and_raw_idents(1.2, 0.5) = 2.3090176602250603, { r#type: 2.8483627670417677, θ: -1.2117182181233708 });
    check!(unicode_and_raw_idents(-1.0, 2.0) = -0.8268218104318059, { r#type: 0.6536436208636119, θ: 0.7568024953079282 });
}
