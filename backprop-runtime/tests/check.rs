//! `check`: right gradients pass, wrong ones do not, kinks are reported, and bad input is an error that says so.

use backprop_macro::backprop;
use backprop_runtime::assert_gradient;
use backprop_runtime::check::{self, Checker, Failure};
use ndarray::array;

#[backprop]
fn loss(w: &[[f64; 2]; 2], x: &[f64], b: f64, n: usize) -> f64 {
    let mut s = b;
    for i in 0..n {
        s += (w[0][i % 2] * x[i]).tanh() * w[1][i % 2];
    }
    s * s
}

#[backprop(wrt(b))]
fn partly(a: f64, b: Vec<f64>, flag: bool) -> (f64, Vec<f64>) {
    let s = if flag { a } else { 2.0 * a };
    (s * b[0] * b[1], b.iter().map(|v| v.exp()).collect())
}

#[backprop]
fn single(x: f32, y: [f32; 2]) -> f32 {
    (x * y[0]).sin() + y[1] * y[1]
}

mod generic {
    use backprop_macro::backprop;

    #[backprop]
    pub fn product<T: num_traits::Float>(x: T, y: &T) -> T {
        x * *y
    }
}

#[test]
fn generated_gradients_take_one_line() {
    let weights = [[0.3, -0.5], [1.5, 0.2]];
    let report = assert_gradient!(loss(&weights, &[0.1, 0.7, -1.2], 0.4, 3));
    assert_eq!((report.compared, report.directions), (8, 4));
    assert!(
        report.largest_gap < 1e-9 && report.kinks.is_empty(),
        "{report:?}"
    );
    // Constant parameters have no gradient; results of any shape count as a whole.
    assert_eq!(
        assert_gradient!(partly(1.5, vec![0.5, 2.0], true)).compared,
        2
    );
    assert_eq!(assert_gradient!(single(0.5, [1.5, -2.0])).compared, 3);
    assert_eq!(assert_gradient!(generic::product(0.5, &1.5)).compared, 2);
}

#[test]
fn gradients_written_by_hand_are_checked_alike() {
    let value = |x: &[f64]| x[0] * x[1].exp() + x[2].powi(3);
    let right = |x: &[f64]| vec![x[1].exp(), x[0] * x[1].exp(), 3.0 * x[2] * x[2]];
    let at = [0.7, -0.3, 1.1];
    let report = check::gradient(&at, value, right).unwrap();
    assert_eq!(report.compared, 3);
    approx::assert_abs_diff_eq!(report.largest_gap, 0.0, epsilon = 1e-9);
    assert_gradient!(&at, value, right);
    for k in 0..3 {
        let wrong = |x: &[f64]| {
            let mut g = right(x);
            g[k] *= 1.0 + 1e-5;
            g
        };
        match check::gradient(&at, value, wrong) {
            Err(Failure::Wrong {
                index,
                gradient,
                differences,
                error,
            }) => {
                assert_eq!(index, k);
                assert!((gradient - differences).abs() > 10.0 * error);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_the_sample_leaves_out_is_seen_in_random_directions() {
    let n = 1000;
    let at: Vec<f64> = (0..n).map(|k| (k as f64).sin()).collect();
    let value = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
    let checker = Checker::default().elements(3);
    let report = checker
        .gradient(&at, value, |x| {
            x.iter().map(|v| 2.0 * v).collect::<Vec<_>>()
        })
        .unwrap();
    assert_eq!((report.compared, report.directions), (3, 4));
    let wrong = |x: &[f64]| {
        let mut g: Vec<f64> = x.iter().map(|v| 2.0 * v).collect();
        g[517] += 0.01;
        g
    };
    let failure = checker.gradient(&at, value, wrong).unwrap_err();
    assert!(matches!(failure, Failure::Direction { .. }), "{failure}");
}

#[test]
fn kinks_are_reported_and_subgradients_accepted() {
    let report = check::gradient(&[0.0, 1.0], |x| x[0].abs() + x[1], |_| [0.3, 1.0]).unwrap();
    assert_eq!(report.kinks.len(), 1);
    assert_eq!((report.kinks[0].index, report.compared), (0, 1));
    approx::assert_relative_eq!(report.kinks[0].sides.0, -1.0, max_relative = 1e-9);
    approx::assert_relative_eq!(report.kinks[0].sides.1, 1.0, max_relative = 1e-9);
    // Beyond both sides it is no subgradient.
    let failure = check::gradient(&[0.0], |x| x[0].abs(), |_| [1.3]).unwrap_err();
    assert!(matches!(failure, Failure::Wrong { index: 0, .. }));
    // A kink nearby does not spoil what is smooth at the point.
    let relu = |x: &[f64]| x[0].max(0.0) + x[1].floor();
    let report = check::gradient(&[0.01, 0.999], relu, |_| [1.0, 0.0]).unwrap();
    assert_eq!((report.compared, report.kinks.len()), (2, 0));
}

#[test]
fn bad_input_says_what_is_wrong() {
    let value = |x: &[f64]| x.iter().sum::<f64>().ln();
    let slopes = |x: &[f64]| vec![1.0; x.len()];
    let said = |at: &[f64]| check::gradient(at, value, slopes).unwrap_err().to_string();
    assert_eq!(
        said(&[]),
        "there are no parameters to differentiate with respect to"
    );
    assert_eq!(
        said(&[1.0, f64::NAN]),
        "parameter 1 is NaN: a gradient is checked at finite points"
    );
    assert_eq!(
        said(&[-1.0]),
        "the value is NaN there: choose a point at which it is finite"
    );
    let short = check::gradient(&[1.0, 2.0], value, |_| [1.0]).unwrap_err();
    assert_eq!(
        short.to_string(),
        "the gradient has 1 numbers for 2 parameters"
    );
    let nan = check::gradient(&[1.0], value, |_| [f64::NAN]).unwrap_err();
    assert!(nan.to_string().contains("the gradient says NaN"), "{nan}");
}

#[test]
#[should_panic(
    expected = "the gradient of the function: the derivative with respect to parameter 1 is wrong"
)]
fn assertions_panic_with_both_numbers() {
    assert_gradient!(&[1.0, 2.0], |x| x[0] * x[1], |x| [x[1], x[1]]);
}

mod wrong {
    /// A namespace written by hand, as the macro would.
    #[allow(non_camel_case_types)]
    pub enum square {}

    impl square {
        pub fn forward(x: f64, v: &[f64]) -> (f64, f64) {
            (square(x, v), x)
        }
        pub fn __pullback(saved: &f64, upstream: f64) -> (f64, Vec<f64>) {
            (upstream * 2.0 * saved, vec![0.0, upstream])
        }
    }

    pub fn square(x: f64, v: &[f64]) -> f64 {
        x * x + v[0]
    }
}

#[test]
#[should_panic(
    expected = "the gradient of wrong::square: the derivative with respect to number 0 of argument 1 is wrong"
)]
fn a_wrong_argument_is_named() {
    assert_gradient!(wrong::square(1.5, &[1.0, 2.0]));
}

#[test]
fn both_crates_take_differences_alike() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |p: &str| std::fs::read_to_string(root.join(p)).unwrap();
    let (ours, theirs) = (
        read("src/check/differences.rs"),
        read("../backprop-macro/src/check/differences.rs"),
    );
    assert_eq!(ours, theirs, "the two copies must stay one");
}

#[test]
fn arrays_of_ndarray_are_floats_too() {
    use backprop_runtime::check::Floats;
    let mut a = array![[1.0, 2.0], [3.0, 4.0]];
    let mut seen = Vec::new();
    a.visit(&mut |v| seen.push(*v));
    assert_eq!(seen, [1.0, 2.0, 3.0, 4.0]);
}

/// Functions of two parameters with their gradients, from plain to difficult.
type Case = (
    &'static str,
    [f64; 2],
    fn(&[f64]) -> f64,
    fn(&[f64]) -> [f64; 2],
);

/// Noise as a table or an iterative solver makes it: the same at the same point.
fn noise(x: &[f64]) -> f64 {
    let bits = x[0].to_bits() ^ x[1].to_bits().rotate_left(17);
    let mixed = bits.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed >> 11) as f64 / (1_u64 << 53) as f64) - 0.5
}

const CASES: [Case; 12] = [
    (
        "plain",
        [0.7, -1.2],
        |x| x[0].sin() * x[1].exp(),
        |x| [x[0].cos() * x[1].exp(), x[0].sin() * x[1].exp()],
    ),
    (
        "tiny values",
        [0.7, -1.2],
        |x| 1e-150 * x[0] * x[1] * x[1],
        |x| [1e-150 * x[1] * x[1], 2e-150 * x[0] * x[1]],
    ),
    (
        "huge values",
        [0.7, -1.2],
        |x| 1e150 * x[0] * x[1] * x[1],
        |x| [1e150 * x[1] * x[1], 2e150 * x[0] * x[1]],
    ),
    (
        "tiny parameters",
        [3e-150, 2e-150],
        |x| x[0] / x[1],
        |x| [1.0 / x[1], -x[0] / x[1] / x[1]],
    ),
    (
        "huge parameters",
        [3e150, 2e150],
        |x| (x[0] / 1e150).powi(2) + x[1] / 1e149,
        |x| [2.0 * (x[0] / 1e150) / 1e150, 1e-149],
    ),
    (
        "picofarads",
        [2e-12, 5.0],
        |x| 0.5 * x[0] * x[1] * x[1],
        |x| [0.5 * x[1] * x[1], x[0] * x[1]],
    ),
    (
        "an offset",
        [0.3, 0.4],
        |x| 1e6 + x[0] * x[1],
        |x| [x[1], x[0]],
    ),
    (
        "noisy",
        [0.7, -1.2],
        |x| x[0] * x[1] + 1e-11 * noise(x),
        |x| [x[1], x[0]],
    ),
    (
        "single precision",
        [0.7, -1.2],
        |x| f64::from(x[0] as f32 * x[1] as f32),
        |x| [x[1], x[0]],
    ),
    (
        "beside kinks",
        [0.01, 0.499],
        |x| x[0].abs() * 3.0 + (x[1].round() + 1.0) * x[1],
        |x| [3.0, x[1].round() + 1.0],
    ),
    (
        "a root next to its end",
        [1e-3, 1.0],
        |x| x[0].sqrt() * x[1],
        |x| [0.5 * x[1] / x[0].sqrt(), x[0].sqrt()],
    ),
    (
        "fast",
        [0.7, -1.2],
        |x| (200.0 * x[0]).sin() + x[1],
        |x| [200.0 * (200.0 * x[0]).cos(), 1.0],
    ),
];

#[test]
fn right_gradients_pass_at_every_scale() {
    for (name, at, value, slopes) in CASES {
        let report = check::gradient(&at, value, slopes);
        assert!(report.is_ok(), "{name}: {}", report.unwrap_err());
    }
}

#[test]
fn wrong_ones_do_not() {
    // What is this coarse hides small errors, not large ones.
    let coarse = |name| matches!(name, "noisy" | "single precision" | "an offset");
    for (name, at, value, slopes) in CASES {
        for k in 0..2 {
            for (what, factor) in [
                ("sign", -1.0),
                ("missing", 0.0),
                ("doubled", 2.0),
                ("last", 1.0 + 1e-5),
            ] {
                let small = what == "last";
                // A small error of a small slope is below what differences of such values are trusted with.
                let tiny = ["tiny", "huge parameters", "picofarads"];
                if small && (coarse(name) || tiny.iter().any(|t| name.starts_with(t))) {
                    continue;
                }
                let wrong = |x: &[f64]| {
                    let mut g = slopes(x);
                    g[k] *= factor;
                    g
                };
                let found = check::gradient(&at, value, wrong);
                assert!(found.is_err(), "{name}, {what} of {k} passes: {found:?}");
            }
        }
    }
}
