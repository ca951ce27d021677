use backprop::backprop;
use ndarray::{Array1, Array2, Axis};

// Signatures.

#[backprop]
fn mixed(a: &Array1<f64>, b: &Array1<f32>) -> f64 {
    a.sum() + b[0] as f64
}

#[backprop]
fn by_value_too(a: &Array1<f64>, b: [f64; 2]) -> f64 {
    a.sum() * b[0]
}

#[backprop]
fn many<const N: usize>(a: &Array1<f64>) -> f64 {
    a.sum()
}

#[backprop]
fn borrowed(a: &Array1<f64>) -> ndarray::ArrayView1<'_, f64> {
    a.view()
}

#[backprop(trace)]
fn traced(a: &Array1<f64>) -> f64 {
    a.sum()
}

#[backprop(check, stable, jacobian)]
fn left_out(a: &Array1<f64>) -> f64 {
    a.sum()
}

#[backprop]
fn changed_in_place(a: &mut Array1<f64>, _log: &mut Vec<usize>) -> f64 {
    a.sum()
}

#[backprop]
fn nothing(a: &Array1<f64>) {
    a.sum();
}

struct Generic<T>(T);
impl<T> Generic<T> {
    #[backprop]
    fn loss(&self, a: &Array1<f64>) -> f64 {
        a.sum()
    }
}

// Bodies: what could hide a gradient.

fn helper(a: &Array1<f64>) -> f64 {
    a.sum()
}

#[backprop]
fn called(a: &Array1<f64>) -> f64 {
    helper(a)
}

#[backprop]
fn methods(a: &Array1<f64>) -> f64 {
    let v = a.clone().into_raw_vec_and_offset().0;
    v[0]
}

#[backprop]
fn bits(a: &Array1<f64>) -> f64 {
    a.mapv(|v| f64::from_bits(v.to_bits())).sum()
}

#[backprop]
fn looped(a: &Array2<f64>) -> f64 {
    let mut total = 0.0;
    for k in (0..).map(|k| k / 2) {
        total += a[[k, 0]];
    }
    total
}

#[backprop]
fn carried(a: &Array2<f64>) -> f64 {
    let mut last = None;
    for row in a.rows() {
        last = Some(row.len());
    }
    a.sum() * last.unwrap_or(1) as f64
}

#[backprop]
fn effects(a: &Array1<f64>, mut log: Vec<usize>) -> f64 {
    log.push(1);
    a.sum() * log.len() as f64
}

#[backprop]
fn sides(a: &Array1<f64>) -> f64 {
    let y = if a.sum() > 0.0 { a.mean() } else { None };
    y.unwrap_or(0.0)
}

#[backprop]
fn left(a: &Array2<f64>) -> f64 {
    let y = loop {
        break a.sum();
    };
    y
}

#[backprop]
fn borrowed_in_a_block(a: &Array2<f64>) -> f64 {
    let mut b = a.clone();
    {
        let mut r = { b.row_mut(0) };
        r += 1.0;
    }
    b.sum()
}

#[backprop]
fn moved_into_a_closure(a: &Array1<f64>) -> f64 {
    let mut s = a.sum();
    let mut add = move |x: f64| {
        s += x;
        s
    };
    add(1.0) + add(2.0)
}

#[backprop]
fn ordered(a: &Array2<f64>) -> f64 {
    a.fold(0.0, |total, &x| 0.5 * total + x)
}

#[backprop]
fn ordered_lanes(a: &Array2<f64>) -> f64 {
    a.map_axis(Axis(1), |row| row.fold(1.0, |total, &x| x - total)).sum()
}

#[derive(Clone, backprop::Differentiable)]
struct Weights {
    w: Array1<f64>,
    p: Vec<f64>,
}

#[derive(Clone, backprop::Differentiable)]
struct Layer {
    w: Array1<f64>,
}

impl Layer {
    fn norm(&self) -> f64 {
        self.w.dot(&self.w)
    }
}

#[backprop]
fn not_annotated(layer: &Layer) -> f64 {
    layer.norm()
}

// What would be lost, as nothing reads it.

#[backprop]
fn collected(a: &Array1<f64>) -> f64 {
    let mut sums: Vec<f64> = Vec::new();
    for i in 0..2 {
        sums.push(a[i]);
    }
    a.sum() + sums.iter().sum::<f64>()
}

#[backprop]
fn pushed_at_times(a: &Array2<f64>) -> f64 {
    let mut rows = Vec::new();
    for row in a.rows() {
        if row[0] > 0.0 {
            rows.push(row.to_owned());
        }
    }
    rows[0].sum()
}

#[backprop]
fn pushed_twice(a: &Array2<f64>) -> f64 {
    let mut rows = vec![a.row(0).to_owned()];
    for row in a.rows() {
        rows.push(row.to_owned());
        rows.push(&row * 2.0);
    }
    rows[0].sum()
}

#[backprop]
fn read_while_it_grows(a: &Array2<f64>) -> f64 {
    let mut rows = vec![a.row(0).to_owned()];
    for i in 1..a.nrows() {
        rows.push(&rows[i - 1] * &a.row(i));
    }
    rows[0].sum()
}

#[backprop]
fn in_a_cell(a: &Array1<f64>) -> f64 {
    let total = std::cell::Cell::new(0.0);
    ndarray::Zip::from(a).for_each(|&x| total.set(total.get() + x));
    let _last = total.replace(1.0);
    a.sum() * total.get()
}

#[backprop]
fn slice_in_a_struct(net: &Weights) -> f64 {
    net.w.sum() * net.p[0]
}

#[backprop]
fn printed(a: &Array1<f64>) -> f64 {
    println!("{}", a);
    a.sum()
}

#[backprop]
fn kind(a: &Array1<f64>) -> f64 {
    a.mapv(|v| v * v)
}

#[backprop]
fn shadowed(a: &Array1<f64>, n: usize) -> f64 {
    let n = n + 1;
    let m = [1, 2].iter().map(|n| n * 2).sum::<usize>() + n;
    a.sum() * m as f64
}

#[backprop]
fn axes_at_run_time(a: &Array1<f64>, shape: &[usize]) -> f64 {
    let b = ndarray::Array::from_shape_vec(shape, vec![0.5; 4]).unwrap();
    (a * &b).sum()
}

#[backprop]
#[allow(deprecated)]
fn by_memory(a: &Array2<f64>) -> f64 {
    let b = a.clone().into_shape((4, 1)).unwrap();
    b[[1, 0]]
}

fn main() {}
