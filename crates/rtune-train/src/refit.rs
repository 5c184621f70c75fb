//! The last fit of an ordinal model: scale and cutpoints, on the validation rows.
//!
//! Scores of training rows move apart for as long as training goes on, and the probabilities with
//! them, beyond what rows that the model has not seen bear out. A factor on all of score and
//! cutpoints (temperature scaling; Guo et al., 2017), and with more rows the cutpoints, bring them
//! back. The order of texts stays the same.

use crate::best::Rated;
use crate::inference::predictions;
use crate::minimize::minimize;
use crate::{Evaluation, LossSpec, TrainConfig, TrainError, TrainInputs, cutpoints};
use rtune_nn::{ordered_cutpoints, ordered_parameters};
use rtune_task::{Cutpoints, Target, Task, TaskSpec};
use serde::{Deserialize, Serialize};

/// The number of validation rows from which the scale is fitted.
const ROWS_FOR_SCALE: usize = 50;
/// The number of validation rows from which the cutpoints are fitted, too.
const ROWS_FOR_CUTPOINTS: usize = 400;
/// The deviation of the logarithm of the scale, and of the parameters of cutpoints, before a row is
/// seen. It keeps them finite for classes without rows and for rows without errors.
const DEVIATION: f64 = 0.5;

/// The last fit of the scale of an ordinal model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refit {
    /// The number of validation rows.
    pub rows: usize,
    /// The factor that scores were multiplied by.
    pub scale: f64,
    /// True if the cutpoints were fitted, too; if not, they were multiplied by the same factor.
    pub cutpoints: bool,
    /// The loss on these rows before.
    pub loss_before: f64,
    /// The loss on these rows after it.
    pub loss_after: f64,
}

/// Fits the scale of a trained model once more, if the task is ordinal and there are enough
/// validation rows, and measures `best` again. The change is folded into the head.
///
/// # Errors
/// If a tensor operation fails, or `interrupt` is requested between two batches.
pub(crate) fn refit(
    inputs: &TrainInputs<'_>,
    config: &TrainConfig,
    best: &mut Evaluation,
    interrupt: &rtune_interrupt::Interrupt,
) -> Result<Option<Refit>, TrainError> {
    let TrainInputs {
        model,
        validation,
        padding,
        device,
        ..
    } = *inputs;
    let rows = validation.len();
    if !config.refit || model.spec().task != Task::Ordinal || rows < ROWS_FOR_SCALE {
        return Ok(None);
    }
    let Some(scale) = model.scale()? else {
        return Ok(None);
    };
    let size = config.eval_batch_size;
    let predict = || predictions(model, validation, size, padding, device, interrupt);
    let scores: Vec<f64> = predict()?.iter().map(|p| p.score).collect();
    let with_cutpoints = rows >= ROWS_FOR_CUTPOINTS;
    let weights = config.class_weights.clone();
    let targets = &validation.targets;
    let (factor, fitted) = fit(
        model.spec(),
        weights,
        (&scores, targets),
        scale.cutpoints(),
        with_cutpoints,
    )?;
    model.head().rescale(factor, 0.0)?;
    cutpoints::write(model, &fitted)?;
    let loss_before = best.metrics.loss;
    let Rated {
        metrics,
        decision,
        decisions,
    } = Rated::measure(config, model.spec(), &predict()?, targets)?;
    (best.metrics, best.decision, best.decisions) = (metrics, decision, decisions);
    Ok(Some(Refit {
        rows,
        scale: factor,
        cutpoints: with_cutpoints,
        loss_before,
        loss_after: best.metrics.loss,
    }))
}

/// The factor and the cutpoints of the most probable scale: the mean loss over the rows, and the
/// deviation from a factor of 1 and from the known cutpoints.
fn fit(
    spec: &TaskSpec,
    class_weights: Option<Vec<f64>>,
    (scores, targets): (&[f64], &[Target]),
    known: &[f64],
    with_cutpoints: bool,
) -> Result<(f64, Vec<f64>), TrainError> {
    let form = match with_cutpoints {
        true => Cutpoints::Ordered,
        false => Cutpoints::Clipped,
    };
    let spec = TaskSpec {
        cutpoints: form,
        ..spec.clone()
    };
    let loss = LossSpec::new(&spec, class_weights)?;
    let total = loss.total_weight(targets);
    let prior = 1.0 / (DEVIATION * DEVIATION * targets.len() as f64);
    let first = ordered_parameters(known);
    // The logarithm of the factor, and then the parameters of cutpoints if they are fitted.
    let function = |point: &[f64]| {
        let factor = point[0].exp();
        let scaled: Vec<f64> = scores.iter().map(|score| factor * score).collect();
        let parameters = match with_cutpoints {
            true => point[1..].to_vec(),
            false => known.iter().map(|cutpoint| factor * cutpoint).collect(),
        };
        let loss = loss.compute(&scaled, &parameters, targets, total);
        let by_scores: f64 = scaled.iter().zip(&loss.outputs).map(|(s, g)| s * g).sum();
        let mut value = loss.value + 0.5 * prior * point[0] * point[0];
        let mut gradient = vec![by_scores + prior * point[0]];
        if with_cutpoints {
            let all = point[1..].iter().zip(&first).zip(loss.cutpoints);
            gradient.extend(all.map(|((now, first), slope)| {
                value += 0.5 * prior * (now - first) * (now - first);
                slope + prior * (now - first)
            }));
        } else {
            let both = parameters.iter().zip(loss.cutpoints);
            gradient[0] += both.map(|(cutpoint, slope)| cutpoint * slope).sum::<f64>();
        }
        (value, gradient)
    };
    let mut start = vec![0.0];
    if with_cutpoints {
        start.extend(&first);
    }
    let found = minimize(start, function);
    let factor = found[0].exp();
    Ok((
        factor,
        match with_cutpoints {
            true => ordered_cutpoints(&found[1..]),
            false => known.iter().map(|cutpoint| factor * cutpoint).collect(),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, Link, OrdinalScale, Pooling};

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

    /// Scores over a range, each with a hundred rows whose classes have the frequencies of `scale`.
    fn rows(scale: &OrdinalScale) -> (Vec<f64>, Vec<Target>) {
        let mut all = (Vec::new(), Vec::new());
        for step in 0..40 {
            let score = f64::from(step) * 0.2 - 4.0;
            let mut below = 0.0;
            for (class, probability) in scale.probabilities(score).iter().enumerate() {
                let count = |share: f64| (100.0 * share).round() as usize;
                for _ in count(below)..count(below + probability) {
                    all.0.push(score);
                    all.1.push(Target::Class(class));
                }
                below += probability;
            }
        }
        all
    }

    /// A model whose scores are three times too far apart, and whose cutpoints are elsewhere.
    #[test]
    fn the_fit_finds_the_scale_that_made_the_rows() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            let truth = OrdinalScale::new(vec![-1.0, 1.5], link);
            let (scores, targets) = rows(&truth);
            let tripled: Vec<f64> = scores.iter().map(|score| 3.0 * score).collect();
            let data = (&tripled[..], &targets[..]);
            let (factor, found) = fit(&spec(link), None, data, &[-3.0, 4.5], false).unwrap();
            assert!((factor - 1.0 / 3.0).abs() < 0.01, "{link:?}: {factor}");
            assert!((found[1] - 4.5 * factor).abs() < 1e-12);
            let (factor, found) = fit(&spec(link), None, data, &[-2.0, 3.0], true).unwrap();
            let errors = [factor - 1.0 / 3.0, found[0] + 1.0, found[1] - 1.5];
            assert!(
                errors.iter().all(|error| error.abs() < 0.05),
                "{link:?}: {errors:?}"
            );
        }
    }

    #[test]
    fn rows_without_errors_or_of_one_class_leave_a_finite_scale() {
        let scores: Vec<f64> = (0..500).map(|row| f64::from(row % 3) * 10.0).collect();
        let classes: Vec<Target> = (0..500).map(|row| Target::Class(row % 3)).collect();
        for targets in [classes, vec![Target::Class(1); 500]] {
            for with_cutpoints in [false, true] {
                let data = (&scores[..], &targets[..]);
                let found = fit(&spec(Link::Logit), None, data, &[5.0, 15.0], with_cutpoints);
                let (factor, cutpoints) = found.unwrap();
                assert!(factor > 0.05 && factor < 5.0, "{factor}");
                assert!(cutpoints[1] > cutpoints[0], "{cutpoints:?}");
                assert!(cutpoints.iter().all(|cutpoint| cutpoint.abs() < 100.0));
            }
        }
    }
}
