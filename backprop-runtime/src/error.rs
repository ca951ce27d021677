//! The one error type: what was wrong, and where.
//!
//! Every public function of this crate that can be given bad input returns [`Error`] and leaves
//! its arguments as they were: inputs are validated before anything is written.

use std::error;
use std::fmt;

use ndarray::ArrayRef2;

use crate::float::Float;
use crate::kernel::map_slices;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong with an input.
///
/// Errors from inside a network or a training run are wrapped in [`Error::At`], which names the
/// place; [`Error::root`] unwraps it.
///
/// ```
/// use backprop_runtime::{Activation, Error, Mlp};
/// use ndarray::Array2;
///
/// let network = Mlp::<f64>::builder(3).dense(2, Activation::Tanh).build()?;
/// let error = network.forward(&Array2::zeros((5, 4))).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layer 1: inputs have shape [5, 4], expected [5, 3]"
/// );
/// assert!(matches!(error.root(), Error::ShapeMismatch { .. }));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// An array or a slice has the wrong shape.
    ShapeMismatch {
        /// The name of the argument, in the plural: `"inputs"`.
        what: &'static str,
        /// The shape that it must have.
        expected: Vec<usize>,
        /// The shape that it has.
        got: Vec<usize>,
    },
    /// There is nothing to compute on: no rows, or no columns.
    Empty {
        /// The name of the argument, in the plural.
        what: &'static str,
    },
    /// Data hold a NaN or an infinity.
    NonFinite {
        /// The name of the argument, in the plural.
        what: &'static str,
    },
    /// The loss is NaN or infinite although the data are finite: the network has diverged.
    NonFiniteLoss {
        /// The loss, for display.
        loss: f64,
    },
    /// A hyper-parameter is outside of its domain.
    HyperParameter {
        /// Its name: `"learning rate"`.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The condition that it violates: `"must be positive and finite"`.
        requirement: &'static str,
    },
    /// A target is outside of the domain of the loss.
    Target {
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// Its value, for display.
        value: f64,
        /// The condition that it violates: `"must be a probability, between 0 and 1"`.
        requirement: &'static str,
    },
    /// A class label is not below the number of classes.
    Label {
        /// The position of the label.
        index: usize,
        /// The label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A name that [`FromStr`](std::str::FromStr) does not know.
    UnknownName {
        /// What was to be named: `"activation"`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// Another error, and the place where it arose.
    At {
        /// Where.
        place: Place,
        /// What.
        source: Box<Self>,
    },
}

/// Where an error arose; layers, epochs and batches count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a layer of a network.
    Layer(usize),
    /// In a step of a training run.
    Batch {
        /// The epoch.
        epoch: usize,
        /// The batch within the epoch.
        batch: usize,
    },
    /// In the validation after an epoch.
    Validation {
        /// The epoch.
        epoch: usize,
    },
}

impl Error {
    /// This error, said to have arisen at `place`.
    pub fn at(self, place: Place) -> Self {
        let source = Box::new(self);
        Self::At { place, source }
    }

    /// The error itself, without the places that surround it.
    pub fn root(&self) -> &Self {
        match self {
            Self::At { source, .. } => source.root(),
            error => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShapeMismatch {
                what,
                expected,
                got,
            } => write!(f, "{what} have shape {got:?}, expected {expected:?}"),
            Self::Empty { what } => write!(f, "{what} are empty"),
            Self::NonFinite { what } => write!(f, "{what} hold a NaN or an infinity"),
            Self::NonFiniteLoss { loss } => write!(
                f,
                "the loss is {loss}: the network has diverged, try a lower learning rate"
            ),
            Self::HyperParameter {
                name,
                value,
                requirement,
            } => write!(f, "{name} is {value}, {requirement}"),
            Self::Target {
                row,
                column,
                value,
                requirement,
            } => write!(f, "target [{row}, {column}] is {value}, {requirement}"),
            Self::Label {
                index,
                label,
                classes,
            } => write!(
                f,
                "label {index} is {label}, but there are {classes} classes"
            ),
            Self::UnknownName { what, name, known } => {
                write!(f, "unknown {what} `{name}`, expected one of {known}")
            }
            Self::At { place, source } => write!(f, "{place}: {source}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(layer) => write!(f, "layer {layer}"),
            Self::Batch { epoch, batch } => write!(f, "epoch {epoch}, batch {batch}"),
            Self::Validation { epoch } => write!(f, "epoch {epoch}, validation"),
        }
    }
}

// `Display` of `At` already tells its source, so `source` stays `None`: reporters print no line twice.
impl error::Error for Error {}

/// `Ok` if the two shapes are equal.
pub(crate) fn check_shape(what: &'static str, got: &[usize], expected: &[usize]) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        what,
        expected: expected.to_vec(),
        got: got.to_vec(),
    })
}

/// `Ok` if no value is infinite or NaN. All are read, so that the loop is vectorised.
pub(crate) fn check_finite<T: Float>(what: &'static str, values: &[T]) -> Result<()> {
    // A number less itself is 0, but of an infinity or NaN it is NaN, and then so is the sum.
    let [sum] = map_slices(
        [values],
        [],
        #[inline(always)]
        |[value], []| ([], [value - value]),
    );
    if sum == T::zero() {
        return Ok(());
    }
    Err(Error::NonFinite { what })
}

/// [`check_finite`] of a matrix, in whatever order it is in memory.
pub(crate) fn check_finite_matrix<T: Float>(
    what: &'static str,
    matrix: &ArrayRef2<T>,
) -> Result<()> {
    match matrix.as_slice_memory_order() {
        Some(values) => check_finite(what, values),
        None => check_finite(what, &matrix.iter().copied().collect::<Vec<_>>()),
    }
}

/// `Ok` if the condition on a hyper-parameter holds.
pub(crate) fn check_hyper(
    name: &'static str,
    value: f64,
    holds: bool,
    requirement: &'static str,
) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::HyperParameter {
        name,
        value,
        requirement,
    })
}

/// The one of `all` whose name is `name`.
pub(crate) fn by_name<N: Copy>(
    what: &'static str,
    all: &[N],
    name_of: impl Fn(N) -> &'static str,
    name: &str,
) -> Result<N> {
    let found = all.iter().copied().find(|&known| name_of(known) == name);
    found.ok_or_else(|| Error::UnknownName {
        what,
        name: name.to_owned(),
        known: all
            .iter()
            .map(|&known| name_of(known))
            .collect::<Vec<_>>()
            .join(", "),
    })
}
