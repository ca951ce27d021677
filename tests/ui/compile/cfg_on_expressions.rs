use backprop::backprop;

// Accepted today, and differentiated as if every `cfg` held: 1 instead of 2x.
#[backprop]
fn statements(x: f64) -> f64 {
    #[cfg(any())]
    {
        return x;
    }
    #[allow(clippy::needless_return)]
    return x * x;
}

#[backprop]
fn elements(x: f64) -> f64 {
    let a = [
        #[cfg(any())]
        x,
        2.0 * x,
        3.0 * x,
    ];
    a[0]
}

#[backprop]
fn items(x: f64) -> f64 {
    #[cfg(any())]
    const K: f64 = 2.0;
    #[cfg(all())]
    const K: f64 = 3.0;
    x * K
}

fn main() {}
