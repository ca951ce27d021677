//! Structs of arrays as parameters, and early returns beside them.

use crate::agree::{close, numbers, slope};
use backprop::{Differentiable, Float, backprop};
use ndarray::{Array1, Array2, arr1};

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Dense {
    w: Array2<f64>,
    b: Array1<f64>,
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Net {
    first: Dense,
    second: Dense,
    k: f64,
    n: usize,
    order: Vec<usize>,
    #[backprop(constant)]
    mask: Array1<f64>,
}

#[backprop(wrt(net))]
fn loss(net: &Net, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let h = (x.dot(&net.first.w) + &net.first.b).mapv(|v| (v * net.k).tanh()) * &net.mask;
    let Dense { w, b } = &net.second;
    let e = h.dot(w) + b - y;
    let mut total = (&e * &e).sum() / net.n as f64;
    if net.n > 2 {
        total += net.first.w.sum() * net.k;
    }
    for &i in &net.order {
        total += net.first.b[i] * net.k;
    }
    total
}

fn dense(n: usize, m: usize, seed: u64) -> Dense {
    Dense {
        w: numbers((n, m), seed),
        b: numbers(m, seed + 1),
    }
}

fn network_of_two() -> Net {
    Net {
        first: dense(3, 4, 1),
        second: dense(4, 2, 3),
        k: 0.8,
        n: 5,
        order: vec![1, 1, 3],
        mask: arr1(&[1.0, 0.0, 2.0, 1.0]),
    }
}

#[test]
fn a_network_in_a_struct() {
    let net = network_of_two();
    let (x, y) = (numbers((5, 3), 5), numbers((5, 2), 6));
    let (value, g) = loss::value_and_gradient(&net, &x, &y);
    close(value, loss(&net, &x, &y), 1e-13, "the value");
    let with = |change: &dyn Fn(&mut Net, f64)| {
        slope(|h| {
            let mut net = net.clone();
            change(&mut net, h);
            loss(&net, &x, &y)
        })
    };
    for (k, &found) in g.net.first.w.indexed_iter() {
        close(found, with(&|n, h| n.first.w[k] += h), 1e-8, "first.w");
    }
    for (k, &found) in g.net.second.w.indexed_iter() {
        close(found, with(&|n, h| n.second.w[k] += h), 1e-8, "second.w");
    }
    for (k, &found) in g.net.first.b.indexed_iter() {
        close(found, with(&|n, h| n.first.b[k] += h), 1e-8, "first.b");
    }
    for (k, &found) in g.net.second.b.indexed_iter() {
        close(found, with(&|n, h| n.second.b[k] += h), 1e-8, "second.b");
    }
    close(g.net.k, with(&|n, h| n.k += h), 1e-8, "k");

    let (again, saved) = loss::forward(&net, &x, &y);
    assert_eq!((again, loss::backward(&saved, 1.0)), (value, g.clone()));
    let mut buffer = net.zero_gradient();
    assert_eq!(
        loss::value_and_gradient_into(&net, &x, &y, &mut buffer),
        value
    );
    assert_eq!(buffer, g.net);
    loss::accumulate(&net, &x, &y, 1.0, &mut buffer);
    let error = &buffer.first.w - 2.0 * &g.net.first.w;
    close(error.mapv(f64::abs).sum(), 0.0, 1e-13, "added");
    let mut workspace = LossWorkspace::default();
    for _ in 0..2 {
        let (again, with) = loss::value_and_gradient_with(&mut workspace, &net, &x, &y);
        assert_eq!((again, with), (value, &g));
    }
}

#[backprop]
fn through(layer: &Dense, x: &Array2<f64>, k: f64) -> Array2<f64> {
    let z = x.dot(&layer.w) + &layer.b;
    if k > 10.0 {
        return z;
    }
    z.mapv(|v| (v * k).tanh())
}

#[backprop]
fn network(net: &Net, x: &Array2<f64>) -> Array2<f64> {
    let h = through(&net.first, x, net.k) * &net.mask;
    through(&net.second, &h, net.k)
}

#[backprop(wrt(net))]
fn error(net: &Net, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let mut e = network(net, x) - y;
    for i in 0..net.n {
        if i == 1 {
            e += &network(net, x);
        }
    }
    (&e * &e).sum()
}

#[test]
fn calls_with_structs() {
    let net = network_of_two();
    let (x, y) = (numbers((5, 3), 5), numbers((5, 2), 6));
    let (value, g) = error::value_and_gradient(&net, &x, &y);
    close(value, error(&net, &x, &y), 1e-13, "the value");
    let (again, saved) = error::forward(&net, &x, &y);
    assert_eq!((again, error::backward(&saved, 1.0)), (value, g.clone()));
    let with = |change: &dyn Fn(&mut Net, f64)| {
        slope(|h| {
            let mut net = net.clone();
            change(&mut net, h);
            error(&net, &x, &y)
        })
    };
    for (k, &found) in g.net.first.w.indexed_iter() {
        close(found, with(&|n, h| n.first.w[k] += h), 1e-8, "first.w");
    }
    for (k, &found) in g.net.second.b.indexed_iter() {
        close(found, with(&|n, h| n.second.b[k] += h), 1e-8, "second.b");
    }
    close(g.net.k, with(&|n, h| n.k += h), 1e-8, "k");
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Layer<T: Float> {
    w: Array2<T>,
    b: Array1<T>,
}

#[backprop(wrt(layer))]
fn generic<T: Float>(layer: &Layer<T>, x: &Array1<T>) -> T {
    let z = layer.w.dot(x) + &layer.b;
    (&z * &z).sum()
}

#[test]
fn a_step_of_gradient_descent() {
    let mut layer = Layer {
        w: numbers((3, 3), 1),
        b: numbers(3, 2),
    };
    let (x, before) = (numbers(3, 3), layer.clone());
    let g = generic::gradient(&layer, &x);
    for k in 0..3 {
        let expected = slope(|h| {
            let mut layer = before.clone();
            layer.b[k] += h;
            generic(&layer, &x)
        });
        close(g.layer.b[k], expected, 1e-8, "b");
    }
    let mut workspace = GenericWorkspace::default();
    let y = generic::descend_with(&mut workspace, 0.1, &mut layer, &x);
    close(y, generic(&before, &x), 1e-13, "the value");
    let error = &layer.w - &(&before.w - 0.1 * &g.layer.w);
    close(error.mapv(f64::abs).sum(), 0.0, 1e-13, "w moved");
    let error = &layer.b - &(&before.b - 0.1 * &g.layer.b);
    close(error.mapv(f64::abs).sum(), 0.0, 1e-13, "b moved");
}

#[derive(Clone, Debug, PartialEq, Differentiable)]
struct Layers(Vec<Array2<f64>>, Array1<f64>, usize);

#[backprop]
fn deep(net: &Layers, x: &Array1<f64>) -> f64 {
    let mut h = x.to_owned();
    for w in &net.0 {
        h = (w.dot(&h) + &net.1).mapv(f64::tanh);
    }
    let Layers(ws, _, _) = net;
    for i in 0..ws.len() {
        h = ws[i].dot(&h) * net.2 as f64;
    }
    h.sum()
}

#[test]
fn lists_of_layers() {
    let net = Layers(
        vec![numbers((3, 3), 1), numbers((3, 3), 2)],
        numbers(3, 3),
        2,
    );
    let x = numbers(3, 4);
    let (y, g) = deep::value_and_gradient(&net, &x);
    close(y, deep(&net, &x), 1e-13, "the value");
    let () = g.net.2;
    for n in 0..2 {
        for (k, &found) in g.net.0[n].indexed_iter() {
            let expected = slope(|h| {
                let mut net = net.clone();
                net.0[n][k] += h;
                deep(&net, &x)
            });
            close(found, expected, 1e-8, "a layer");
        }
    }
    let mut workspace = DeepWorkspace::default();
    for _ in 0..2 {
        let (again, with) = deep::value_and_gradient_with(&mut workspace, &net, &x);
        assert_eq!((again, with), (y, &g));
    }
}
