//! Types of the standard library that hold numbers.

#![allow(unused)]

use backprop::backprop;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[backprop]
fn map(x: f64) -> f64 {
    let mut m = HashMap::new();
    m.insert("a", x);
    m["a"] * x
}

#[backprop]
fn map_parameter(m: &HashMap<String, f64>, x: f64) -> f64 {
    m["a"] * x
}

#[backprop]
fn tree(x: f64) -> f64 {
    let mut m = BTreeMap::new();
    m.insert(1, x);
    m[&1] * x
}

#[backprop]
fn queue(x: f64) -> f64 {
    let mut q = VecDeque::from([x, x * x]);
    q.pop_front().unwrap() * x
}

#[backprop]
fn counted(x: f64) -> f64 {
    let b = Rc::new(x);
    *b * *b
}

#[backprop]
fn cell(x: f64) -> f64 {
    let c = Cell::new(x);
    c.set(c.get() * x);
    c.get()
}

#[backprop]
fn ref_cell(x: f64) -> f64 {
    let c = RefCell::new(x);
    *c.borrow_mut() *= x;
    let y = *c.borrow();
    y
}

#[backprop]
fn mutex(x: f64) -> f64 {
    let m = Mutex::new(x);
    *m.lock().unwrap() *= x;
    m.into_inner().unwrap()
}

#[backprop]
fn threads(x: f64) -> f64 {
    std::thread::spawn(move || x * x).join().unwrap()
}

static CALLS: AtomicU64 = AtomicU64::new(0);

#[backprop]
fn atomic(x: f64) -> f64 {
    CALLS.fetch_add(1, Ordering::Relaxed);
    x * x
}

thread_local! {
    static SCALE: Cell<f64> = const { Cell::new(1.0) };
}

#[backprop]
fn local(x: f64) -> f64 {
    SCALE.with(|s| s.get()) * x
}

#[backprop]
fn clock(x: f64) -> f64 {
    let start = std::time::Instant::now();
    x * x + start.elapsed().as_secs_f64()
}

#[backprop]
fn boxes(a: Box<f64>, b: Box<[f64]>, c: Arc<[f64]>, d: Cow<'_, [f64]>) -> f64 {
    *a * b[0] * c[0] * d[0]
}

#[backprop]
fn optional(bias: Option<f64>, x: f64) -> f64 {
    x + bias.unwrap_or(0.0)
}

#[backprop]
fn failing(x: f64) -> Result<f64, String> {
    if x > 0.0 { Ok(x.ln()) } else { Err(String::new()) }
}

#[backprop]
fn failing_inside(x: f64) -> f64 {
    let r: Result<f64, f64> = if x > 0.0 { Ok(x) } else { Err(-x) };
    match r {
        Ok(v) => v * v,
        Err(e) => 3.0 * e,
    }
}

#[backprop]
fn half(x: f64) -> Option<f64> {
    if x > 0.0 { Some(0.5 * x) } else { None }
}

#[backprop]
fn question(x: f64) -> Option<f64> {
    let h = half(x)?;
    Some(h * x)
}

#[backprop]
fn text(x: f64) -> f64 {
    let s = x.to_string();
    s.parse::<f64>().unwrap() * x
}

#[backprop]
fn said(x: f64) -> String {
    format!("{x}")
}

#[backprop]
fn range(x: f64) -> f64 {
    let r = 0.0..x;
    r.end - r.start
}

#[backprop]
fn any(x: f64) -> f64 {
    let a: &dyn std::any::Any = &x;
    a.downcast_ref::<f64>().unwrap() * x
}

#[backprop]
fn sorted(x: &[f64]) -> f64 {
    let mut v = x.to_vec();
    v.sort_by(|a, b| a.total_cmp(b));
    v[v.len() / 2]
}

#[backprop]
fn emptied(mut v: Vec<f64>) -> f64 {
    let mut s = 0.0;
    while let Some(x) = v.pop() {
        s += x * x;
    }
    s
}

#[backprop]
fn iterated(x: f64) -> f64 {
    let mut s = 0.0;
    for v in (x, x * x) {
        s += v;
    }
    s
}

#[backprop]
fn iterators(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|v| v * v).sum()
}

#[backprop]
fn iterator_returned(x: &[f64]) -> impl Iterator<Item = f64> {
    x.iter().map(|v| v * v)
}

fn main() {}
