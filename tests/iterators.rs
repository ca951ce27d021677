//! Iterators: what each adapter and consumer asks for, in which order, and where closures change something on the way.

#![allow(clippy::all)] // Differentiated as users write them.

#[path = "support/differences.rs"]
#[macro_use]
mod differences;

use backprop::backprop;

const MIXED: [f64; 5] = [0.3, -0.8, 1.2, 0.4, 0.7];
const POSITIVE: [f64; 5] = [0.3, 0.8, 1.2, 0.45, 0.1];

#[backprop]
fn last_items(x: &[f64], k: f64) -> f64 {
    *x.iter().last().unwrap() * k + x.iter().map(|v| v * v).last().unwrap_or(0.0)
}

#[backprop]
fn items_by_number(x: &[f64], k: f64) -> f64 {
    let a = x.iter().nth(1).unwrap();
    let b = x.iter().map(|v| v * k).nth(2).unwrap_or(0.5);
    let c = x.iter().copied().nth(7).unwrap_or(k);
    a * b + c * c
}

#[backprop]
fn largest(x: &[f64], k: f64) -> f64 {
    let m = x.iter().copied().max_by(|a, b| a.total_cmp(b)).unwrap();
    m * m * k
}

#[backprop]
fn least(x: &[f64], k: f64) -> f64 {
    let m = x
        .iter()
        .cloned()
        .min_by(|a, b| a.partial_cmp(b).unwrap())
        .unwrap();
    m * m * k
}

#[backprop]
fn largest_by_path(x: &[f64], k: f64) -> f64 {
    let m = x.iter().copied().max_by(f64::total_cmp).unwrap();
    m * m * k
}

#[backprop]
fn largest_and_where(x: &[f64], k: f64) -> f64 {
    let (i, m) = x
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .unwrap();
    m * m * k + i as f64 * k
}

#[backprop]
fn nearest(x: &[f64], k: f64) -> f64 {
    let i = (0..x.len())
        .min_by(|&i, &j| (x[i] - k).abs().partial_cmp(&(x[j] - k).abs()).unwrap())
        .unwrap();
    x[i].sin() * k
}

#[backprop]
fn by_key(x: &[f64], k: f64) -> f64 {
    let i = (0..x.len()).max_by_key(|&i| (i * 3 + 1) % 4).unwrap();
    x[i].sin() * k
}

#[backprop]
fn reduced(x: &[f64], k: f64) -> f64 {
    x.iter().copied().reduce(f64::max).unwrap() * k
        + x.iter().map(|v| v * k).reduce(|a, b| a.min(b)).unwrap()
}

#[backprop]
fn found(x: &[f64], k: f64) -> f64 {
    let v = x.iter().find(|v| **v > 0.5).unwrap();
    let w = x.iter().copied().find(|&v| v > 9.0).unwrap_or(k);
    v * w
}

#[backprop]
fn found_and_made(x: &[f64], k: f64) -> f64 {
    x.iter()
        .enumerate()
        .find_map(|(i, v)| {
            if *v > 0.5 {
                Some(v * k + i as f64)
            } else {
                None
            }
        })
        .unwrap_or(0.0)
}

#[backprop]
fn from_behind(x: &[f64], k: f64) -> f64 {
    let i = x.iter().rposition(|v| *v > 0.5).unwrap();
    x[i] * k
}

#[test]
fn items_that_are_selected() {
    check!(MIXED, last_items items_by_number largest least largest_by_path);
    check!(MIXED, largest_and_where nearest by_key);
    check!(POSITIVE, reduced found found_and_made from_behind);
}

#[backprop]
fn logarithms_of_some(x: &[f64], k: f64) -> f64 {
    x.iter()
        .filter_map(|&v| if v > 0.0 { Some(v.ln() * k) } else { None })
        .sum()
}

#[backprop]
fn folded_where_it_is(x: &[f64], k: f64) -> f64 {
    x.iter()
        .filter_map(|v| (*v > 0.2).then(|| v * v * k))
        .fold(1.0, |a, b| a * b + a.sin())
}

#[backprop]
fn every_other(x: &[f64], k: f64) -> f64 {
    let v: Vec<f64> = x
        .iter()
        .enumerate()
        .filter_map(|(i, v)| if i % 2 == 0 { Some(*v * k) } else { None })
        .collect();
    v.iter().map(|a| a * a * a).sum()
}

#[backprop]
fn skipped(x: &[f64], k: f64) -> f64 {
    x.iter()
        .skip_while(|v| **v < 0.0)
        .map(|v| v * v * k)
        .sum::<f64>()
}

#[backprop]
fn a_run(x: &[f64], k: f64) -> f64 {
    x.iter()
        .copied()
        .skip_while(|&v| v < 0.0)
        .take_while(|&v| v > 0.0)
        .enumerate()
        .map(|(i, v)| (i as f64 + 1.0) * v * k)
        .sum::<f64>()
}

#[backprop]
fn mapped_while(x: &[f64], k: f64) -> f64 {
    x.iter()
        .map_while(|v| if *v > 0.0 { Some(v.ln() * k) } else { None })
        .sum()
}

#[backprop]
fn scanned_until(x: &[f64], k: f64) -> f64 {
    x.iter()
        .scan(0.0, |s, &v| {
            *s += v * k;
            if *s > 2.0 { None } else { Some(*s) }
        })
        .sum()
}

#[backprop]
fn all_positive(x: &[f64], k: f64) -> f64 {
    x.iter()
        .try_fold(k, |a, v| if *v > 0.0 { Some(a * v) } else { None })
        .unwrap_or(0.0)
}

#[backprop]
fn counted(x: &[f64], k: f64) -> f64 {
    let n = x.iter().filter(|v| **v > 0.0).count();
    x.iter().sum::<f64>() / n as f64 * k
}

#[test]
fn items_that_are_left_out() {
    check!(MIXED, every_other skipped a_run counted);
    check!(POSITIVE, logarithms_of_some folded_where_it_is mapped_while scanned_until all_positive);
}

#[backprop]
fn summed_on_the_way(x: &[f64], k: f64) -> f64 {
    let mut n = 0.0;
    let s: f64 = x.iter().inspect(|v| n += *v * *v).map(|v| v * k).sum();
    s * n
}

#[backprop]
fn reversed_then_counted(x: &[f64], k: f64) -> f64 {
    x.iter()
        .rev()
        .enumerate()
        .map(|(i, v)| k.powi(i as i32) * v)
        .sum()
}

#[backprop]
fn counted_then_reversed(x: &[f64], k: f64) -> f64 {
    let mut s = 0.0;
    for (i, v) in x.iter().enumerate().rev() {
        s = s * k + v * (i as f64 + 0.5);
    }
    s
}

#[backprop]
fn around(x: &[f64], k: f64) -> f64 {
    std::iter::once(k)
        .chain(x.iter().copied())
        .chain(std::iter::repeat(k * k).take(2))
        .fold(0.5, |a, v| (a * v).sin() + a)
}

#[backprop]
fn chunks_from_behind(x: &[f64], k: f64) -> f64 {
    x.rchunks(2)
        .enumerate()
        .map(|(i, c)| c.iter().sum::<f64>().powi(i as i32 + 1) * k)
        .sum()
}

#[backprop]
fn cycled(x: &[f64], k: f64) -> f64 {
    x.iter().cycle().take(7).fold(k, |a, v| a * 0.5 + v * a)
}

#[backprop]
fn used_twice(x: &[f64], k: f64) -> f64 {
    let it = x.iter().map(|v| v * k);
    let a: f64 = it.clone().sum();
    let b: f64 = it.map(|v| v * v).sum();
    a * b
}

#[backprop]
fn sums_of_integers(x: &[f64], k: f64) -> f64 {
    let n: usize = (0..x.len()).sum();
    let m: usize = (1..=3usize).product();
    let c = x.iter().map(|_| 1usize).sum::<usize>();
    x[0] * k * n as f64 + m as f64 * x[1] + c as f64 * k
}

#[backprop]
fn within_ranges(x: &[f64], k: f64) -> f64 {
    x.iter()
        .enumerate()
        .map(|(i, v)| {
            if (1..3).contains(&i) {
                v * k
            } else if (0.0..=0.6).contains(v) {
                v * v
            } else {
                -v
            }
        })
        .sum()
}

#[backprop]
fn two_states(x: &[f64], k: f64) -> f64 {
    x.iter()
        .scan((k, 1.0), |(a, b), &v| {
            let t = *a;
            *a = *b + v;
            *b = t * v;
            Some(*a * *b)
        })
        .sum()
}

#[backprop]
fn unzipped(x: &[f64], k: f64) -> f64 {
    let (a, b): (Vec<f64>, Vec<f64>) = x.iter().map(|v| (v * k, v.sin())).unzip();
    a.iter().zip(&b).map(|(p, q)| p * q).sum()
}

#[backprop]
fn parted(x: &[f64], k: f64) -> f64 {
    let (a, b): (Vec<f64>, Vec<f64>) = x.iter().partition(|v| **v > 0.0);
    a.iter().product::<f64>() * k + b.iter().map(|v| v * v).sum::<f64>()
}

/// As many as asked for, where one item makes several.
#[backprop]
fn first_of_many(x: &[f64], k: f64) -> f64 {
    let many = x.iter().flat_map(|v| [*v, v * v, v.sin()]);
    many.take(7).fold(k, |s, v| s * 0.9 + v)
}

#[test]
fn orders_and_ends() {
    check!(MIXED, summed_on_the_way reversed_then_counted counted_then_reversed around chunks_from_behind);
    check!(MIXED, cycled used_twice sums_of_integers within_ranges two_states);
    check!(MIXED, unzipped parted first_of_many);
}

#[backprop]
fn first_and_rest(x: &[f64], k: f64) -> f64 {
    let mut it = x.iter();
    let first = it.next().unwrap();
    let mut s = first * k;
    for v in it {
        s += v * first;
    }
    s
}

#[backprop]
fn one_by_one(x: &[f64], k: f64) -> f64 {
    let mut it = x.iter();
    let mut s = 0.0;
    while let Some(v) = it.next() {
        s = s * k + v;
    }
    s
}

#[backprop]
fn in_pairs(x: &[f64], k: f64) -> f64 {
    let mut it = x.iter().copied();
    let mut s = 0.0;
    while let (Some(a), Some(b)) = (it.next(), it.next()) {
        s += a * b * k;
    }
    s
}

#[backprop]
fn with_a_look_ahead(x: &[f64], k: f64) -> f64 {
    let mut it = x.iter().peekable();
    let mut s = 0.0;
    while let Some(v) = it.next() {
        if let Some(n) = it.peek() {
            s += v * **n * k;
        }
    }
    s
}

#[backprop]
fn some_and_then_the_rest(x: &[f64], k: f64) -> f64 {
    let mut it = x.iter();
    let a: f64 = it.by_ref().take(2).sum();
    let b: f64 = it.sum();
    a * k + b * b
}

#[test]
fn iterators_that_a_variable_holds() {
    check!(POSITIVE, first_and_rest one_by_one in_pairs with_a_look_ahead some_and_then_the_rest);
}

#[backprop]
fn changes_while_skipping(x: &[f64], k: f64) -> f64 {
    let mut c = 0.0;
    let s: f64 = x
        .iter()
        .map(|v| {
            c += v * k;
            c
        })
        .skip(1)
        .sum();
    s * c
}

#[backprop]
fn changes_while_stepping(x: &[f64], k: f64) -> f64 {
    let mut c = 0.0;
    let s: f64 = x
        .iter()
        .map(|v| {
            c += v * k;
            c
        })
        .step_by(2)
        .sum();
    s * c
}

#[backprop]
fn changes_backwards(x: &[f64], k: f64) -> f64 {
    let mut c = 1.0;
    let s: f64 = x
        .iter()
        .map(|v| {
            c *= v + k;
            c
        })
        .rev()
        .sum();
    s * c
}

#[backprop]
fn changes_while_taking(x: &[f64], k: f64) -> f64 {
    let mut c = 1.0;
    let s: f64 = x
        .iter()
        .map(|v| {
            c *= v + k;
            c
        })
        .take(2)
        .sum();
    s * c
}

#[test]
fn closures_that_change_something() {
    check!(MIXED, changes_while_skipping changes_while_stepping changes_backwards changes_while_taking);
}
