//! Operators that the vocabulary lacks.

use super::{Tape, TapeValue};
use candle_core::Tensor;
use rtune_nn::{CustomOp, NnError, Result};

impl Tape {
    pub(super) fn record_custom(
        &self,
        op: &CustomOp,
        inputs: &[&TapeValue],
    ) -> Result<Vec<TapeValue>> {
        let tensors = inputs
            .iter()
            .map(|x| x.tensor().cloned())
            .collect::<Result<Vec<Tensor>>>()?;
        let outputs = op.compute(&tensors)?;
        if inputs.iter().all(|x| x.node.is_none()) {
            return Ok(outputs.into_iter().map(TapeValue::constant).collect());
        }
        let refuse =
            |problem: &str| NnError::operation(format!("custom operator {}: {problem}", op.name()));
        let backward = op.backward().cloned().ok_or_else(|| {
            refuse("has no gradient; give it a backward function, or use it outside training")
        })?;
        let [output] = outputs.as_slice() else {
            return Err(refuse(
                "has several outputs, which training does not support",
            ));
        };
        let result = output.clone();
        let name = op.name().to_owned();
        let value = self.record(inputs, output.clone(), move |gradient, flow| {
            let gradients = backward(&tensors, &result, gradient)?;
            for (index, x) in tensors.iter().enumerate() {
                flow.add(index, || match gradients.get(index).cloned().flatten() {
                    Some(gradient) if gradient.dims() == x.dims() => Ok(gradient),
                    Some(gradient) => Err(NnError::operation(format!(
                        "custom operator {name}: the gradient of input {index} has shape {:?}, \
                         the input {:?}",
                        gradient.dims(),
                        x.dims()
                    ))),
                    None => Ok(x.zeros_like()?),
                })?;
            }
            Ok(())
        });
        Ok(vec![value])
    }
}
