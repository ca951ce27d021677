use backprop::backprop;

#[backprop]
fn endless(x: f64) -> f64 {
    let s = x;
    loop {
        println!("{s}");
    }
}

#[backprop]
fn exits_inside(x: f64, v: [f64; 3]) -> f64 {
    let y = x * (if x > 0.0 { x } else { return 1.0 });
    let mut s = 0.0;
    for a in &v {
        s += (if *a > 0.0 { *a } else { continue }) * y;
    }
    s
}

#[backprop(wrt(x))]
fn closures(x: f64, f: fn(f64) -> f64) -> f64 {
    let _later = async |a: f64| a * x;
    f(x)
}

#[backprop]
fn expressions(x: f64) -> f64 {
    let r = const { 2.0 };
    x * r
}

fn main() {}
