use backprop::backprop;

struct Model;

impl Model {
    fn energy(&self, x: f64) -> f64 {
        x * x
    }

    fn scale(x: f64) -> f64 {
        2.0 * x
    }

    #[backprop]
    fn total(&self, x: f64) -> f64 {
        let a = self.energy(x);
        a + Model::scale(x)
    }

    #[backprop]
    fn power(&self, x: f64, n: u32) -> f64 {
        if n == 0 { 1.0 } else { x * self.power(x, n - 1) }
    }
}

fn helper(x: f64) -> f64 {
    x * x
}

trait Extended {
    fn twice(self) -> Self;
}

impl Extended for f64 {
    fn twice(self) -> f64 {
        2.0 * self
    }
}

fn nothing() -> f64 {
    1.0
}

#[backprop]
fn unannotated(x: f64) -> f64 {
    let a = helper(x);
    let b = x.twice();
    a + b + Extended::twice(x)
}

#[backprop]
fn without_arguments(x: f64) -> f64 {
    let a = x * nothing();
    a + x * std::env::args().count() as f64
}

#[backprop]
fn annotated(x: f64) -> f64 {
    x
}

#[backprop]
fn parts(v: [f64; 3], x: f64) -> f64 {
    let a = annotated(v[0]) * slices(&v[1..]);
    let b = tuples((x, x));
    a * b
}

#[backprop]
fn slices(v: &[f64]) -> f64 {
    v[0]
}

#[backprop]
fn tuples(t: (f64, f64)) -> f64 {
    t.0 * t.1
}

#[backprop]
fn methods(x: f64, v: [f64; 3]) -> f64 {
    let _a = x.next_up();
    let _b = v.binary_search_by(|p| p.total_cmp(&x));
    let _c = v.partition_point(|p| *p < x);
    x.midpoint(2.0)
}

fn main() {}
