use backprop::backprop;

#[backprop]
fn filtered_then_reversed(x: &[f64]) -> f64 {
    let kept = x.iter().enumerate().filter(|(i, _)| i % 2 == 0);
    kept.map(|(_, v)| v).chain(x).sum()
}

#[backprop]
fn untyped_sum(x: f64, n: &[usize]) -> f64 {
    let [a, b] = [2usize, 3];
    let total: usize = [a, b].iter().sum();
    x * (total + n[0]) as f64
}

#[backprop]
fn a_range_that_goes_on(x: &[f64]) -> f64 {
    let mut rest = 0..x.len();
    let first = rest.next().unwrap();
    x[first]
}

#[backprop]
fn inner_constant(x: [f64; 3]) -> f64 {
    fn total<const N: usize>(v: &[f64; N]) -> f64 {
        let mut s = 0.0;
        for i in 0..N {
            s += v[i];
        }
        s
    }
    total(&x)
}

fn main() {}
