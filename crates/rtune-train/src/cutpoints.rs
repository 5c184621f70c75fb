//! The cutpoints of an ordinal head: initial values and order.

use crate::TrainError;
use candle_core::Tensor;
use rtune_nn::{Param, TextModel, ordered_parameters};
use rtune_task::{Cutpoints, Target, Task, TaskSpec};

/// The distance that clipping keeps between neighbors.
const GAP: f64 = 1e-3;

/// Sets the cutpoints of an ordinal model to [`initial`] values. Other models have none.
pub(crate) fn initialize(model: &TextModel, targets: &[Target]) -> Result<(), TrainError> {
    match (model.spec().task, model.head().cutpoints()) {
        (Task::Ordinal, Some(param)) => set(param, &initial(model.spec(), targets)),
        _ => Ok(()),
    }
}

/// The parameters of cutpoints with which a score of 0 gives each class its frequency in the
/// training data.
///
/// Add-one smoothing gives a class without examples an interval, too.
///
/// # Shapes
/// → `[classes − 1]`
pub(crate) fn initial(spec: &TaskSpec, targets: &[Target]) -> Vec<f64> {
    let mut counts = vec![1.0; spec.labels.len()];
    for class in targets.iter().filter_map(|target| target.class()) {
        counts[class] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let mut below = 0.0;
    // The last class ends at infinity.
    let cutpoints: Vec<f64> = counts[..counts.len() - 1]
        .iter()
        .map(|count| {
            below += count;
            spec.link.quantile(below / total)
        })
        .collect();
    match spec.cutpoints {
        Cutpoints::Ordered => ordered_parameters(&cutpoints),
        Cutpoints::Clipped => cutpoints,
    }
}

/// Sets the cutpoints of an ordinal model, which ascend. Other models have none.
pub(crate) fn write(model: &TextModel, cutpoints: &[f64]) -> Result<(), TrainError> {
    let Some(param) = model.head().cutpoints() else {
        return Ok(());
    };
    match model.spec().cutpoints {
        Cutpoints::Ordered => set(param, &ordered_parameters(cutpoints)),
        Cutpoints::Clipped => set(param, cutpoints),
    }
}

/// Makes the cutpoints ascending again after an update, if they are free parameters.
pub(crate) fn clip(model: &TextModel) -> Result<(), TrainError> {
    let (Cutpoints::Clipped, Some(param)) = (model.spec().cutpoints, model.head().cutpoints())
    else {
        return Ok(());
    };
    let values = param.value().to_vec1::<f32>()?;
    let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
    make_ascending(&mut values);
    set(param, &values)
}

fn make_ascending(values: &mut [f64]) {
    for index in 1..values.len() {
        values[index] = values[index].max(values[index - 1] + GAP);
    }
}

fn set(param: &Param, values: &[f64]) -> Result<(), TrainError> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let values = Tensor::new(values, param.value().device())?;
    Ok(param.value().slice_set(&values, 0, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_nn::ordered_cutpoints;
    use rtune_task::{Decision, Link, OrdinalScale, Pooling};

    fn spec(link: Link, cutpoints: Cutpoints) -> TaskSpec {
        TaskSpec {
            task: Task::Ordinal,
            labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
            pooling: Pooling::Mean,
            link,
            cutpoints,
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length: 8,
        }
    }

    #[test]
    fn a_score_of_0_gives_each_class_its_smoothed_frequency() {
        // Two of class 0, five of class 1, none of class 2: smoothed 3, 6 and 1 of 10.
        let classes = [0, 0, 1, 1, 1, 1, 1].map(Target::Class);
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            for cutpoints in [Cutpoints::Ordered, Cutpoints::Clipped] {
                let parameters = initial(&spec(link, cutpoints), &classes);
                let cutpoints = match cutpoints {
                    Cutpoints::Ordered => ordered_cutpoints(&parameters),
                    Cutpoints::Clipped => parameters,
                };
                let found = OrdinalScale::new(cutpoints, link).probabilities(0.0);
                for (found, expected) in found.iter().zip([0.3, 0.6, 0.1]) {
                    assert!((found - expected).abs() < 1e-9, "{link:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn clipping_moves_only_cutpoints_that_are_out_of_order() {
        for (mut values, expected) in [
            ([-1.0, 0.0, 2.0], [-1.0, 0.0, 2.0]),
            ([1.0, 0.0, 2.0], [1.0, 1.0 + GAP, 2.0]),
            ([1.0, 1.0, 1.0], [1.0, 1.0 + GAP, 1.0 + 2.0 * GAP]),
        ] {
            make_ascending(&mut values);
            for (found, expected) in values.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{values:?}");
            }
        }
    }
}
