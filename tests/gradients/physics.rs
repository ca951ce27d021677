//! Simulations: integrators, forces and equations of state.

use crate::check::check;
use backprop::backprop;

// Radii shadowed per half step, positions and momenta in place.
#[test]
fn leapfrog_two_body() {
    #[backprop]
    fn leapfrog_two_body(mut q: [f64; 2], mut p: [f64; 2], mu: f64) -> f64 {
        let h = 0.05;
        for _ in 0..30 {
            let r2 = q[0] * q[0] + q[1] * q[1];
            let r3 = r2 * r2.sqrt();
            for d in 0..2 {
                p[d] -= 0.5 * h * mu * q[d] / r3;
            }
            for d in 0..2 {
                q[d] += h * p[d];
            }
            let r2 = q[0] * q[0] + q[1] * q[1];
            let r3 = r2 * r2.sqrt();
            for d in 0..2 {
                p[d] -= 0.5 * h * mu * q[d] / r3;
            }
        }
        0.5 * (p[0] * p[0] + p[1] * p[1]) - mu / q[0].hypot(q[1]) + q[0]
    }

    check!(leapfrog_two_body([1.0, 0.0], [0.1, 0.9], 1.0) = -0.3852423437433441, { q: [3.8124489982765897, 0.8728956205650531], p: [2.1510178559912685, 1.5473190858350714], mu: -2.131801710157775 });
    check!(leapfrog_two_body([0.94, 0.11], [0.193, 0.857], 0.94) = -0.23741565180305516, { q: [3.669117857475125, 1.0891348843804616], p: [2.158725573386038, 1.4387285406857069], mu: -2.150069128932479 });
}

// Pairs with a cutoff; the forces add up to 0.
#[test]
fn lennard_jones_cluster() {
    #[backprop]
    fn lennard_jones_cluster(pos: &[f64], eps: f64, sigma: f64) -> f64 {
        let n = pos.len() / 3;
        let mut e = 0.0;
        for i in 0..n {
            for j in (i + 1)..n {
                let mut r2 = 0.0;
                for d in 0..3 {
                    let dx = pos[3 * i + d] - pos[3 * j + d];
                    r2 += dx * dx;
                }
                if r2 > 6.25 * sigma * sigma {
                    continue;
                }
                let s6 = (sigma * sigma / r2).powi(3);
                e += 4.0 * eps * (s6 * s6 - s6);
            }
        }
        e
    }

    check!(lennard_jones_cluster(&[0.0, 0.0, 0.0, 1.1, 0.1, 0.0, 0.2, 1.2, 0.3, 3.5, 0.0, 0.0], 1.0, 1.0) = -2.157435877965987, { pos: [0.8268078214041342, -2.180534397072201, -0.5726004505199618, -0.4022337370033656, -1.1560646411572786, -0.2859108935236521, -0.475999046890982, 3.338741744999905, 0.858511344043614, 0.051424962490213395, -0.0021427067704255583, 0.0], eps: -2.157435877965987, sigma: -3.7907674817310903 });
    check!(lennard_jones_cluster(&[0.11, 0.11, 0.11, 1.023, 0.193, 0.11, 0.276, 1.106, 0.359, 3.015, 0.11, 0.11], 0.94, 0.94) = -0.9200433632490851, { pos: [37.87802268747074, 4.453192120395842, 0.2563174762357735, -36.394325913913704, -5.17586412784276, -0.47809161695639724, -1.6051531683597073, 0.727732690563696, 0.22177414072062376, 0.12145639480266736, -0.005060683116777806, 0.0], eps: -0.9787695353713671, sigma: 34.884252510871534 });
}

#[test]
fn lorenz_euler() {
    #[backprop]
    fn lorenz_euler(mut s: [f64; 3], p: [f64; 3]) -> f64 {
        for _ in 0..100 {
            let d = [
                p[0] * (s[1] - s[0]),
                s[0] * (p[1] - s[2]) - s[1],
                s[0] * s[1] - p[2] * s[2],
            ];
            for i in 0..3 {
                s[i] += 0.005 * d[i];
            }
        }
        s[0] + s[1] * 0.5 - s[2]
    }

    check!(lorenz_euler([1.0, 1.0, 20.0], [10.0, 28.0, 2.6666]) = -15.333925404657561, { s: [-10.174055739637172, -16.032528013605774, 2.7737179485474925], p: [-2.667113633336761, -4.937669826095715, -5.206497369728579] });
    check!(lorenz_euler([0.94, 0.94, 16.71], [8.41, 23.35, 2.323278]) = -0.5484476608502834, { s: [-5.20385199399867, -8.114375502014632, 0.968032860908376], p: [-0.8727824163755441, -1.7323238316230951, 1.052126848324606] });
}

#[test]
fn rk4_pendulum() {
    #[backprop]
    fn rk4_pendulum(theta0: f64, omega0: f64, g_over_l: f64, damping: f64) -> f64 {
        let dt = 0.05;
        let mut th = theta0;
        let mut om = omega0;
        for _ in 0..40 {
            let k1t = om;
            let k1o = -g_over_l * th.sin() - damping * om;
            let k2t = om + 0.5 * dt * k1o;
            let k2o = -g_over_l * (th + 0.5 * dt * k1t).sin() - damping * k2t;
            let k3t = om + 0.5 * dt * k2o;
            let k3o = -g_over_l * (th + 0.5 * dt * k2t).sin() - damping * k3t;
            let k4t = om + dt * k3o;
            let k4o = -g_over_l * (th + dt * k3t).sin() - damping * k4t;
            th += dt / 6.0 * (k1t + 2.0 * k2t + 2.0 * k3t + k4t);
            om += dt / 6.0 * (k1o + 2.0 * k2o + 2.0 * k3o + k4o);
        }
        th * th + 0.1 * om
    }

    check!(rk4_pendulum(1.0, 0.0, 9.81, 0.1) = 0.7915555066642277, { theta0: 1.2446093018376034, omega0: -0.10237474302681682, g_over_l: 0.09881634834217334, damping: -1.5391592423618485 });
    check!(rk4_pendulum(2.5, -0.5, 4.0, 0.0) = 5.303017232298984, { theta0: -0.37330437071012923, omega0: -2.149691968590392, g_over_l: 1.1852879678004544, damping: -13.716483531768771 });
}

#[test]
fn van_der_waals() {
    #[backprop]
    fn van_der_waals(p: f64, t: f64, a: f64, b: f64) -> f64 {
        let r = 8.314462618e-2;
        let mut v = r * t / p;
        for _ in 0..40 {
            let f = (p + a / (v * v)) * (v - b) - r * t;
            let df = p + a / (v * v) - 2.0 * a * (v - b) / (v * v * v);
            let dv = f / df;
            v -= dv;
            if dv.abs() < 1e-12 * v.abs() {
                break;
            }
        }
        v
    }

    check!(van_der_waals(10.0, 300.0, 3.6, 0.043) = 2.389383756797218, { p: -0.2498244685656287, t: 0.008852585170406763, a: -0.04375857374048385, b: 1.1318589908528547 });
    check!(van_der_waals(1.0, 350.0, 2.3, 0.03) = 29.051531252276988, { p: -29.10067104516046, t: 0.08337135606678854, a: -0.03447981661544783, b: 1.005459511068582 });
}
