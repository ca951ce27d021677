//! Layers, losses, optimizers and training over [`ndarray`], for functions differentiated by `#[backprop]`.
//!
//! Activations and losses are plain annotated functions: their derivatives come from the macro. Around them is as
//! little as a network needs: [`Dense`] layers in an [`Mlp`], [`Sgd`] and [`Adam`], a [`Dataset`] of mini-batches and a
//! [`Training`] loop. Everything is generic over [`Float`], `f32` or `f64`; every random choice starts from a seed;
//! bad input is an [`Error`], never a panic.
//!
//! ```
//! use backprop_runtime::{Activation, Adam, Dataset, Loss, Mlp, Training, data::one_hot};
//! use ndarray::Array2;
//!
//! // Is a point inside of the unit circle?
//! let points = Array2::from_shape_fn((400, 2), |(i, j)| [i % 20, i / 20][j] as f64 / 10.0 - 0.95);
//! let labels: Vec<_> = points.rows().into_iter().map(|p| usize::from(p.dot(&p) < 1.0)).collect();
//! let dataset = Dataset::new(points, one_hot(&labels, 2)?)?;
//! let (train, test) = dataset.split(0.2, 1)?;
//!
//! let mut network = Mlp::builder(2).dense(16, Activation::Tanh).dense(2, Activation::Identity).seed(1).build()?;
//! let training = Training::new(Loss::SoftmaxCrossEntropy).epochs(60);
//! training.fit(&mut network, &train, &mut Adam::new(0.02))?;
//! assert!(network.accuracy(test.inputs(), test.targets())? > 0.9);
//! # Ok::<(), backprop_runtime::Error>(())
//! ```
#![deny(unsafe_code)]

// What `#[backprop]` makes of tensor functions names `::backprop`; in this crate that is this crate.
extern crate self as backprop;

pub mod activation;
pub mod adam;
pub mod builder;
pub mod check;
pub mod data;
pub mod dense;
pub mod error;
pub mod float;
pub mod init;
pub mod kernel;
pub mod loss;
pub mod mlp;
pub mod optimizer;
pub mod sgd;
#[doc(hidden)]
pub mod tensor;
pub mod train;
pub mod workspace;

#[doc(hidden)]
pub use backprop_macro::backprop;

pub use activation::Activation;
pub use adam::Adam;
pub use builder::MlpBuilder;
pub use data::{Batches, Dataset};
pub use dense::Dense;
pub use error::{Error, Place};
pub use float::Float;
pub use init::Init;
pub use loss::Loss;
pub use mlp::Mlp;
pub use optimizer::Optimizer;
pub use sgd::Sgd;
pub use train::{History, Training};
pub use workspace::Workspace;
