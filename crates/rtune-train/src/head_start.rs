//! The start of a new ordinal head: the weights and cutpoints that fit the vectors of the encoder
//! as it is.
//!
//! A linear probe before fine-tuning (Kumar et al., 2022) saves the steps in which a random
//! direction becomes a useful one, and keeps the encoder from following it. For a short run these
//! are most of the steps.

use crate::inference::pooled;
use crate::minimize::minimize;
use crate::{LossSpec, TrainConfig, TrainError, TrainInputs, cutpoints};
use candle_core::Tensor;
use rtune_interrupt::Interrupt;
use rtune_nn::{Head, Param, ParamRole, Parameters as _, ordered_cutpoints};
use rtune_task::{Cutpoints, Target, TaskSpec};
use rtune_text::length_grouped;

/// The penalties to choose from, the strongest first. Vectors have mean 0 and a total variance of
/// 1, so with the inverse of a penalty as the variance of each weight, it is the inverse of the
/// variance of scores before a label is seen. Weaker ones would leave no errors for the updates of
/// the encoder to learn from.
const PENALTIES: [f64; 4] = [1.0, 0.3, 0.1, 0.03];
/// The number of parts of the rows, each of which is held out once.
const FOLDS: usize = 5;

/// Sets the head of an ordinal model to the penalized maximum likelihood of the proportional-odds
/// model, or that of another link, on a sample of training rows.
///
/// The penalty is the one of the best likelihood on rows that are held out, so that few rows or
/// noisy labels give a flat model, and not a wrong one that is sure. All of it is a function of the
/// encoder, the rows and the seed; dropout is off.
///
/// # Errors
/// If a tensor operation fails, or `interrupt` is requested between two batches.
pub(crate) fn start_head(
    inputs: &TrainInputs<'_>,
    config: &TrainConfig,
    interrupt: &Interrupt,
) -> Result<(), TrainError> {
    let rows = sample(inputs, config);
    let training = inputs.training;
    let texts: Vec<_> = rows.iter().map(|row| &training.texts[*row]).collect();
    let targets: Vec<Target> = rows.iter().map(|row| training.targets[*row]).collect();
    let size = config.eval_batch_size;
    let (model, padding) = (inputs.model, inputs.padding);
    let vectors = pooled(model, &texts, size, padding, inputs.device, interrupt)?;
    let Some(vectors) = Standardized::of(&vectors) else {
        return Ok(());
    };
    let spec = TaskSpec {
        // Ordered by construction, so that the loss is finite everywhere.
        cutpoints: Cutpoints::Ordered,
        ..model.spec().clone()
    };
    let loss = LossSpec::new(&spec, config.class_weights.clone())?;
    let examples: Vec<Example<'_>> = vectors
        .rows
        .iter()
        .map(Vec::as_slice)
        .zip(targets)
        .collect();
    let mut first = vec![0.0; vectors.mean.len()];
    first.extend(cutpoints::initial(&spec, &training.targets));
    let penalty = best_penalty(&examples, &loss, &first);
    let mut weights = fit(&examples, &loss, penalty, first);
    let cutpoints = weights.split_off(vectors.mean.len());
    let (weights, bias) = vectors.restore(&weights);
    let cutpoints = match model.spec().cutpoints {
        Cutpoints::Ordered => cutpoints,
        Cutpoints::Clipped => ordered_cutpoints(&cutpoints),
    };
    set(model.head(), &weights, bias, &cutpoints)
}

/// Rows of random batches of training. Batches and not rows, because those have texts of similar
/// length, which are quick to compute.
fn sample(inputs: &TrainInputs<'_>, config: &TrainConfig) -> Vec<usize> {
    let lengths = inputs.training.lengths();
    // An order that no epoch has.
    let batches = length_grouped(&lengths, config.train_batch_size, config.seed, u64::MAX);
    let mut rows: Vec<usize> = batches.into_iter().flatten().collect();
    rows.truncate(config.head_start_rows);
    rows
}

/// Vectors with mean 0 and a total variance of 1.
struct Standardized {
    rows: Vec<Vec<f64>>,
    mean: Vec<f64>,
    deviation: f64,
}

impl Standardized {
    /// None if there are no vectors, or all are equal.
    fn of(vectors: &[Vec<f32>]) -> Option<Self> {
        let count = vectors.len() as f64;
        let mut mean = vec![0.0; vectors.first()?.len()];
        for vector in vectors {
            let both = mean.iter_mut().zip(vector);
            both.for_each(|(mean, value)| *mean += f64::from(*value) / count);
        }
        let center = |vector: &Vec<f32>| -> Vec<f64> {
            let both = vector.iter().zip(&mean);
            both.map(|(value, mean)| f64::from(*value) - mean).collect()
        };
        let mut rows: Vec<Vec<f64>> = vectors.iter().map(center).collect();
        let squares: f64 = rows.iter().flatten().map(|value| value * value).sum();
        let deviation = (squares / count).sqrt();
        if !(deviation > 0.0 && deviation.is_finite()) {
            return None;
        }
        let all = rows.iter_mut().flatten();
        all.for_each(|value| *value /= deviation);
        Some(Self {
            rows,
            mean,
            deviation,
        })
    }

    /// The weights and the bias that give vectors as they are the scores that `weights` give
    /// standardized ones.
    fn restore(&self, weights: &[f64]) -> (Vec<f64>, f64) {
        let weights: Vec<f64> = weights.iter().map(|w| w / self.deviation).collect();
        let bias = -dot(&weights, &self.mean);
        (weights, bias)
    }
}

/// A standardized vector and its class.
type Example<'a> = (&'a [f64], Target);

/// The penalty whose fits to the other parts give the held-out parts the lowest loss.
fn best_penalty(examples: &[Example<'_>], loss: &LossSpec, first: &[f64]) -> f64 {
    let mut losses = [0.0; PENALTIES.len()];
    for fold in 0..FOLDS.min(examples.len()) {
        let part = |is_held_out: bool| -> Vec<Example<'_>> {
            let all = examples.iter().enumerate();
            let chosen = all.filter(|(index, _)| (index % FOLDS == fold) == is_held_out);
            chosen.map(|(_, example)| *example).collect()
        };
        let (known, held_out) = (part(false), part(true));
        let total = loss.total_weight(held_out.iter().map(|(_, target)| target));
        let mut point = first.to_vec();
        for (sum, penalty) in losses.iter_mut().zip(PENALTIES) {
            point = fit(&known, loss, penalty, point);
            *sum += penalized(&held_out, loss, (0.0, total), &point).0 * total;
        }
    }
    let all = PENALTIES.into_iter().zip(losses);
    let best = all.min_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map_or(PENALTIES[0], |(penalty, _)| penalty)
}

/// Minimizes the mean loss plus the penalty, from `start` on, weights and then the parameters of
/// ordered cutpoints. For all three links the loss is convex in weights and cutpoints (Pratt,
/// 1981), so it has one minimum.
fn fit(examples: &[Example<'_>], loss: &LossSpec, penalty: f64, start: Vec<f64>) -> Vec<f64> {
    let total = loss.total_weight(examples.iter().map(|(_, target)| target));
    minimize(start, |point| {
        let penalty = penalty / examples.len() as f64;
        penalized(examples, loss, (penalty, total), point)
    })
}

/// The mean loss plus half of `penalty` times the squared weights, and the gradient.
fn penalized(
    examples: &[Example<'_>],
    loss: &LossSpec,
    (penalty, total): (f64, f64),
    point: &[f64],
) -> (f64, Vec<f64>) {
    let width = examples.first().map_or(0, |(vector, _)| vector.len());
    let (weights, parameters) = point.split_at(width);
    let scores = examples.iter().map(|(vector, _)| dot(vector, weights));
    let scores: Vec<f64> = scores.collect();
    let targets: Vec<Target> = examples.iter().map(|(_, target)| *target).collect();
    let loss = loss.compute(&scores, parameters, &targets, total);
    let mut gradient: Vec<f64> = weights.iter().map(|weight| penalty * weight).collect();
    for ((vector, _), by_score) in examples.iter().zip(&loss.outputs) {
        let both = gradient.iter_mut().zip(*vector);
        both.for_each(|(sum, value)| *sum += by_score * value);
    }
    gradient.extend(loss.cutpoints);
    let value = loss.value + 0.5 * penalty * dot(weights, weights);
    (value, gradient)
}

fn set(head: &Head, weights: &[f64], bias: f64, cutpoints: &[f64]) -> Result<(), TrainError> {
    for param in head.params() {
        match param.role() {
            ParamRole::Cutpoints => write(param, cutpoints)?,
            ParamRole::Bias => write(param, &[bias])?,
            _ => write(param, weights)?,
        }
    }
    Ok(())
}

fn write(param: &Param, values: &[f64]) -> Result<(), TrainError> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let shape = param.value().shape();
    let values = Tensor::from_vec(values, shape, param.value().device())?;
    Ok(param.value().slice_set(&values, 0, 0)?)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, Link, OrdinalScale, Pooling, Task};

    fn spec(link: Link) -> TaskSpec {
        TaskSpec {
            task: Task::Ordinal,
            labels: ["a", "b", "c"].map(str::to_owned).to_vec(),
            pooling: Pooling::Mean,
            link,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length: 8,
        }
    }

    const LINKS: [Link; 3] = [Link::Logit, Link::Probit, Link::Cloglog];

    /// Numbers between −1 and 1 that look random.
    fn noise(index: usize) -> f64 {
        ((index as f64 + 1.0) * 12.9898).sin() * 43758.5453 % 1.0
    }

    /// Vectors whose first element is the level of the class, plus `error` times noise; the other
    /// elements are noise.
    fn data(count: usize, error: f64) -> (Vec<Vec<f32>>, Vec<Target>) {
        let vector = |row: usize| {
            let level = (row % 3) as f64 + error * noise(7 * row);
            [5.0 + level, noise(5 * row + 1), noise(5 * row + 2)].map(|value| value as f32)
        };
        let vectors = (0..count).map(|row| vector(row).to_vec()).collect();
        let targets = (0..count).map(|row| Target::Class(row % 3)).collect();
        (vectors, targets)
    }

    fn examples(vectors: &Standardized, targets: Vec<Target>) -> Vec<Example<'_>> {
        let rows = vectors.rows.iter().map(Vec::as_slice);
        rows.zip(targets).collect()
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let (vectors, targets) = data(12, 0.5);
        let vectors = Standardized::of(&vectors).unwrap();
        let examples = examples(&vectors, targets);
        let point = [0.3, -0.7, 0.2, -0.4, 0.1];
        for link in LINKS {
            for weights in [None, Some(vec![0.5, 1.0, 4.0])] {
                let loss = LossSpec::new(&spec(link), weights).unwrap();
                let total = loss.total_weight(examples.iter().map(|(_, target)| target));
                let value = |point: &[f64]| penalized(&examples, &loss, (0.1, total), point);
                for (index, expected) in value(&point).1.into_iter().enumerate() {
                    let moved = |step: f64| {
                        let mut point = point;
                        point[index] += step;
                        value(&point).0
                    };
                    let found = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!((found - expected).abs() < 1e-8, "{link:?} {index}: {found}");
                }
            }
        }
    }

    #[test]
    fn classes_in_order_are_told_apart_by_every_link() {
        for link in LINKS {
            let (rows, targets) = data(60, 0.1);
            let vectors = Standardized::of(&rows).unwrap();
            let loss = LossSpec::new(&spec(link), None).unwrap();
            let examples = examples(&vectors, targets.clone());
            let mut first = vec![0.0; 3];
            first.extend(cutpoints::initial(&spec(link), &targets));
            let found = fit(&examples, &loss, 0.01, first);
            let (weights, cutpoints) = found.split_at(3);
            let (weights, bias) = vectors.restore(weights);
            let scale = OrdinalScale::new(ordered_cutpoints(cutpoints), link);
            for (row, target) in rows.iter().zip(targets) {
                let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
                let probabilities = scale.probabilities(dot(&row, &weights) + bias);
                let class = Decision::Mode.class(&probabilities);
                assert_eq!(Some(class), target.class(), "{link:?} {probabilities:?}");
            }
        }
    }

    #[test]
    fn the_penalty_is_strong_for_noise_and_weak_for_a_clear_order() {
        let penalty = |count, error| {
            let (vectors, targets) = data(count, error);
            let vectors = Standardized::of(&vectors).unwrap();
            let spec = spec(Link::Logit);
            let mut first = vec![0.0; 3];
            first.extend(cutpoints::initial(&spec, &targets));
            let loss = LossSpec::new(&spec, None).unwrap();
            best_penalty(&examples(&vectors, targets), &loss, &first)
        };
        assert_eq!(penalty(60, 1e3), 1.0);
        assert_eq!(penalty(60, 0.1), 0.03);
        // As few rows as there can be.
        assert!(PENALTIES.contains(&penalty(2, 1.0)));
    }

    #[test]
    fn vectors_without_differences_have_no_fit() {
        for vectors in [vec![], vec![vec![1.0; 4]; 3], vec![vec![1.0, f32::NAN]; 2]] {
            assert!(Standardized::of(&vectors).is_none());
        }
    }

    #[test]
    fn standardized_vectors_give_the_same_scores() {
        let (rows, _) = data(9, 0.5);
        let vectors = Standardized::of(&rows).unwrap();
        let squares: f64 = vectors.rows.iter().flatten().map(|v| v * v).sum();
        assert!((squares / 9.0 - 1.0).abs() < 1e-12, "{squares}");
        let (weights, bias) = vectors.restore(&[0.5, -2.0, 1.0]);
        for (row, standardized) in rows.iter().zip(&vectors.rows) {
            let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
            let (found, expected) = (
                dot(&row, &weights) + bias,
                dot(standardized, &[0.5, -2.0, 1.0]),
            );
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
    }
}
