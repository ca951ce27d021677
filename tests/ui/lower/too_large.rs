use backprop::backprop;

#[backprop]
fn f(x: f64) -> f64 {
    let a = |v: f64| (v * x + 0.5).sin();
    let b = |v: f64| a(a(a(a(a(a(a(a(a(a(v))))))))));
    let c = |v: f64| b(b(b(b(b(b(b(b(b(b(v))))))))));
    let d = |v: f64| c(c(c(c(c(c(c(c(c(c(v))))))))));
    let e = |v: f64| d(d(d(d(d(d(d(d(d(d(v))))))))));
    let f = |v: f64| e(e(e(e(e(e(e(e(e(e(v))))))))));
    f(x)
}

#[backprop]
#[allow(unconditional_recursion)]
fn endless_closure(x: f64) -> f64 {
    fn g(x: f64) -> f64 {
        g(x) + 1.0
    }
    g(x)
}

fn main() {}
