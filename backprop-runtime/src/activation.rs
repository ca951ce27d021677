//! Activation functions: scalars by definition, whole matrices through [`Activation`].
//!
//! Each is a plain generic function under `#[backprop]`; no derivative is written here. Adding one
//! takes the function and its row in the table. Values and slopes are finite for every finite input,
//! and a NaN stays a NaN. They take the [kernels' floats](crate::kernel::Float) and are inlined, so that a pass over a
//! matrix vectorises, forward and backward.

use std::fmt;
use std::str::FromStr;

use backprop_macro::backprop;
use ndarray::{ArrayRef, Dimension};

use crate::error::{Error, Result, by_name, check_shape};
use crate::float::Float;
use crate::kernel::{self, flush, map};

/// The logistic function `1 / (1 + e⁻ᶻ)`, between 0 and 1.
///
/// ```
/// use backprop_runtime::activation::sigmoid;
///
/// let (y, gradient) = sigmoid::value_and_gradient(0.0);
/// assert_eq!((y, gradient.z), (0.5, 0.25));
/// ```
#[backprop]
#[inline(always)]
pub fn sigmoid<T: kernel::Float>(z: T) -> T {
    T::one() / (T::one() + (-z).exp())
}

/// The hyperbolic tangent, between -1 and 1.
#[backprop]
#[inline(always)]
pub fn tanh<T: kernel::Float>(z: T) -> T {
    z.tanh()
}

/// `max(z, 0)`, with slope 0 at 0.
#[backprop]
#[inline(always)]
pub fn relu<T: kernel::Float>(z: T) -> T {
    // Asked this way round, a NaN is passed on instead of becoming 0.
    if z <= T::zero() { T::zero() } else { z }
}

/// `z σ(z)`, also called swish.
#[backprop]
#[inline(always)]
pub fn silu<T: kernel::Float>(z: T) -> T {
    z * sigmoid(z)
}

/// The Gaussian error linear unit in its tanh form, `½ z (1 + tanh √(2/π) (z + 0.044715 z³))`.
///
/// Computed as `z σ(2u)`, where `u` is the argument of `tanh`: the same function without the cancellation in `1 + tanh u`.
#[backprop]
#[inline(always)]
pub fn gelu<T: kernel::Float>(z: T) -> T {
    // Beyond ±30 the sigmoid is 0 or 1 to the last bit, and the cube can no longer overflow.
    let limit = T::from(30.0).unwrap();
    let t = z.max(-limit).min(limit);
    let two_sqrt_two_over_pi = T::from(1.595_769_121_605_730_8).unwrap();
    let cubic = T::from(0.044715).unwrap();
    z * sigmoid(two_sqrt_two_over_pi * (t + cubic * t * t * t))
}

/// `ln(1 + eᶻ)`, a smooth [`relu()`], without overflow.
#[backprop]
#[inline(always)]
pub fn softplus<T: kernel::Float>(z: T) -> T {
    z.max(T::zero()) + (-z.abs()).exp().ln_1p()
}

/// `z`: a layer without an activation.
#[backprop]
#[inline(always)]
pub fn identity<T: kernel::Float>(z: T) -> T {
    z
}

/// `slope · z`: an activation to first order, whose backward pass is that of the activation where its slope is known.
#[backprop(wrt(z))]
#[inline(always)]
fn linearized<T: kernel::Float>(slope: T, z: T) -> T {
    slope * z
}

/// Writes the enum and its dispatch from one row per activation.
macro_rules! activations {
    ($($variant:ident = $function:ident)+) => {
        /// The activation of a layer, applied to every element.
        ///
        /// ```
        /// use backprop_runtime::Activation;
        ///
        /// let activation: Activation = "relu".parse()?;
        /// assert_eq!(activation, Activation::Relu);
        /// assert_eq!(activation.value(-2.0), 0.0);
        /// assert_eq!(activation.value_and_slope(3.0_f32), (3.0, 1.0));
        /// # Ok::<(), backprop_runtime::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Activation {
            $(
                #[doc = concat!("The function [`", stringify!($function), "`](fn@", stringify!($function), ").")]
                $variant,
            )+
        }

        impl Activation {
            /// Every activation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($function),)+
                }
            }

            /// The activation at `z`.
            pub fn value<T: Float>(self, z: T) -> T {
                match self {
                    $(Self::$variant => T::from_lane($function(z.into_lane())),)+
                }
            }

            /// The activation at `z` and its derivative there.
            pub fn value_and_slope<T: Float>(self, z: T) -> (T, T) {
                match self {
                    $(Self::$variant => {
                        let (value, gradient) = $function::value_and_gradient(z.into_lane());
                        (T::from_lane(value), T::from_lane(gradient.z))
                    })+
                }
            }

            /// Overwrites every pre-activation in `z` with its activation.
            pub fn apply<T: Float, D: Dimension>(self, z: &mut ArrayRef<T, D>) {
                match self {
                    $(Self::$variant => {
                        let [] = map(
                            [],
                            [z.view_mut()],
                            #[inline(always)]
                            |[], [z]: [T; 1]| ([T::from_lane($function(z.into_lane()))], []),
                        );
                    })+
                }
            }

            /// Overwrites every pre-activation in `z` with its activation, and `residuals` with what
            /// [`backward`](Self::backward) needs, in one pass.
            ///
            /// # Errors
            ///
            /// If the shapes of `z` and `residuals` differ; neither is then changed.
            pub fn forward<T: Float, D: Dimension>(
                self,
                z: &mut ArrayRef<T, D>,
                residuals: &mut ArrayRef<T, D>,
            ) -> Result<()> {
                check_shape("residuals", residuals.shape(), z.shape())?;
                match self {
                    $(Self::$variant => {
                        let [] = map(
                            [],
                            [z.view_mut(), residuals.view_mut()],
                            #[inline(always)]
                            |[], [z, _]: [T; 2]| {
                                let (value, gradient) = $function::value_and_gradient(z.into_lane());
                                ([T::from_lane(value), T::from_lane(gradient.z)], [])
                            },
                        );
                    })+
                }
                Ok(())
            }
        }
    };
}

activations! {
    Sigmoid = sigmoid
    Tanh = tanh
    Relu = relu
    Silu = silu
    Gelu = gelu
    Softplus = softplus
    Identity = identity
}

impl Activation {
    /// Turns the upstream gradient, with respect to the activations, into the gradient with respect to
    /// the pre-activations, in place; `residuals` are those of the [`forward`](Self::forward) pass.
    ///
    /// ```
    /// use backprop_runtime::Activation;
    /// use ndarray::array;
    ///
    /// let (mut z, mut residuals) = (array![[-1.0, 2.0]], array![[0.0, 0.0]]);
    /// Activation::Relu.forward(&mut z, &mut residuals)?;
    /// assert_eq!(z, array![[0.0, 2.0]]);
    ///
    /// let mut upstream = array![[5.0, 7.0]];
    /// Activation::backward(&residuals, &mut upstream)?;
    /// assert_eq!(upstream, array![[0.0, 7.0]]);
    /// # Ok::<(), backprop_runtime::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the shapes differ; `upstream` is then unchanged.
    pub fn backward<T: Float, D: Dimension>(
        residuals: &ArrayRef<T, D>,
        upstream: &mut ArrayRef<T, D>,
    ) -> Result<()> {
        check_shape("upstream gradients", upstream.shape(), residuals.shape())?;
        // What underflows would only slow down the products that follow.
        let [] = map(
            [residuals.view()],
            [upstream.view_mut()],
            #[inline(always)]
            |[slope], [upstream]: [T; 1]| {
                let (_, saved) = linearized::forward(slope.into_lane(), T::ZERO.into_lane());
                let gradient = linearized::backward(&saved, upstream.into_lane());
                ([flush(T::from_lane(gradient.z))], [])
            },
        );
        Ok(())
    }

    /// Whether the activation is 0, or nearly so, for negative inputs: what decides how a layer's
    /// weights are best initialised (see [`Init::suited_to`](crate::Init::suited_to)).
    pub const fn is_rectifier(self) -> bool {
        matches!(self, Self::Relu | Self::Silu | Self::Gelu | Self::Softplus)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        by_name("activation", Self::ALL, Self::name, name)
    }
}
