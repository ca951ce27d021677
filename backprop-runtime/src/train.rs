//! The training loop: a network, a dataset and an optimizer in; a trained network and its [`History`] out.

use indicatif::{ProgressBar, ProgressStyle};

use crate::data::{Batches, Dataset};
use crate::error::{Place, Result, check_hyper};
use crate::float::Float;
use crate::init::generator;
use crate::loss::Loss;
use crate::mlp::Mlp;
use crate::optimizer::{Optimizer, clip_by_norm};
use crate::workspace::Workspace;

/// How to train: the loss, and the settings of the loop.
///
/// ```
/// use backprop_runtime::{Activation, Adam, Dataset, Loss, Mlp, Training};
/// use ndarray::Array2;
///
/// let x = Array2::from_shape_fn((64, 1), |(i, _)| i as f64 / 32.0 - 1.0);
/// let dataset = Dataset::new(x.clone(), x.mapv(|x| x * x))?;
/// let mut network = Mlp::builder(1).dense(16, Activation::Tanh).dense(1, Activation::Identity).build()?;
///
/// let training = Training::new(Loss::MeanSquaredError).epochs(100).batch_size(16).seed(1);
/// let history = training.fit(&mut network, &dataset, &mut Adam::new(0.01))?;
/// assert!(history.training[99] < 0.1 * history.training[0]);
/// # Ok::<(), backprop_runtime::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Training<T> {
    loss: Loss,
    epochs: usize,
    batch_size: usize,
    seed: u64,
    max_norm: Option<T>,
    progress: bool,
}

/// The losses of a training run, one per epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History<T> {
    /// The loss over the training data, while the parameters moved.
    pub training: Vec<T>,
    /// The loss over the validation data at the end of the epoch; empty without such data.
    pub validation: Vec<T>,
}

impl<T: Float> Training<T> {
    /// Ten epochs in batches of 32, with seed 0, no clipping, and a progress bar.
    pub fn new(loss: Loss) -> Self {
        Self {
            loss,
            epochs: 10,
            batch_size: 32,
            seed: 0,
            max_norm: None,
            progress: true,
        }
    }

    /// The number of passes over the data.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// The number of samples per step.
    #[must_use]
    pub fn batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// The seed of the shuffling.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Clips every gradient to this Euclidean norm.
    #[must_use]
    pub fn clip_norm(self, max_norm: T) -> Self {
        Self {
            max_norm: Some(max_norm),
            ..self
        }
    }

    /// Shows no progress bar. There is none either where standard error is not a terminal.
    #[must_use]
    pub fn quiet(self) -> Self {
        Self {
            progress: false,
            ..self
        }
    }

    /// Trains `network` on `data`.
    ///
    /// # Errors
    ///
    /// If the data do not fit the network or the loss, or the number of epochs or the batch size is 0: before the
    /// first step. If the loss is not finite, or the optimizer refuses a step: at that epoch and batch, where the
    /// network keeps the parameters of the step before.
    pub fn fit(
        &self,
        network: &mut Mlp<T>,
        data: &Dataset<T>,
        optimizer: &mut impl Optimizer<T>,
    ) -> Result<History<T>> {
        self.run(network, data, None, optimizer)
    }

    /// Trains `network` on `data`, and computes the loss of `validation` after every epoch.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_validated(
        &self,
        network: &mut Mlp<T>,
        data: &Dataset<T>,
        validation: &Dataset<T>,
        optimizer: &mut impl Optimizer<T>,
    ) -> Result<History<T>> {
        self.run(network, data, Some(validation), optimizer)
    }

    fn run(
        &self,
        network: &mut Mlp<T>,
        data: &Dataset<T>,
        validation: Option<&Dataset<T>>,
        optimizer: &mut impl Optimizer<T>,
    ) -> Result<History<T>> {
        check_hyper(
            "number of epochs",
            self.epochs as f64,
            self.epochs > 0,
            "must be at least 1",
        )?;
        for dataset in [Some(data), validation].into_iter().flatten() {
            network.check_batch(dataset.inputs(), dataset.targets())?;
            self.loss.check_targets(dataset.targets())?;
        }
        let mut batches = data.batches(self.batch_size)?;
        let mut generator = generator(self.seed);
        let mut workspace = Workspace::default();
        let mut history = History::default();
        let bar = self.progress_bar();
        for epoch in 1..=self.epochs {
            batches.shuffle(&mut generator);
            let loss = self.epoch(epoch, network, &mut batches, optimizer, &mut workspace)?;
            history.training.push(loss);
            if let Some(validation) = validation {
                let loss = network.loss(validation.inputs(), validation.targets(), self.loss);
                let place = Place::Validation { epoch };
                history
                    .validation
                    .push(loss.map_err(|error| error.at(place))?);
            }
            bar.set_message(format!("{loss:.6}"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(history)
    }

    /// One pass over the batches; the loss of all samples, each taken when its batch was met.
    fn epoch(
        &self,
        epoch: usize,
        network: &mut Mlp<T>,
        batches: &mut Batches<'_, T>,
        optimizer: &mut impl Optimizer<T>,
        workspace: &mut Workspace<T>,
    ) -> Result<T> {
        let all: T = self.loss.weight(batches.dataset().targets().dim());
        let (mut total, mut batch) = (T::zero(), 0);
        while let Some((inputs, targets)) = batches.next_batch() {
            batch += 1;
            let mut step = || {
                let loss = network.loss_and_gradients(&inputs, &targets, self.loss, workspace)?;
                if let Some(max_norm) = self.max_norm {
                    clip_by_norm(workspace.gradient_mut(), max_norm)?;
                }
                optimizer.step(network.parameters_mut(), workspace.gradient())?;
                Ok(loss)
            };
            let loss =
                step().map_err(|error: crate::Error| error.at(Place::Batch { epoch, batch }))?;
            total += loss * (all / self.loss.weight(targets.dim()));
        }
        Ok(total)
    }

    fn progress_bar(&self) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("{bar:40} epoch {pos}/{len}, loss {msg}, {eta} left");
        let bar = ProgressBar::new(self.epochs as u64);
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}
