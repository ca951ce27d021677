//! The compiler behind `#[backprop]`: tokens → graph → gradient → tokens.
//!
//! The modules are the stages, in the order in which they run: `options`, `signature`, `lower`, `stabilize` where asked for,
//! `activity`, `prune`, `reverse` (with the table in `rules`, the rewrites in `simplify` and the idioms in `stable`), `keep`
//! (with `live` and `order`), `fresh`, `gather`, `items` (with `emit` and `trace`), `explain`. Between `lower` and `emit` there
//! is one language, the `graph`.
#![forbid(unsafe_code)]

mod access;
mod activity;
mod carry;
mod check;
mod checkpoint;
mod collect;
mod compile;
mod cost;
mod custom;
mod definitions;
mod derive;
mod emit;
mod errors;
mod evaluate;
mod exchange;
mod explain;
mod flow;
mod forward;
mod forwards;
mod fresh;
mod gather;
mod graph;
mod items;
mod keep;
mod live;
mod lower;
mod meaning;
mod meet;
mod modules;
#[cfg(test)]
mod mutated;
mod options;
mod order;
mod park;
mod positions;
mod prune;
mod regroup;
mod reverse;
#[macro_use]
mod rules_macro;
mod rules;
mod shape;
mod signature;
mod simplify;
mod source;
mod stabilize;
mod stable;
mod still;
#[cfg(test)]
mod sweep;
mod tensor;
mod trace;
mod types;
mod warnings;

/// Differentiates a function while compiling.
///
/// ```
/// use backprop_macro::backprop;
///
/// #[backprop]
/// pub fn neuron(w: &[f64; 3], x: &[f64; 2]) -> f64 {
///     1.0 / (1.0 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp())
/// }
///
/// let (w, x) = ([2.0, -3.0, -3.0], [-1.0, -2.0]);
/// let y = neuron(&w, &x); // the function, as written
/// let (value, g) = neuron::value_and_gradient(&w, &x);
/// assert_eq!(value, y);
/// assert!((g.w[0] + 0.196612).abs() < 1e-6 && (g.x[0] - 0.393224).abs() < 1e-6);
/// ```
///
/// # What is generated
///
/// For a function `f`, beside `fn f`, an uninhabited type `f` with the functions below, a struct `FGradient` with one public
/// field for each differentiated parameter, shaped like it, and `FResiduals`, what `forward` keeps. Where the attribute stands on a
/// method, the functions are its siblings `f_gradient`, …, and gradients are tuples.
///
/// | | returns |
/// |---|---|
/// | `f::gradient(args…)` | `FGradient`, for scalar results |
/// | `f::value_and_gradient(args…)` | `(y, FGradient)`, for scalar results |
/// | `f::value_and_gradient_into(args…, &mut da, …)` | `y`; overwrites one buffer for each differentiated parameter, in order |
/// | `f::accumulate(args…, upstream, &mut da, …)` | `y`; adds `upstream` times the gradient to the buffers |
/// | `f::forward(args…)` | `(y, FResiduals)` |
/// | `f::backward(&residuals, upstream)` | `FGradient`; `upstream` is shaped like the result |
///
/// # Options
///
/// | | |
/// |---|---|
/// | `wrt(a, b)` | differentiates with respect to these parameters; the default is all that hold floats |
/// | `as = name` | names the namespace, and the structs after it |
/// | `associated` | the function stands in an `impl`, but has no `self`; the macro sees that by itself, unless another macro has made the `impl` |
/// | `stable` | computes idioms in forms that do not overflow or cancel, in `f` itself too; `f`'s documentation lists them |
/// | `check` | compares the gradient with forward tangents and differences while compiling, `check(domain(x > 0.0), points = 16)` |
/// | `custom(backward = path)` | takes the user's own rule instead of looking into the function |
/// | `jacobian`, `hessian` | add `f::jacobian(args…)`, the value and the derivative of every float of the result, and `f::hessian(args…)`, the second derivatives for each pair of parameters |
/// | `jvp`, `hvp` | add `f::jvp(args…, tangents…)`, the value and its tangent, and `f::hvp(args…, tangents…)`, the Hessian times these |
/// | `checkpoint = n`, `checkpoint` | loops save their state every `n` iterations, or the root of their number, and run again segment by segment instead of keeping something for each iteration |
/// | `cost(max_ratio = 3.0)` | an error if value and gradient take more operations than that many times the function's |
/// | `allow(…)` | silences the warnings `unused_parameter`, `piecewise_constant` and `exact_comparison` |
/// | `trace` | adds `f::trace(args…)`: each node of straight-line code with its value and gradient |
/// | `graph` | adds `f::GRAPH`, the computational graph as an SVG, and for straight-line code `f::graph(args…)`, with numbers |
/// | `source` | adds `f::SOURCE`, the generated code as text, with the function's own names |
///
/// # Promises
///
/// - A gradient is correct, or there is a compile error at the place: an active value that goes where the macro cannot follow is
///   rejected there, with what to write instead. It is never silently zero.
/// - The value beside a gradient has the bits of `f`'s. The same bits in debug and release, and on every run.
/// - Only the side of a branch that is taken is run, forward and backward. What is computed but leads to no result has no say.
/// - Wherever the value is finite and the gradient exists, the gradient is finite and accurate to a few ulp of its condition.
/// - A panic in `f` is a panic in its derivatives, never a partial result.
/// - The generated code is safe Rust, names `core` and, where it needs a `Vec`, `std`, and passes the lints of its surroundings.
///
/// # Kinks
///
/// Where a function has no single derivative, this is what is taken. Two numbers are for the receiver and for the argument.
///
/// | where | derivative |
/// |---|---|
/// | `abs` at 0 | 0 |
/// | `sqrt` at 0, at -0, below | ∞, -∞, NaN |
/// | `cbrt` at 0 | ∞ |
/// | `max`, `min` of equals | ½, ½ |
/// | `max`, `min` where one is NaN | 1 for the other, as it is the result |
/// | `clamp` at a bound | 1 for the value, 0 for the bound |
/// | `floor`, `ceil`, `round`, `trunc`, `signum`, `div_euclid`, casts to integers | 0 everywhere |
/// | `fract`; `%`, `rem_euclid` | 1; 1 and minus the whole quotient |
/// | `hypot` at (0, 0) | 0, 0 |
/// | `atan2` at (0, 0) | NaN, NaN |
/// | `copysign` of 0; with respect to the sign | 0; 0 |
/// | `powi(0)` | 0 |
/// | `powf` with exponent 0; with base 0 and exponent ≥ 0 | 0 for the base; 0 for the exponent |
/// | `ln` at 0, below | ∞; `1 / x` beside a value that is NaN |
///
/// # A derivation
///
/// The graph of the neuron at the point above, as `trace` gives it and the lecture draws it: values from the forward pass, top
/// to bottom; gradients from the backward pass, bottom to top. Each node multiplies what comes back to it by its local
/// gradients: `exp` by its own result, a product by the other factor.
///
/// ```text
/// node                 value  gradient
/// v1 = w[0] * x[0]     -2.00      0.20
/// v2 = w[1] * x[1]      6.00      0.20
/// v3 = v1 + v2          4.00      0.20
/// v4 = v3 + w[2]        1.00      0.20
/// v5 = -v4             -1.00     -0.20    -0.53 · exp(v5)
/// v6 = exp(v5)          0.37     -0.53    -0.53 · 1
/// v7 = 1 + v6           1.37     -0.53     1.00 · (-1 / v7²)
/// v8 = 1 / v7           0.73      1.00
/// ```
///
/// What is generated is shorter: the four last steps are a sigmoid, whose slope follows from its value.
///
/// ```
/// # let (w, x) = ([2.0_f64, -3.0, -3.0], [-1.0_f64, -2.0]);
/// let z = w[0] * x[0] + w[1] * x[1] + w[2];
/// let e = (-z).exp();
/// let y = 1.0 / (1.0 + e);
/// let dz = y * if z < 0.0 { 1.0 - y } else { e * y };
/// let (dw, dx) = ([dz * x[0], dz * x[1], dz], [dz * w[0], dz * w[1]]);
/// # assert!((dw[0] + 0.196612).abs() < 1e-6 && (dx[1] + 0.589836).abs() < 1e-6);
/// ```
///
/// The documentation of every annotated function's derivatives has its derivation: formulas, graph, kinks, stable forms, how each
/// loop is reversed and what it keeps, operations, residuals.
///
/// # Errors
///
/// Compile errors, all of a function at once, each at the smallest place; the plain function is there all the same.
#[proc_macro_attribute]
pub fn backprop(
    attribute: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let source = source::Source::new(proc_macro::Span::call_site().local_file());
    let line = |span: proc_macro2::Span| span.unwrap().line();
    let run = std::panic::AssertUnwindSafe(|| {
        compile::compile(attribute.into(), item.clone().into(), &source, &line)
    });
    match std::panic::catch_unwind(run) {
        Ok(tokens) => tokens.into(),
        Err(_) => {
            let item = proc_macro2::TokenStream::from(item);
            quote::quote! {
                #item
                ::core::compile_error!("`#[backprop]` failed on this function: this is a bug in backprop, please report it");
            }
            .into()
        }
    }
}

/// Gives a struct a gradient, so that functions annotated with [`macro@backprop`] can take and return it.
///
/// For a struct `Name` it makes `NameGradient`, which has a field of the same name for each field of `Name` that can hold floats:
/// floats, arrays, tuples, and `Vec`s for slices and `Vec`s. Integers, `bool` and text are constant and have none; a field of another
/// type must be `Differentiable` itself, or be marked with `#[backprop(constant)]`.
#[proc_macro_derive(Differentiable, attributes(backprop))]
pub fn differentiable(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let source = source::Source::new(proc_macro::Span::call_site().local_file());
    derive::derive(item.into(), &source).into()
}
