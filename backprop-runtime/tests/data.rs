//! What a run starts from: seeds, initial weights, splits and batches.

use approx::assert_relative_eq;
use backprop_runtime::init::{generator, standard_normal};
use backprop_runtime::{Activation, Dataset, Error, Init, Mlp};
use ndarray::{Array2, array};

#[test]
fn seeds_give_the_numbers_that_they_always_gave() {
    let drawn: Array2<f64> = standard_normal((1, 3), &mut generator(0));
    let again: Array2<f32> = standard_normal((1, 3), &mut generator(0));
    assert_eq!(drawn.mapv(|v| v as f32), again);
    let expected = array![[
        0.6999607946268154,
        -0.14406163542784764,
        0.30288628024558556
    ]];
    assert_eq!(drawn, expected);
}

#[test]
fn initial_weights_have_the_variance_of_their_scheme() {
    for (init, variance, bound) in [
        (Init::XavierUniform, 2.0 / 500.0, (6.0_f64 / 500.0).sqrt()),
        (Init::XavierNormal, 2.0 / 500.0, f64::INFINITY),
        (Init::HeUniform, 2.0 / 300.0, (6.0_f64 / 300.0).sqrt()),
        (Init::HeNormal, 2.0 / 300.0, f64::INFINITY),
        (Init::StandardNormal, 1.0, f64::INFINITY),
    ] {
        let mut weights = vec![0.0; 300 * 200];
        init.fill(&mut weights, 300, 200, &mut generator(1));
        let count = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / count;
        let measured = weights.iter().map(|w| w * w).sum::<f64>() / count;
        assert!(
            mean.abs() < 4.0 * (variance / count).sqrt(),
            "{init:?}: mean {mean}"
        );
        assert_relative_eq!(measured, variance, max_relative = 0.03);
        assert!(weights.iter().all(|w| w.abs() <= bound), "{init:?}");
        assert_relative_eq!(
            init.standard_deviation(300, 200).powi(2),
            variance,
            max_relative = 1e-12
        );
    }
}

#[test]
fn a_network_takes_the_scheme_suited_to_its_activations() {
    let build = |init: Option<Init>| {
        let builder = Mlp::<f64>::builder(3)
            .dense(4, Activation::Relu)
            .dense(2, Activation::Identity)
            .seed(9);
        init.map_or(builder.clone(), |init| builder.init(init))
            .build()
            .unwrap()
    };
    let mut expected = vec![0.0; 3 * 4 + 4 + 4 * 2 + 2];
    let mut generator = generator(9);
    Init::HeUniform.fill(&mut expected[..12], 3, 4, &mut generator);
    Init::XavierUniform.fill(&mut expected[16..24], 4, 2, &mut generator);
    assert_eq!(build(None).parameters(), expected);
    assert_ne!(build(Some(Init::HeNormal)).parameters(), expected);
}

#[test]
fn batches_visit_every_sample_once_in_a_new_order() {
    let inputs = Array2::from_shape_fn((10, 2), |(i, j)| (10 * j + i) as f64);
    let dataset = Dataset::new(inputs, Array2::from_shape_fn((10, 1), |(i, _)| i as f64)).unwrap();
    let mut batches = dataset.batches(4).unwrap();
    let mut generator = generator(1);
    let mut orders = Vec::new();
    for _ in 0..3 {
        let (mut order, mut sizes) = (Vec::new(), Vec::new());
        while let Some((x, y)) = batches.next_batch() {
            assert_eq!(x.column(0), y.column(0));
            assert_eq!(x.column(1), &y.column(0) + 10.0);
            order.extend(y.iter().map(|&y| y as usize));
            sizes.push(y.nrows());
        }
        assert_eq!(sizes, [4, 4, 2]);
        orders.push(order.clone());
        order.sort_unstable();
        assert_eq!(order, Vec::from_iter(0..10));
        batches.shuffle(&mut generator);
    }
    assert_eq!(orders[0], Vec::from_iter(0..10));
    assert!(orders[1] != orders[0] && orders[2] != orders[1]);
    assert_eq!(
        dataset
            .batches(1000)
            .unwrap()
            .next_batch()
            .unwrap()
            .0
            .nrows(),
        10
    );
}

#[test]
fn a_split_parts_the_samples() {
    let inputs = Array2::from_shape_fn((10, 1), |(i, _)| i as f64);
    let dataset = Dataset::new(inputs.clone(), inputs).unwrap();
    let (train, test) = dataset.split(0.3, 4).unwrap();
    assert_eq!((train.len(), test.len()), (7, 3));
    assert_eq!(train.inputs(), train.targets());
    let mut all: Vec<_> = train
        .inputs()
        .iter()
        .chain(test.inputs())
        .copied()
        .collect();
    all.sort_unstable_by(f64::total_cmp);
    assert_eq!(all, Vec::from_iter((0..10).map(f64::from)));
    assert_eq!(dataset.split(0.3, 4).unwrap().1, test);
    assert_ne!(dataset.split(0.3, 5).unwrap().1, test);
    for fraction in [0.0, 0.04, 0.96, 1.0, -1.0, 2.0, f64::NAN] {
        let error = dataset.split(fraction, 4).unwrap_err();
        assert!(matches!(
            error,
            Error::HyperParameter {
                name: "test fraction",
                ..
            }
        ));
    }
}
