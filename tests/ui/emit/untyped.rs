use backprop::backprop;

const STEPS: [i64; 3] = [1, 2, 3];

#[backprop]
fn f(x: f64) -> f64 {
    let mut s = x;
    let mut k = STEPS[0];
    while s < 100.0 {
        s = s.powi(k as i32) * x.exp();
        k = STEPS[1] + k;
    }
    s
}

fn main() {}
