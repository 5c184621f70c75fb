//! Losses as operations of the tape, on the device of the logits.

use super::{Array, Tape, TapeValue};
use crate::LossSpec;
use candle_core::{D, Device, Tensor};
use rtune_nn::{NnError, Ops as _, Param, Result};
use rtune_task::{Cutpoints, Link, Target, Task};

/// A function of logits that training minimizes.
pub trait Loss {
    /// Records the loss of a batch: the sum over the targets, each by its share of `total`, the
    /// weight of the update. The result stays on the device of the logits; reading it is up to the
    /// caller.
    ///
    /// # Shapes
    /// logits `[batch, outputs]`, cutpoints `[classes − 1]` → scalar
    ///
    /// # Errors
    /// If the shapes do not fit or an operation fails.
    fn forward(
        &self,
        tape: &Tape,
        cutpoints: Option<&Param>,
        logits: &TapeValue,
        targets: &[Target],
        total: f64,
    ) -> Result<TapeValue>;
}

/// The loss of a batch and its gradients, ready to be recorded.
struct Computed {
    value: Array,
    outputs: Array,
    cutpoints: Option<Array>,
}

impl Loss for LossSpec {
    fn forward(
        &self,
        tape: &Tape,
        cutpoints: Option<&Param>,
        logits: &TapeValue,
        targets: &[Target],
        total: f64,
    ) -> Result<TapeValue> {
        let leaf = cutpoints.map(|param| tape.param(param)).transpose()?;
        let parameters = leaf.as_ref().map(TapeValue::array);
        let computed = if logits.array().is_host() {
            self.on_host(tape, parameters, logits.array(), targets, total)?
        } else {
            self.on_device(parameters, logits.array().tensor()?, targets, total)?
        };
        let mut inputs = vec![logits];
        inputs.extend(&leaf);
        let Computed {
            value,
            outputs,
            cutpoints,
        } = computed;
        Ok(tape.record_array(&inputs, value, move |gradient, flow| {
            let gradients = [Some(outputs), cutpoints];
            for (index, part) in gradients.into_iter().flatten().enumerate() {
                flow.add(index, || part.times(&gradient))?;
            }
            Ok(())
        }))
    }
}

fn widen(array: &Array) -> Result<Vec<f64>> {
    Ok(array
        .elements()?
        .iter()
        .map(|value| f64::from(*value))
        .collect())
}

impl LossSpec {
    /// Computes in double precision over the logits in memory.
    fn on_host(
        &self,
        tape: &Tape,
        parameters: Option<&Array>,
        logits: &Array,
        targets: &[Target],
        total: f64,
    ) -> Result<Computed> {
        let outputs = widen(logits)?;
        let known = parameters.map(widen).transpose()?;
        let loss = self.compute(&outputs, known.as_deref().unwrap_or(&[]), targets, total);
        let narrow = |dims: &[usize], values: &[f64]| {
            tape.filled(dims, |output| {
                output
                    .iter_mut()
                    .zip(values)
                    .for_each(|(output, value)| *output = *value as f32);
                Ok(())
            })
        };
        Ok(Computed {
            value: narrow(&[], &[loss.value])?,
            outputs: narrow(logits.dims(), &loss.outputs)?,
            cutpoints: parameters
                .map(|parameters| narrow(parameters.dims(), &loss.cutpoints))
                .transpose()?,
        })
    }

    /// Computes in single precision with candle operations; nothing is read from the device. The
    /// probit and cloglog links have no such form: their scores are read back.
    fn on_device(
        &self,
        parameters: Option<&Array>,
        logits: &Tensor,
        targets: &[Target],
        total: f64,
    ) -> Result<Computed> {
        let weights = self.shares(targets, total);
        let weights = column(&weights, logits.device())?;
        match (self.task(), parameters) {
            (Task::Classification, None) => classification(logits, &weights, targets),
            (Task::Regression, None) => {
                let numbers: Vec<f64> = targets.iter().map(|t| self.number(*t)).collect();
                regression(logits, &weights, &numbers)
            }
            (Task::Ordinal, Some(parameters)) if self.link() == Link::Logit => ordinal(
                self.cutpoints(),
                parameters.tensor()?,
                logits,
                &weights,
                targets,
            ),
            (Task::Ordinal, Some(parameters)) => {
                self.read_back(parameters.tensor()?, logits, targets, total)
            }
            (task, parameters) => Err(NnError::operation(format!(
                "the loss of {task:?} with {} cutpoints has no form",
                if parameters.is_some() { "its" } else { "no" }
            ))),
        }
    }
}

impl LossSpec {
    /// Computes the closed form of an ordinal loss over numbers read from the device, and writes
    /// the gradients back.
    fn read_back(
        &self,
        parameters: &Tensor,
        logits: &Tensor,
        targets: &[Target],
        total: f64,
    ) -> Result<Computed> {
        let read = |tensor: &Tensor| -> Result<Vec<f64>> {
            let values = tensor.flatten_all()?.to_vec1::<f32>()?;
            Ok(values.into_iter().map(f64::from).collect())
        };
        let write = |values: &[f64], like: &Tensor| -> Result<Array> {
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            Ok(Tensor::from_vec(values, like.shape(), like.device())?.into())
        };
        let loss = self.compute(&read(logits)?, &read(parameters)?, targets, total);
        Ok(Computed {
            value: Tensor::new(loss.value as f32, logits.device())?.into(),
            outputs: write(&loss.outputs, logits)?,
            cutpoints: Some(write(&loss.cutpoints, parameters)?),
        })
    }
}

fn column(values: &[f64], device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let rows = values.len();
    Ok(Tensor::from_vec(values, (rows, 1), device)?)
}

/// Returns rows with a 1 at the given place, or without one.
fn one_hot(
    places: impl ExactSizeIterator<Item = Option<usize>>,
    width: usize,
    device: &Device,
) -> Result<Tensor> {
    let rows = places.len();
    let mut values = vec![0.0_f32; rows * width];
    for (row, place) in places.enumerate() {
        if let Some(place) = place.filter(|place| *place < width) {
            values[row * width + place] = 1.0;
        }
    }
    Ok(Tensor::from_vec(values, (rows, width), device)?)
}

fn classification(logits: &Tensor, weights: &Tensor, targets: &[Target]) -> Result<Computed> {
    let classes = targets.iter().map(|target| target.class());
    let hits = one_hot(classes, logits.dim(D::Minus1)?, logits.device())?;
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let sum = shifted.exp()?.sum_keepdim(D::Minus1)?;
    let log = shifted.broadcast_sub(&sum.log()?)?;
    let gradient = (log.exp()? - &hits)?.broadcast_mul(weights)?;
    let value = (log * hits)?.broadcast_mul(weights)?.sum_all()?.neg()?;
    Ok(Computed {
        value: value.into(),
        outputs: gradient.into(),
        cutpoints: None,
    })
}

fn regression(logits: &Tensor, weights: &Tensor, numbers: &[f64]) -> Result<Computed> {
    let error = (logits - column(numbers, logits.device())?)?;
    let gradient = (error.mul(weights)? * 2.0)?;
    let value = error.sqr()?.mul(weights)?.sum_all()?;
    Ok(Computed {
        value: value.into(),
        outputs: gradient.into(),
        cutpoints: None,
    })
}

/// Returns ln(1 + e^x) without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok((x.relu()? + tail)?)
}

fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(((x * 0.5)?.tanh()? * 0.5)?.affine(1.0, 0.5)?)
}

/// Computes −ln P of the cumulative-link model with the logit link (McCullagh, 1980). With the
/// bounds u and l of a class, P = σ(u) − σ(l) = σ(u) · σ(−l) · (1 − e^(l−u)).
fn ordinal(
    cutpoints: Cutpoints,
    parameters: &Tensor,
    scores: &Tensor,
    weights: &Tensor,
    targets: &[Target],
) -> Result<Computed> {
    let (count, device) = (parameters.elem_count(), scores.device());
    let classes = || targets.iter().map(|target| target.class());
    let upper = one_hot(classes(), count, device)?;
    let lower = one_hot(classes().map(|class| class?.checked_sub(1)), count, device)?;
    // Ordered cutpoints are running sums of softplus, the first parameter as it is.
    let first = one_hot((0..count).map(|row| (row == 0).then_some(0)), 1, device)?;
    let parameters = parameters.reshape((count, 1))?;
    let running = Tensor::tril2(count, scores.dtype(), device)?;
    let values = match cutpoints {
        Cutpoints::Clipped => parameters.clone(),
        Cutpoints::Ordered => {
            let gaps = softplus(&parameters)?;
            let steps = (gaps.clone() + ((&parameters - gaps)? * &first)?)?;
            running.matmul(&steps)?
        }
    };
    let [has_upper, has_lower] = [upper.sum_keepdim(1)?, lower.sum_keepdim(1)?];
    let u = (upper.matmul(&values)? - scores)?;
    let l = (lower.matmul(&values)? - scores)?;
    // Without a bound on one side the distance counts as far enough for e^(−d) to vanish.
    let both = (&has_upper * &has_lower)?;
    let distance = (((&u - &l)? * &both)? + both.affine(-200.0, 200.0)?)?;
    let decay = distance.neg()?.exp()?;
    let rest = decay.affine(-1.0, 1.0)?;
    let ratio = decay.div(&rest)?;
    let by_upper = ((sigmoid(&u.neg()?)? * &has_upper)? + &ratio)?.mul(weights)?;
    let by_lower = ((sigmoid(&l)? * &has_lower)? + &ratio)?
        .neg()?
        .mul(weights)?;
    let far = ((softplus(&u.neg()?)? * &has_upper)? + (softplus(&l)? * &has_lower)?)?;
    let value = (far - rest.log()?)?.mul(weights)?.sum_all()?;
    let outputs = (&by_upper + &by_lower)?;
    let by_values = (upper.t()?.matmul(&by_upper)? + lower.t()?.matmul(&by_lower)?)?.neg()?;
    let by_parameters = match cutpoints {
        Cutpoints::Clipped => by_values,
        Cutpoints::Ordered => {
            let slope = sigmoid(&parameters)?;
            let slope = (&slope + (slope.affine(-1.0, 1.0)? * &first)?)?;
            running.t()?.matmul(&by_values)?.mul(&slope)?
        }
    };
    Ok(Computed {
        value: value.into(),
        outputs: outputs.into(),
        cutpoints: Some(by_parameters.reshape(count)?.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, Pooling, TargetStatistics, TaskSpec};

    fn assert_close(found: &Array, expected: &Array, place: &str) {
        let (found, expected) = (found.tensor().unwrap(), expected.tensor().unwrap());
        assert_eq!(found.dims(), expected.dims(), "{place}");
        let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let expected = expected.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 2e-6,
                "{place}: {found}, expected {expected}"
            );
        }
    }

    /// The form for devices agrees with the closed form in double precision.
    #[test]
    fn the_form_for_devices_agrees_with_the_closed_form() {
        let tensor = |values: &[f32], dims: &[usize]| {
            Array::from(Tensor::from_slice(values, dims, &Device::Cpu).unwrap())
        };
        let scores = tensor(&[0.3, -2.0, 1.1, 2.5], &[4, 1]);
        let classes = [0, 1, 3, 2].map(Target::Class);
        let cases = [
            (
                Link::Logit,
                Task::Ordinal,
                Cutpoints::Ordered,
                scores.clone(),
                classes,
            ),
            (
                Link::Logit,
                Task::Ordinal,
                Cutpoints::Clipped,
                scores.clone(),
                classes,
            ),
            (
                Link::Probit,
                Task::Ordinal,
                Cutpoints::Ordered,
                scores.clone(),
                classes,
            ),
            (
                Link::Cloglog,
                Task::Ordinal,
                Cutpoints::Clipped,
                scores.clone(),
                classes,
            ),
            (
                Link::Logit,
                Task::Classification,
                Cutpoints::Ordered,
                tensor(
                    &[
                        0.1, 3.0, -1.0, 0.5, 2.0, 2.0, 0.0, 1.0, 9.0, -9.0, 0.2, 0.3, 1., 2., 3.,
                        4.,
                    ],
                    &[4, 4],
                ),
                classes,
            ),
            (
                Link::Logit,
                Task::Regression,
                Cutpoints::Ordered,
                scores,
                [0.5, -1.0, 2.0, 3.0].map(Target::Number),
            ),
        ];
        for (link, task, cutpoints, logits, targets) in cases {
            let spec = TaskSpec {
                task,
                labels: ["a", "b", "c", "d"].map(String::from).to_vec(),
                pooling: Pooling::Mean,
                link,
                cutpoints,
                decision: Decision::default(),
                targets: (task == Task::Regression).then_some(TargetStatistics {
                    mean: 0.5,
                    deviation: 2.0,
                }),
                text_pairs: false,
                max_length: 8,
            };
            let weights = (task != Task::Regression).then(|| vec![1.0, 2.0, 0.5, 1.5]);
            let loss = LossSpec::new(&spec, weights).unwrap();
            // The batch is a part of a larger update.
            let total = loss.total_weight(&targets) + 1.5;
            let parameters = (task == Task::Ordinal).then(|| tensor(&[-1.0, 0.4, 0.9], &[3]));
            let tape = Tape::new();
            let expected = loss
                .on_host(&tape, parameters.as_ref(), &logits, &targets, total)
                .unwrap();
            let tensor = logits.tensor().unwrap();
            let found = loss
                .on_device(parameters.as_ref(), tensor, &targets, total)
                .unwrap();
            let place = format!("{link:?} {task:?} {cutpoints:?}");
            assert_close(&found.value, &expected.value, &place);
            assert_close(&found.outputs, &expected.outputs, &place);
            if let (Some(found), Some(expected)) = (&found.cutpoints, &expected.cutpoints) {
                assert_close(found, expected, &place);
            }
        }
    }
}
