use backprop::backprop;

struct Spring {
    k: f64,
}

impl Spring {
    #[backprop(check)]
    fn energy(&self, x: f64) -> f64 {
        0.5 * self.k * x * x
    }

    #[backprop(check(self = Spring { k: 1.0 }, at(x = 2.0), value = 3.0))]
    fn expected(&self, x: f64) -> f64 {
        0.5 * self.k * x * x
    }

    #[backprop(check(self = spring()))]
    fn made(&self, x: f64) -> f64 {
        0.5 * self.k * x * x
    }

    #[backprop(check(self = Spring { l: 1.0 }))]
    fn misspelt(&self, x: f64) -> f64 {
        0.5 * self.k * x * x
    }
}

fn spring() -> Spring {
    Spring { k: 1.0 }
}

#[backprop(check(self = Spring { k: 1.0 }))]
fn no_method(x: f64) -> f64 {
    x * x
}

mod stopped {
    use backprop::{backprop, detach};

    static TWO: f64 = 2.0;

    #[backprop(check)]
    fn detached(x: f64) -> f64 {
        detach(x) * x * TWO
    }

    #[backprop]
    fn array(x: [f64; 2]) -> f64 {
        let y = detach(x);
        y[0] * x[1]
    }
}

fn main() {}
