//! Lorenz's attractor by classical Runge-Kutta: a small state carried through 10000 steps, each of which the gradient needs.

use crate::harness::Bench;
use backprop::backprop;
use std::hint::black_box;

const STEPS: usize = 10_000;

#[backprop]
fn lorenz(start: &[f64; 3]) -> f64 {
    let dt = 0.001;
    let mut x = start[0];
    let mut y = start[1];
    let mut z = start[2];
    for _ in 0..STEPS {
        let k1x = 10.0 * (y - x);
        let k1y = x * (28.0 - z) - y;
        let k1z = x * y - 8.0 / 3.0 * z;
        let x2 = x + 0.5 * dt * k1x;
        let y2 = y + 0.5 * dt * k1y;
        let z2 = z + 0.5 * dt * k1z;
        let k2x = 10.0 * (y2 - x2);
        let k2y = x2 * (28.0 - z2) - y2;
        let k2z = x2 * y2 - 8.0 / 3.0 * z2;
        let x3 = x + 0.5 * dt * k2x;
        let y3 = y + 0.5 * dt * k2y;
        let z3 = z + 0.5 * dt * k2z;
        let k3x = 10.0 * (y3 - x3);
        let k3y = x3 * (28.0 - z3) - y3;
        let k3z = x3 * y3 - 8.0 / 3.0 * z3;
        let x4 = x + dt * k3x;
        let y4 = y + dt * k3y;
        let z4 = z + dt * k3z;
        let k4x = 10.0 * (y4 - x4);
        let k4y = x4 * (28.0 - z4) - y4;
        let k4z = x4 * y4 - 8.0 / 3.0 * z4;
        x += dt / 6.0 * (k1x + 2.0 * k2x + 2.0 * k3x + k4x);
        y += dt / 6.0 * (k1y + 2.0 * k2y + 2.0 * k3y + k4y);
        z += dt / 6.0 * (k1z + 2.0 * k2z + 2.0 * k3z + k4z);
    }
    x * x + y * y + z * z
}

const DT: f64 = 0.001;

/// The right-hand side at `u`.
fn slope(u: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = u;
    [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]
}

/// The transposed Jacobian of `slope` at `u`, times `d`.
fn slope_back(u: [f64; 3], d: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = u;
    let [dx, dy, dz] = d;
    [
        (28.0 - z) * dy - 10.0 * dx + y * dz,
        10.0 * dx - dy + x * dz,
        -(x * dy) - 8.0 / 3.0 * dz,
    ]
}

/// `u + h * k`, by component.
fn along(u: [f64; 3], h: f64, k: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| u[i] + h * k[i])
}

/// The states wait in one allocation; the stages of a step are computed again on the way back, off the critical path.
fn by_hand(start: &[f64; 3], d: &mut [f64; 3]) -> f64 {
    let mut states = Vec::with_capacity(STEPS);
    let mut u = *start;
    for _ in 0..STEPS {
        states.push(u);
        let k1 = slope(u);
        let k2 = slope(along(u, 0.5 * DT, k1));
        let k3 = slope(along(u, 0.5 * DT, k2));
        let k4 = slope(along(u, DT, k3));
        u = std::array::from_fn(|i| u[i] + DT / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
    }
    let value = u[0] * u[0] + u[1] * u[1] + u[2] * u[2];

    let mut du = u.map(|u| 2.0 * u);
    for &u in states.iter().rev() {
        let u2 = along(u, 0.5 * DT, slope(u));
        let u3 = along(u, 0.5 * DT, slope(u2));
        let u4 = along(u, DT, slope(u3));
        let end = du.map(|d| DT / 6.0 * d);
        let middle = du.map(|d| DT / 3.0 * d);
        let d4 = slope_back(u4, end);
        let d3 = slope_back(u3, along(middle, DT, d4));
        let d2 = slope_back(u2, along(middle, 0.5 * DT, d3));
        let d1 = slope_back(u, along(end, 0.5 * DT, d2));
        du = std::array::from_fn(|i| du[i] + d1[i] + d2[i] + d3[i] + d4[i]);
    }
    *d = du;
    value
}

pub fn rows(bench: &mut Bench) {
    let start = [1.0, 1.0, 1.0];
    bench.row(
        "lorenz",
        [f64::NAN; 3],
        || lorenz(black_box(&start)),
        |d| by_hand(black_box(&start), black_box(d)),
        |d| lorenz::value_and_gradient_into(black_box(&start), black_box(d)),
    );
}
