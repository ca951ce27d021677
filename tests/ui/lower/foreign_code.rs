use backprop::backprop;

macro_rules! square {
    ($e:expr) => {
        $e * $e
    };
}

#[backprop]
fn bits(x: f64) -> f64 {
    f64::from_bits(x.to_bits() ^ 1)
}

#[backprop]
fn unsafe_block(x: f64) -> f64 {
    unsafe { std::mem::transmute::<u64, f64>(std::mem::transmute::<f64, u64>(x)) }
}

#[backprop]
fn macros(x: f64) -> f64 {
    let y = square!(x);
    let z = dbg!(y);
    z + 1.0
}

#[backprop]
fn items(x: f64) -> f64 {
    struct Local;
    enum Other {}
    let _ = Local;
    x
}

#[backprop]
fn suspended(x: f64) -> f64 {
    let _later = async { x };
    x
}

fn main() {}
