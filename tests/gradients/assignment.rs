//! Variables that are overwritten, shadowed, swapped or initialised late.

use crate::check::check;
use backprop::backprop;

#[test]
fn parameter_to_parameter() {
    #[backprop(allow(unused_parameter))]
    fn parameter_to_parameter(i: f64, mut j: f64) -> f64 {
        j = i;
        j
    }

    check!(parameter_to_parameter(3.0, 5.0) = 3.0, { i: 1.0, j: 0.0 });
    check!(parameter_to_parameter(-1.0, 2.0) = -1.0, { i: 1.0, j: 0.0 });
}

// `x *= x` has two partials.
#[test]
fn compound_all() {
    #[backprop]
    fn compound_all(mut x: f64, y: f64) -> f64 {
        x += y;
        x *= x;
        x -= y * x;
        x /= y + x;
        x += x;
        x -= x * 0.5;
        x
    }

    check!(compound_all(1.5, 0.7) = 0.6747211895910781, { x: 0.19952045991625322, y: -0.8455867110736445 });
    check!(compound_all(0.4, 0.2) = 0.5901639344262295, { x: 0.8062348830959419, y: -0.7054555227089492 });
}

#[test]
fn compound_rem() {
    #[backprop]
    fn compound_rem(mut x: f64, y: f64) -> f64 {
        x *= 3.0;
        x %= y;
        x * y
    }

    check!(compound_rem(1.5, 0.7) = 0.2100000000000002, { x: 2.0999999999999996, y: -3.8999999999999995 });
    check!(compound_rem(2.3, 1.1) = 0.32999999999999885, { x: 3.3000000000000003, y: -6.300000000000002 });
}

#[test]
fn deferred_init() {
    #[backprop]
    fn deferred_init(x: f64, y: f64) -> f64 {
        let z;
        if x > y {
            z = x * y;
        } else {
            z = x - y.sin();
        }
        z * z
    }

    check!(deferred_init(1.4, 1.2) = 2.8223999999999996, { x: 4.031999999999999, y: 4.703999999999999 });
    check!(deferred_init(-1.0, 0.3) = 1.6783726058678399, { x: -2.591040413322679, y: 2.4753154516462472 });
}

#[test]
fn mem_swap_replace() {
    #[backprop]
    fn mem_swap_replace(mut a: f64, mut b: f64) -> f64 {
        std::mem::swap(&mut a, &mut b);
        let old = std::mem::replace(&mut a, b * b);
        a * 2.0 + old * b
    }

    check!(mem_swap_replace(1.5, 2.0) = 7.5, { a: 8.0, b: 1.5 });
    check!(mem_swap_replace(-1.0, 0.5) = 1.5, { a: -3.5, b: -1.0 });
}

// Operands are evaluated from left to right.
#[test]
fn operand_eval_order() {
    #[backprop]
    fn operand_eval_order(x: f64) -> f64 {
        let mut a = x;
        let r = a * {
            a = a * 2.0;
            a
        } + a;
        r
    }

    check!(operand_eval_order(0.7) = 2.38, { x: 4.8 });
    check!(operand_eval_order(-1.3) = 0.7800000000000001, { x: -3.2 });
}

// Overwriting `y` with a constant ends what flows into it.
#[test]
fn overwrite_with_const() {
    #[backprop]
    fn overwrite_with_const(x: f64) -> f64 {
        let mut y = x * x;
        let z = y + 1.0;
        y = 3.0;
        y * z
    }

    check!(overwrite_with_const(1.5) = 9.75, { x: 9.0 });
    check!(overwrite_with_const(-0.4) = 3.48, { x: -2.4 });
}

#[test]
fn shadow_in_loop() {
    #[backprop]
    fn shadow_in_loop(x: f64) -> f64 {
        let mut acc = 0.0;
        let s = x * 0.5;
        for i in 0..4 {
            let x = x + i as f64;
            let s = s * x;
            acc += s * s;
        }
        acc * s + x
    }

    check!(shadow_in_loop(0.4) = 0.55552, { x: 2.2880000000000003 });
    check!(shadow_in_loop(-1.2) = -2.35776, { x: 3.376 });
}

// Adjoints belong to bindings, not to names.
#[test]
fn shadowing_chain() {
    #[backprop]
    fn shadowing_chain(x: f64) -> f64 {
        let y = x * x;
        let x = y + 1.0;
        let y = {
            let x = x.sin();
            x * y
        };
        let x = x * y;
        x + y
    }

    check!(shadowing_chain(0.4) = 0.31684715439152267, { x: 1.811995962970646 });
    check!(shadowing_chain(-1.2) = 3.197226807749139, { x: 1.5213892635377564 });
}

// A destructuring assignment is simultaneous.
#[test]
fn swap_destructuring() {
    #[backprop]
    fn swap_destructuring(mut a: f64, mut b: f64) -> f64 {
        (a, b) = (b, a * b);
        (a, b) = (a + b, a);
        a * a * 0.5 - b
    }

    check!(swap_destructuring(1.5, 2.0) = 10.5, { a: 10.0, b: 11.5 });
    check!(swap_destructuring(-1.0, 0.5) = -0.5, { a: 0.0, b: -1.0 });
}

#[test]
fn swap_via_temp() {
    #[backprop]
    fn swap_via_temp(mut a: f64, mut b: f64) -> f64 {
        let t = a;
        a = b;
        b = t;
        a * 3.0 + b * b
    }

    check!(swap_via_temp(1.5, 2.0) = 8.25, { a: 3.0, b: 3.0 });
    check!(swap_via_temp(-1.0, 0.5) = 2.5, { a: -2.0, b: 3.0 });
}

#[test]
fn overwrite_by_product() {
    #[backprop]
    fn overwrite_by_product(mut x: f64, theta: f64) -> f64 {
        let mult = x;
        x = theta.cos() * mult;
        x = theta.cos() * x;
        x
    }

    check!(overwrite_by_product(1.5, 0.7) = 0.8774753571751808, { x: 0.5849835714501205, theta: -1.4781745949826903 });
    check!(overwrite_by_product(-2.0, 2.0) = -0.34635637913638806, { x: 0.17317818956819403, theta: -1.5136049906158564 });
}

#[test]
fn parameter_incremented() {
    #[backprop]
    fn parameter_incremented(w: f64, x: f64) -> f64 {
        let mut x = w - x;
        x = x + 3.0;
        x * x
    }

    check!(parameter_incremented(1.5, 0.7) = 14.44, { w: 7.6, x: -7.6 });
    check!(parameter_incremented(-2.0, 2.0) = 1.0, { w: -2.0, x: 2.0 });
}
