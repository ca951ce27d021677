//! Derivatives by differences, with an estimate of their error.
//!
//! Ridders' method: central differences at shrinking steps, extrapolated to step zero (Ridders 1982; Press et al.,
//! Numerical Recipes, 5.7). The error is estimated from the tableau, so that a kink or a jump within reach shows as a
//! large error instead of a wrong number.

/// A derivative by differences.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    pub slope: f64,
    pub error: f64,
    /// The smallest step that was taken.
    pub step: f64,
    /// The slopes on both sides differ however small the step is: what lies between them is a subgradient.
    pub kink: Option<(f64, f64)>,
}

const SHRINK: f64 = 1.4;
const ROWS: usize = 11;

/// The derivative of `f` at 0 from values within `reach`; `None` where `f` has no finite values there. A step of `grain`
/// changes little but the rounding of the values.
pub fn ridders(
    f: &mut dyn FnMut(f64) -> Option<f64>,
    reach: f64,
    grain: f64,
) -> Option<Difference> {
    let mut h = reach;
    for _ in 0..4 {
        if let Some(found) = tableau(f, h, grain) {
            return Some(found);
        }
        h /= 16.0;
    }
    None
}

fn tableau(f: &mut dyn FnMut(f64) -> Option<f64>, reach: f64, grain: f64) -> Option<Difference> {
    let middle = f(0.0)?;
    // How much the last bits of the argument change: where large terms cancel, more than the last bits of the value.
    let mut noise = f64::EPSILON * middle.abs();
    for step in [-2.0 * grain, -grain, grain, 2.0 * grain] {
        if let Some(near) = f(step) {
            noise = noise.max((near - middle).abs());
        }
    }
    // Values that stay the same for small steps are coarser than their bits say: of single precision, or read off a table.
    let smallest = reach / SHRINK.powi(ROWS as i32 - 1);
    let mut coarse = 16.0 * grain;
    while noise <= f64::EPSILON * middle.abs() && coarse < 0.5 * smallest {
        if let Some(near) = f(coarse) {
            noise = noise.max((near - middle).abs());
        }
        coarse *= 8.0;
    }
    let mut table = [[0.0f64; ROWS]; ROWS];
    let mut best = (f64::NAN, f64::INFINITY);
    let mut h = reach;
    let mut bend = [0.0f64; 2];
    let (mut sides, mut before) = ((0.0, 0.0), (0.0, 0.0));
    for i in 0..ROWS {
        let (above, below) = (f(h)?, f(-h)?);
        table[0][i] = (above - below) / (2.0 * h);
        bend[usize::from(i > 0)] = ((above - 2.0 * middle + below) / h).abs();
        before = sides;
        sides = ((middle - below) / h, (above - middle) / h);
        let mut factor = SHRINK * SHRINK;
        for j in 1..=i {
            table[j][i] = (table[j - 1][i] * factor - table[j - 1][i - 1]) / (factor - 1.0);
            factor *= SHRINK * SHRINK;
            let error = (table[j][i] - table[j - 1][i])
                .abs()
                .max((table[j][i] - table[j - 1][i - 1]).abs());
            if error <= best.1 {
                best = (table[j][i], error);
            }
        }
        h /= SHRINK;
    }
    let step = h * SHRINK;
    let floor = 4.0 * noise / step;
    let size = middle.abs() + sides.0.abs() + sides.1.abs();
    // Where the function is smooth, the bend shrinks with the step: here by a factor of 29.
    let kink = bend[1] > 0.5 * bend[0] && bend[1] > 1e-6 * size;
    // A bent side has another slope where it ends.
    let ends =
        [(sides.0, before.0), (sides.1, before.1)].map(|(s, b)| s + (s - b) / (SHRINK - 1.0));
    let low = sides.0.min(sides.1).min(ends[0]).min(ends[1]);
    let high = sides.0.max(sides.1).max(ends[0]).max(ends[1]);
    (best.0.is_finite()).then_some(Difference {
        slope: best.0,
        error: best.1 + floor,
        step,
        kink: kink.then_some((low, high)),
    })
}

/// What a difference says of a derivative.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verdict {
    Right,
    /// It is one of the slopes between those on both sides of a kink.
    Kink,
    /// A jump, a kink nearby, or values too coarse to say.
    Unsure,
    Wrong,
}

/// Judges a derivative; `size` is that of the function's value.
pub fn judge(got: f64, d: &Difference, size: f64, tolerance: f64) -> Verdict {
    let slack = tolerance * got.abs().max(d.slope.abs()) + 1e-9 * (1.0 + size.abs());
    let gap = (got - d.slope).abs();
    if gap.is_nan() {
        return Verdict::Wrong;
    }
    // Where all is small the absolute bound would pass anything: a slope that differences see clearly must be met.
    let clear = d.slope.abs().min(gap) > 100.0 * d.error && gap > 1e-3 * d.slope.abs();
    // Values that jump about: the differences say nothing.
    let coarse = d.error > 0.1 * d.slope.abs() && d.error > 1e-6 * (1.0 + size.abs());
    if gap <= slack && !clear && !coarse {
        return Verdict::Right;
    }
    if let Some((low, high)) = d.kink
        && got >= low - slack
        && got <= high + slack
    {
        return Verdict::Kink;
    }
    // A slope that changes the value by more than its size within the smallest step cannot be seen.
    let steep = got.is_finite() && got.abs() * d.step > 1.0 + size.abs();
    if coarse || steep || gap <= 10.0 * d.error {
        return Verdict::Unsure;
    }
    Verdict::Wrong
}
