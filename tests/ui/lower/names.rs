use backprop::backprop;

macro_rules! made {
    ($name:ident, $p:ident, $e:expr) => {
        #[backprop]
        fn $name($p: f64) -> f64 {
            let x = 2.0 * $p;
            $e + x
        }
    };
}
made!(hygiene, y, x(y));

#[backprop]
fn x(y: f64) -> f64 {
    y * y
}

fn main() {}
