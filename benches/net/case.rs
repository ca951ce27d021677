//! What is run: sizes, numbers, and the files through which both sides get the same ones.

use std::fs;
use std::path::{Path, PathBuf};

use backprop::Float;
use backprop::init::{generator, standard_normal};
use ndarray::Array2;

/// One training problem.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// Samples.
    pub n: usize,
    /// The widths of the layers, from the inputs to the outputs.
    pub widths: &'static [usize],
    /// The step of gradient descent; 0 where only value and gradient are computed.
    pub rate: f64,
}

/// The lecture's network, a large one of its kind, and one as small as they get, alone and in a batch.
///
/// The first two have one hidden layer of sigmoids and no biases, and make a step of gradient descent. The last has two hidden layers of
/// `tanh`, with biases, and computes the loss and its gradient with respect to all parameters. The loss is the sum of squares.
pub const CASES: &[Case] = &[
    Case {
        name: "lecture",
        n: 64,
        widths: &[1000, 100, 10],
        rate: 1e-4,
    },
    Case {
        name: "large",
        n: 256,
        widths: &[4096, 1024, 10],
        rate: 1e-6,
    },
    Case {
        name: "tiny",
        n: 1,
        widths: &[4, 16, 16, 1],
        rate: 0.0,
    },
    Case {
        name: "tiny_32",
        n: 32,
        widths: &[4, 16, 16, 1],
        rate: 0.0,
    },
];

/// The arrays of a case.
pub struct Data<T> {
    pub x: Array2<T>,
    pub y: Array2<T>,
    pub weights: Vec<Array2<T>>,
    /// Rows; unused without biases.
    pub biases: Vec<Array2<T>>,
}

impl Case {
    pub fn named(name: &str) -> Self {
        let found = CASES.iter().find(|case| case.name == name);
        *found.unwrap_or_else(|| panic!("no case is called {name}"))
    }

    pub fn is_tiny(&self) -> bool {
        self.widths.len() > 3
    }

    /// The numbers of the case: standard normal, but weights of the tiny network, which are scaled to its widths.
    pub fn data<T: Float>(&self) -> Data<T> {
        let mut generator = generator(0);
        let mut normal = |rows, columns, scale: f64| {
            let array: Array2<f64> = standard_normal((rows, columns), &mut generator);
            array.mapv(|a| T::from(scale * a).unwrap())
        };
        let widths = self.widths;
        let x = normal(self.n, widths[0], 1.0);
        let y = normal(self.n, widths[widths.len() - 1], 1.0);
        let pairs = || widths.windows(2).map(|pair| (pair[0], pair[1]));
        let scale = |inputs: usize| {
            if self.is_tiny() {
                (inputs as f64).powf(-0.5)
            } else {
                1.0
            }
        };
        let weights = pairs()
            .map(|(inputs, outputs)| normal(inputs, outputs, scale(inputs)))
            .collect();
        let biases = pairs()
            .map(|(_, outputs)| normal(1, outputs, 0.1))
            .collect();
        Data {
            x,
            y,
            weights,
            biases,
        }
    }

    /// Writes the numbers, little-endian doubles one array after the other, for peers to read. Those of `f32` round them.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let Data {
            x,
            y,
            weights,
            biases,
        } = self.data::<f64>();
        let arrays = [x, y].into_iter().chain(weights).chain(biases);
        let bytes: Vec<u8> = arrays
            .flat_map(|array| array.into_iter().flat_map(f64::to_le_bytes))
            .collect();
        let path = folder.join(format!("{}.f64", self.name));
        fs::write(&path, bytes).expect("the build folder can be written to");
        path
    }
}
