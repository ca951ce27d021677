//! `backward` drops the lifetime parameters but keeps the predicates that name them (E0261).

use backprop::backprop;

#[backprop]
fn f<'a, 'b>(a: &'a [f64], b: &'b [f64]) -> f64
where
    'b: 'a,
{
    a[0] * b[0]
}

fn main() {
    let (_, saved) = f::forward(&[2.0], &[3.0]);
    assert_eq!(f::backward(&saved, 1.0).a, vec![3.0]);
}
