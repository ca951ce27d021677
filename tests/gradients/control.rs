//! `break`, `continue`, `return`, labels and panics.

use crate::check::check;
use backprop::backprop;

#[track_caller]
fn panics<T>(f: impl FnOnce() -> T + std::panic::UnwindSafe) {
    assert!(std::panic::catch_unwind(f).is_err(), "this did not panic");
}

#[test]
fn block_label_break() {
    #[backprop]
    fn block_label_break(x: f64, y: f64) -> f64 {
        let v = 'a: {
            if x > y {
                break 'a x * y;
            }
            let z = x + y;
            if z > 1.0 {
                break 'a z * z;
            }
            z.exp()
        };
        v * x
    }

    check!(block_label_break(2.0, 1.0) = 4.0, { x: 4.0, y: 4.0 });
    check!(block_label_break(0.6, 0.9) = 1.3499999999999999, { x: 4.05, y: 1.8 });
    check!(block_label_break(0.1, 0.2) = 0.13498588075760032, { x: 1.4848446883336035, y: 0.13498588075760032 });
}

// How often the loop runs depends on `x`.
#[test]
fn break_active() {
    #[backprop]
    fn break_active(x: f64) -> f64 {
        let mut s = 0.0;
        for i in 1..20 {
            s += x * i as f64;
            if s > 5.0 {
                break;
            }
            s = s * 1.05;
        }
        s * s
    }

    check!(break_active(0.4) = 41.15610616650626, { x: 205.7805308325313 });
    check!(break_active(1.7) = 26.884225, { x: 31.6285 });
    check!(break_active(0.001) = 0.0752871480688848, { x: 150.5742961377696 });
}

#[test]
fn continue_skips_terms() {
    #[backprop]
    fn continue_skips_terms(u: f64) -> f64 {
        let mut res = 11.0 * u;
        for i in 0..3 {
            res += u * i as f64;
            continue;
        }
        res
    }

    check!(continue_skips_terms(3.0) = 42.0, { u: 14.0 });
    check!(continue_skips_terms(-1.0) = -14.0, { u: 14.0 });
}

#[test]
fn assignment_in_condition() {
    #[backprop]
    fn assignment_in_condition(i: f64, j: f64) -> f64 {
        let mut res = 0.0;
        let mut c = 0;
        while {
            res = i * j;
            c < 2
        } {
            c += 1;
        }
        res
    }

    check!(assignment_in_condition(3.0, 5.0) = 15.0, { i: 5.0, j: 3.0 });
    check!(assignment_in_condition(-1.0, 2.0) = -2.0, { i: 2.0, j: -1.0 });
}

#[test]
fn break_skips_the_rest() {
    #[backprop]
    fn break_skips_the_rest(u: f64, v: f64) -> f64 {
        let mut res = 0.0 * v;
        for i in 1..3 {
            res += i as f64 * u;
            if i == 1 {
                break;
            }
        }
        res
    }

    check!(break_skips_the_rest(3.0, 5.0) = 3.0, { u: 1.0, v: 0.0 });
    check!(break_skips_the_rest(-1.0, 2.0) = -1.0, { u: 1.0, v: 0.0 });
}

// The index of the iterations skipped depends on the data.
#[test]
fn continue_active() {
    #[backprop]
    fn continue_active(x: f64, y: f64) -> f64 {
        let mut s = y;
        for i in 0..6 {
            let t = x * i as f64 - 1.0;
            if t * s < 0.0 {
                continue;
            }
            s += t * t;
            if i == 4 {
                continue;
            }
            s *= x;
        }
        s
    }

    check!(continue_active(0.45, 0.3) = 1.07668125, { x: 11.513000000000002, y: 0.2025 });
    check!(continue_active(0.79, -0.8) = 11.975930771600002, { x: 60.58802740000001, y: 0.3895008100000001 });
}

#[test]
fn break_between_updates() {
    #[backprop]
    fn break_between_updates(vec: [f64; 3]) -> f64 {
        let mut ret = 0.0;
        for i in 0..3 {
            ret += vec[i] * vec[i];
            if ret > 15.0 {
                break;
            }
            ret += vec[i];
        }
        ret
    }

    check!(break_between_updates([1.0, 2.0, 3.0]) = 17.0, { vec: [3.0, 5.0, 6.0] });
    check!(break_between_updates([3.0, 2.5, 2.0]) = 18.25, { vec: [7.0, 5.0, 0.0] });
}

// Where the function panics, so does its gradient.
#[test]
fn panic_in_middle() {
    #[backprop]
    fn panic_in_middle(x: f64, a: &[f64]) -> f64 {
        let mut s = x;
        for i in 0..4 {
            s = s * a[i] + 1.0;
            if s > 1e6 {
                panic!("overflow");
            }
        }
        s
    }

    check!(panic_in_middle(1.2, &[1.0, 2.0, 0.5, -1.0]) = -2.7, { x: -1.0, a: [-1.2, -1.0999999999999999, -5.4, 3.7] });
    check!(panic_in_middle(1.106, &[0.94, 1.77, 0.525, -0.72]) = -1.4626415384, { x: -0.6289163999999999, a: [-0.7399803600000001, -0.77098392, -3.319317216, 3.42033547] });
    panics(|| panic_in_middle::value_and_gradient(1.2, &[1.0, 2.0]));
    panics(|| panic_in_middle::forward(1.2, &[1.0, 2.0]));
    panics(|| panic_in_middle::value_and_gradient(10000000.0, &[1.0, 2.0, 0.5, -1.0]));
    panics(|| panic_in_middle::forward(10000000.0, &[1.0, 2.0, 0.5, -1.0]));
}

#[test]
fn return_inside_nested_loop() {
    #[backprop]
    fn return_inside_nested_loop(x: f64) -> f64 {
        let mut s = x;
        for i in 0..5 {
            for j in 0..3 {
                s += x * (i * j) as f64 * 0.1;
                if s > 3.0 {
                    return s * x;
                }
            }
            s *= 1.1;
        }
        s
    }

    check!(return_inside_nested_loop(1.4) = 4.613840000000001, { x: 6.591200000000001 });
    check!(return_inside_nested_loop(2.47) = 8.541260000000001, { x: 6.916000000000001 });
    check!(return_inside_nested_loop(0.3) = 1.5772020000000004, { x: 5.257340000000002 });
}
