use crate::{Loss as _, SettingError, Tape, TapeValue};
use rtune_nn::{NnError, TextModel, ordered_cutpoints};
use rtune_task::Target;
use rtune_task::{Cutpoints, Link, OrdinalScale, TargetStatistics, Task, TaskSpec, log_softmax};

/// The function that training minimizes for a task.
#[derive(Debug, Clone, PartialEq)]
pub struct LossSpec {
    task: Task,
    link: Link,
    cutpoints: Cutpoints,
    class_weights: Option<Vec<f64>>,
    /// The units of a regression.
    targets: Option<TargetStatistics>,
}

/// A loss with its gradients, in closed form.
#[derive(Debug, Clone, PartialEq)]
pub struct LossGradients {
    /// The weighted sum over the batch, divided by the weight of the update.
    pub value: f64,
    /// The gradient by the outputs, row by row.
    pub outputs: Vec<f64>,
    /// The gradient by the parameters of the cutpoints; empty if the task has none.
    pub cutpoints: Vec<f64>,
}

impl LossSpec {
    /// The loss of a task; `class_weights` are one factor for each class.
    ///
    /// # Errors
    /// If the number of weights is not the number of classes, or one is not positive.
    pub fn new(spec: &TaskSpec, class_weights: Option<Vec<f64>>) -> Result<Self, SettingError> {
        if let Some(weights) = &class_weights {
            if spec.task == Task::Regression {
                return Err(SettingError::ClassWeightsOfRegression);
            }
            let is_positive = |weight: &f64| weight.is_finite() && *weight > 0.0;
            if weights.len() != spec.labels.len() || !weights.iter().all(is_positive) {
                return Err(SettingError::ClassWeights {
                    classes: spec.labels.len(),
                    found: weights.clone(),
                });
            }
        }
        Ok(Self {
            task: spec.task,
            link: spec.link,
            cutpoints: spec.cutpoints,
            class_weights,
            targets: spec.targets,
        })
    }

    /// Returns the weight of all targets of an update, which is the `total` of each of its batches:
    /// their number, or the sum of their class weights.
    ///
    /// ```
    /// use rtune_task::{Cutpoints, Decision, Link, Pooling, Target, Task, TaskSpec};
    /// use rtune_train::LossSpec;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let spec = TaskSpec {
    /// #     task: Task::Classification,
    /// #     labels: ["a", "b"].map(String::from).to_vec(),
    /// #     pooling: Pooling::Mean,
    /// #     link: Link::Logit,
    /// #     cutpoints: Cutpoints::Ordered,
    /// #     decision: Decision::Mode,
    /// #     targets: None,
    /// #     text_pairs: false,
    /// #     max_length: 8,
    /// # };
    /// let loss = LossSpec::new(&spec, Some(vec![1.0, 3.0]))?;
    /// let (logits, targets) = ([0.5, 0.0, 2.0, 1.0], [0, 1].map(Target::Class));
    /// let total = loss.total_weight(&targets);
    /// let whole = loss.compute(&logits, &[], &targets, total);
    /// let first = loss.compute(&logits[..2], &[], &targets[..1], total);
    /// let second = loss.compute(&logits[2..], &[], &targets[1..], total);
    /// assert_eq!(whole.value, first.value + second.value);
    /// # Ok(())
    /// # }
    /// ```
    pub fn total_weight<'a>(&self, targets: impl IntoIterator<Item = &'a Target>) -> f64 {
        targets.into_iter().map(|target| self.weight(*target)).sum()
    }

    /// Computes the loss of one batch: the sum over its targets, each by its share of `total`, the
    /// weight of the update that the batch is a part of. The losses and gradients of the batches of
    /// an update thus add up to those of one large batch.
    ///
    /// Ordinal: −log P(y = k) of the cumulative-link model (McCullagh, 1980). Classification:
    /// cross-entropy. Regression: squared error, in standardized units if the task has statistics
    /// of its targets.
    ///
    /// # Shapes
    /// outputs `[batch · columns]`, parameters of the cutpoints `[classes − 1]`
    pub fn compute(
        &self,
        outputs: &[f64],
        parameters: &[f64],
        targets: &[Target],
        total: f64,
    ) -> LossGradients {
        let columns = outputs.len() / targets.len().max(1);
        let mut loss = LossGradients {
            value: 0.0,
            outputs: vec![0.0; outputs.len()],
            cutpoints: vec![0.0; parameters.len()],
        };
        let cutpoints = match self.cutpoints {
            Cutpoints::Ordered => ordered_cutpoints(parameters),
            Cutpoints::Clipped => parameters.to_vec(),
        };
        let scale = OrdinalScale::new(cutpoints, self.link);
        for (row, target) in targets.iter().enumerate() {
            let weight = self.weight(*target) / total;
            let range = row * columns..(row + 1) * columns;
            let (outputs, gradient) = (&outputs[range.clone()], &mut loss.outputs[range]);
            loss.value += weight
                * match (self.task, target) {
                    (Task::Ordinal, Target::Class(class)) => {
                        let likelihood = scale.log_likelihood(outputs[0], *class);
                        gradient[0] = weight * (likelihood.by_upper + likelihood.by_lower);
                        if let Some(upper) = loss.cutpoints.get_mut(*class) {
                            *upper -= weight * likelihood.by_upper;
                        }
                        if let Some(lower) = class.checked_sub(1) {
                            loss.cutpoints[lower] -= weight * likelihood.by_lower;
                        }
                        -likelihood.value
                    }
                    (Task::Classification, Target::Class(class)) => {
                        cross_entropy(outputs, *class, weight, gradient)
                    }
                    (_, target) => {
                        let error = outputs[0] - self.number(*target);
                        gradient[0] = 2.0 * weight * error;
                        error * error
                    }
                };
        }
        if self.cutpoints == Cutpoints::Ordered {
            loss.cutpoints = through_order(parameters, &loss.cutpoints);
        }
        loss
    }

    /// Returns the number of a regression's target, in standardized units if it has such.
    pub(crate) fn number(&self, target: Target) -> f64 {
        match self.targets {
            Some(statistics) => statistics.standardize(target.number()),
            None => target.number(),
        }
    }

    fn weight(&self, target: Target) -> f64 {
        match (&self.class_weights, target) {
            (Some(weights), Target::Class(class)) => weights[class],
            _ => 1.0,
        }
    }

    /// Records the loss of a batch of a model on the tape; [`Array::number`](crate::Array::number)
    /// is its value. `total` is the weight of the update, as for [`LossSpec::compute`].
    ///
    /// # Shapes
    /// logits `[batch, outputs]` → scalar
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn on_tape(
        &self,
        tape: &Tape,
        model: &TextModel,
        logits: &TapeValue,
        targets: &[Target],
        total: f64,
    ) -> Result<TapeValue, NnError> {
        self.forward(tape, model.head().cutpoints(), logits, targets, total)
    }

    /// Returns each target's share of the weight of the update.
    pub(crate) fn shares(&self, targets: &[Target], total: f64) -> Vec<f64> {
        let weights = targets.iter().map(|target| self.weight(*target));
        weights.map(|weight| weight / total).collect()
    }

    pub(crate) fn task(&self) -> Task {
        self.task
    }

    pub(crate) fn link(&self) -> Link {
        self.link
    }

    pub(crate) fn cutpoints(&self) -> Cutpoints {
        self.cutpoints
    }
}

/// Turns gradients by the cutpoints into those by their parameters: c_k = p_0 + Σ softplus(p_j).
fn through_order(parameters: &[f64], gradients: &[f64]) -> Vec<f64> {
    let mut suffix = 0.0;
    let mut result: Vec<f64> = (0..parameters.len())
        .rev()
        .map(|index| {
            suffix += gradients[index];
            if index == 0 {
                suffix
            } else {
                suffix * Link::Logit.cumulative(parameters[index])
            }
        })
        .collect();
    result.reverse();
    result
}

fn cross_entropy(logits: &[f64], class: usize, weight: f64, gradient: &mut [f64]) -> f64 {
    let log_probabilities = log_softmax(logits);
    for (index, (gradient, log)) in gradient.iter_mut().zip(&log_probabilities).enumerate() {
        *gradient = weight * (log.exp() - f64::from(u8::from(index == class)));
    }
    -log_probabilities[class]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(link: Link, cutpoints: Cutpoints) -> LossSpec {
        LossSpec {
            task: Task::Ordinal,
            link,
            cutpoints,
            class_weights: None,
            targets: None,
        }
    }

    #[test]
    fn logit_matches_a_hand_computed_table() {
        // P = σ(1) − σ(−1) = 0.462117157; −log P = 0.771936.
        let loss = spec(Link::Logit, Cutpoints::Clipped).compute(
            &[0.0],
            &[-1.0, 1.0],
            &[Target::Class(1)],
            1.0,
        );
        assert!((loss.value - 0.771_936_832).abs() < 1e-8, "{}", loss.value);
        assert!(loss.outputs[0].abs() < 1e-12);
        let loss = spec(Link::Logit, Cutpoints::Clipped).compute(
            &[0.5],
            &[-1.0, 1.0],
            &[Target::Class(0)],
            1.0,
        );
        // −log σ(−1.5) = 1.701413278; its slope by the score is σ(1.5) = 0.817574476.
        assert!((loss.value - 1.701_413_278).abs() < 1e-8);
        assert!((loss.outputs[0] - 0.817_574_476).abs() < 1e-8);
    }

    #[test]
    fn gradients_match_finite_differences() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            for cutpoints in [Cutpoints::Ordered, Cutpoints::Clipped] {
                let spec = spec(link, cutpoints);
                let parameters = [-1.0, 0.4, 0.9];
                let scores = [0.3, -2.0, 1.1, 2.5];
                let targets = [
                    Target::Class(0),
                    Target::Class(1),
                    Target::Class(3),
                    Target::Class(2),
                ];
                let loss = spec.compute(&scores, &parameters, &targets, 4.0);
                let h = 1e-6;
                for index in 0..scores.len() {
                    let at = |d: f64| {
                        let mut moved = scores;
                        moved[index] += d;
                        spec.compute(&moved, &parameters, &targets, 4.0).value
                    };
                    let slope = (at(h) - at(-h)) / (2.0 * h);
                    assert!(
                        (slope - loss.outputs[index]).abs() < 1e-6,
                        "{link:?} score {index}"
                    );
                }
                for index in 0..parameters.len() {
                    let at = |d: f64| {
                        let mut moved = parameters;
                        moved[index] += d;
                        spec.compute(&scores, &moved, &targets, 4.0).value
                    };
                    let slope = (at(h) - at(-h)) / (2.0 * h);
                    assert!(
                        (slope - loss.cutpoints[index]).abs() < 1e-6,
                        "{link:?} {cutpoints:?} cutpoint {index}"
                    );
                }
            }
        }
    }

    #[test]
    fn is_finite_far_out() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog] {
            for score in [-300.0, 300.0] {
                for class in 0..3 {
                    let loss = spec(link, Cutpoints::Ordered).compute(
                        &[score],
                        &[-1.0, 0.5],
                        &[Target::Class(class)],
                        1.0,
                    );
                    let finite = |v: &f64| v.is_finite();
                    assert!(
                        loss.value.is_finite()
                            && loss.outputs.iter().all(finite)
                            && loss.cutpoints.iter().all(finite),
                        "{link:?} {score} {class}"
                    );
                }
            }
        }
    }

    #[test]
    fn wrong_class_far_out_still_pulls() {
        let loss = spec(Link::Logit, Cutpoints::Ordered).compute(
            &[300.0],
            &[-1.0, 0.5],
            &[Target::Class(1)],
            1.0,
        );
        assert!((loss.outputs[0] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn squared_error_is_in_the_units_of_the_task() {
        let loss = |targets| {
            let spec = LossSpec {
                task: Task::Regression,
                targets,
                ..spec(Link::Logit, Cutpoints::Ordered)
            };
            let loss = spec.compute(&[1.5], &[], &[Target::Number(20.0)], 1.0);
            (loss.value, loss.outputs[0])
        };
        assert_eq!(loss(None), (18.5 * 18.5, -37.0));
        let statistics = TargetStatistics {
            mean: 50.0,
            deviation: 30.0,
        };
        assert_eq!(loss(Some(statistics)), (6.25, 5.0));
    }

    #[test]
    fn cross_entropy_matches_its_closed_form() {
        let spec = LossSpec {
            task: Task::Classification,
            ..spec(Link::Logit, Cutpoints::Ordered)
        };
        let loss = spec.compute(&[0.0, 0.0, 0.0], &[], &[Target::Class(2)], 1.0);
        assert!((loss.value - 3.0_f64.ln()).abs() < 1e-12);
        assert!((loss.outputs[2] + 2.0 / 3.0).abs() < 1e-12);
    }
}
