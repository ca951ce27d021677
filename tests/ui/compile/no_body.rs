use backprop::backprop;

trait Energy {
    #[backprop]
    fn energy(&self, x: f64) -> f64;
}

fn main() {}
