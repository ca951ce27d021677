//! The softened energy of n bodies: a double loop over pairs, each of which pulls at both of its bodies.

use crate::harness::{Bench, uniform};
use backprop::backprop;
use std::hint::black_box;

#[backprop(wrt(r))]
fn nbody<const N: usize>(r: &[[f64; 3]; N], m: &[f64; N]) -> f64 {
    let mut energy = 0.0;
    for i in 0..N {
        for j in i + 1..N {
            let x = r[i][0] - r[j][0];
            let y = r[i][1] - r[j][1];
            let z = r[i][2] - r[j][2];
            energy -= m[i] * m[j] / (x * x + y * y + z * z + 1e-3).sqrt();
        }
    }
    energy
}

/// One array per coordinate, so that the loop with the square root and the divisions vectorises; what belongs to body `i`, and the
/// energy, whose order of summation is fixed, are summed in a loop of their own.
fn by_hand<const N: usize>(r: &[[f64; 3]; N], m: &[f64; N], d: &mut [[f64; 3]; N]) -> f64 {
    let (rx, ry, rz) = (r.map(|r| r[0]), r.map(|r| r[1]), r.map(|r| r[2]));
    let (mut dx, mut dy, mut dz) = ([0.0; N], [0.0; N], [0.0; N]);
    let (mut pull_x, mut pull_y, mut pull_z) = ([0.0; N], [0.0; N], [0.0; N]);
    let mut potential = [0.0; N];
    let mut energy = 0.0;
    for i in 0..N {
        for j in i + 1..N {
            let (x, y, z) = (rx[i] - rx[j], ry[i] - ry[j], rz[i] - rz[j]);
            let s = x * x + y * y + z * z + 1e-3;
            potential[j] = m[i] * m[j] / s.sqrt();
            let f = potential[j] / s;
            (pull_x[j], pull_y[j], pull_z[j]) = (f * x, f * y, f * z);
            dx[j] -= f * x;
            dy[j] -= f * y;
            dz[j] -= f * z;
        }
        let mut di = [dx[i], dy[i], dz[i]];
        for j in i + 1..N {
            energy -= potential[j];
            di = [di[0] + pull_x[j], di[1] + pull_y[j], di[2] + pull_z[j]];
        }
        d[i] = di;
    }
    energy
}

fn row<const N: usize>(bench: &mut Bench, name: &str) {
    let numbers = uniform(4 * N, -1.0, 1.0);
    let r: [[f64; 3]; N] = std::array::from_fn(|i| std::array::from_fn(|k| numbers[3 * i + k]));
    let m: [f64; N] = std::array::from_fn(|i| 1.5 + numbers[3 * N + i]);
    bench.row(
        name,
        [[f64::NAN; 3]; N],
        || nbody(black_box(&r), black_box(&m)),
        |d| by_hand(black_box(&r), black_box(&m), black_box(d)),
        |d| nbody::value_and_gradient_into(black_box(&r), black_box(&m), black_box(d)),
    );
}

pub fn rows(bench: &mut Bench) {
    row::<3>(bench, "nbody_3");
    row::<20>(bench, "nbody_20");
}
