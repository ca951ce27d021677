//! Data: matrices of inputs and targets in; train and test parts and shuffled mini-batches out.
//!
//! A [`Dataset`] has one sample per row, at least one, and only finite numbers.

use ndarray::{Array2, ArrayView2, Axis, Slice};
use rand::seq::SliceRandom;

use crate::error::{Error, Result, check_finite_matrix, check_hyper, check_shape};
use crate::float::Float;
use crate::init::{Generator, generator};

/// Inputs and their targets, one sample per row.
///
/// ```
/// use backprop_runtime::Dataset;
/// use ndarray::array;
///
/// let dataset = Dataset::new(array![[0.0], [1.0], [2.0], [3.0]], array![[0.0], [1.0], [4.0], [9.0]])?;
/// let (train, test) = dataset.split(0.25, 7)?;
/// assert_eq!((train.len(), test.len()), (3, 1));
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<T> {
    inputs: Array2<T>,
    targets: Array2<T>,
}

impl<T: Float> Dataset<T> {
    /// The samples whose inputs and targets are the rows of these matrices.
    ///
    /// # Errors
    ///
    /// If the numbers of rows differ, there are no samples, or a number is not finite.
    pub fn new(inputs: Array2<T>, targets: Array2<T>) -> Result<Self> {
        check_shape(
            "targets",
            targets.shape(),
            &[inputs.nrows(), targets.ncols()],
        )?;
        for (what, matrix) in [("inputs", &inputs), ("targets", &targets)] {
            if matrix.is_empty() {
                return Err(Error::Empty { what });
            }
            check_finite_matrix(what, matrix)?;
        }
        Ok(Self { inputs, targets })
    }

    /// The inputs, samples × features.
    pub fn inputs(&self) -> &Array2<T> {
        &self.inputs
    }

    /// The targets, samples × outputs.
    pub fn targets(&self) -> &Array2<T> {
        &self.targets
    }

    /// The number of samples.
    #[allow(clippy::len_without_is_empty, reason = "a dataset is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.nrows()
    }

    /// Two parts of the samples, shuffled by `seed`: for training, and `test_fraction` of them, rounded, for testing.
    ///
    /// # Errors
    ///
    /// If `test_fraction` is not between 0 and 1, or leaves no samples in one of the parts.
    pub fn split(&self, test_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        let test = (test_fraction * self.len() as f64).round();
        let holds = test >= 1.0 && test < self.len() as f64;
        check_hyper(
            "test fraction",
            test_fraction,
            holds,
            "must leave samples in both parts",
        )?;
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut generator(seed));
        let (test, train) = order.split_at(test as usize);
        Ok((self.select(train), self.select(test)))
    }

    /// The samples of these rows; the rows exist.
    fn select(&self, rows: &[usize]) -> Self {
        Self {
            inputs: self.inputs.select(Axis(0), rows),
            targets: self.targets.select(Axis(0), rows),
        }
    }

    /// Mini-batches of `size` samples, the last one of the rest, in the order of the rows until it is shuffled.
    ///
    /// # Errors
    ///
    /// If `size` is 0.
    pub fn batches(&self, size: usize) -> Result<Batches<'_, T>> {
        check_hyper("batch size", size as f64, size > 0, "must be at least 1")?;
        let size = size.min(self.len());
        Ok(Batches {
            dataset: self,
            order: (0..self.len()).collect(),
            next: 0,
            inputs: Array2::zeros((size, self.inputs.ncols())),
            targets: Array2::zeros((size, self.targets.ncols())),
        })
    }
}

/// Passes over a [`Dataset`] in mini-batches, gathered into the same two buffers.
///
/// ```
/// use backprop_runtime::{Dataset, init::generator};
/// use ndarray::array;
///
/// let dataset = Dataset::new(array![[0.0], [1.0], [2.0]], array![[0.0], [10.0], [20.0]])?;
/// let mut batches = dataset.batches(2)?;
/// batches.shuffle(&mut generator(1));
/// let mut sizes = Vec::new();
/// while let Some((inputs, targets)) = batches.next_batch() {
///     assert_eq!(&inputs * 10.0, targets);
///     sizes.push(inputs.nrows());
/// }
/// assert_eq!(sizes, [2, 1]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches<'a, T> {
    dataset: &'a Dataset<T>,
    order: Vec<usize>,
    next: usize,
    inputs: Array2<T>,
    targets: Array2<T>,
}

impl<T: Float> Batches<'_, T> {
    /// The dataset that is passed over.
    pub fn dataset(&self) -> &Dataset<T> {
        self.dataset
    }

    /// Starts a new pass, in an order drawn from `generator`.
    pub fn shuffle(&mut self, generator: &mut Generator) {
        self.order.shuffle(generator);
        self.next = 0;
    }

    /// The inputs and targets of the next batch, or `None` at the end of the pass.
    pub fn next_batch(&mut self) -> Option<(ArrayView2<'_, T>, ArrayView2<'_, T>)> {
        let rest = &self.order[self.next..];
        let rows = &rest[..rest.len().min(self.inputs.nrows())];
        if rows.is_empty() {
            return None;
        }
        self.next += rows.len();
        for (buffer, source) in [
            (&mut self.inputs, &self.dataset.inputs),
            (&mut self.targets, &self.dataset.targets),
        ] {
            for (mut slot, &row) in buffer.rows_mut().into_iter().zip(rows) {
                slot.assign(&source.row(row));
            }
        }
        let taken = Slice::from(..rows.len());
        let inputs = self.inputs.slice_axis(Axis(0), taken);
        Some((inputs, self.targets.slice_axis(Axis(0), taken)))
    }
}

/// Class labels as rows that are 1 at the label and 0 elsewhere: labels × `classes`.
///
/// ```
/// use backprop_runtime::data::one_hot;
///
/// let targets = one_hot::<f64>(&[2, 0], 3)?;
/// assert_eq!(targets, ndarray::array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
///
/// # Errors
///
/// If a label is not below `classes`.
pub fn one_hot<T: Float>(labels: &[usize], classes: usize) -> Result<Array2<T>> {
    if let Some(index) = labels.iter().position(|&label| label >= classes) {
        let label = labels[index];
        return Err(Error::Label {
            index,
            label,
            classes,
        });
    }
    let is_label = |(row, class)| {
        if labels[row] == class {
            T::one()
        } else {
            T::zero()
        }
    };
    Ok(Array2::from_shape_fn((labels.len(), classes), is_label))
}
