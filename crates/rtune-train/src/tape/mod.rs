//! Reverse-mode differentiation over candle storage.

mod activation;
mod binary;
mod custom;
mod index;
mod layout;
mod linear;
mod norm;
mod ops;
mod reduce;
mod sequence;
mod unary;

use candle_core::Tensor;
use rtune_nn::Result;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Gradients by the name of the parameter.
pub type Gradients = BTreeMap<String, Tensor>;

/// How an operation's incoming gradient flows on.
type Backward = Box<dyn FnOnce(&Tensor, &mut Flow<'_>) -> Result<()>>;

struct Step {
    /// The nodes that the operation read; `None` where no gradient is needed.
    inputs: Vec<Option<usize>>,
    backward: Option<Backward>,
}

/// An interpreter that computes with candle and notes, for each operation, how gradients flow back.
#[derive(Default)]
pub struct Tape {
    steps: RefCell<Vec<Step>>,
    params: RefCell<BTreeMap<String, usize>>,
    /// The key of this step's dropout; without one, dropout is the identity.
    dropout: Option<u64>,
    dropouts: Cell<u64>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape")
            .field("steps", &self.steps.borrow().len())
            .finish_non_exhaustive()
    }
}

/// A tensor on a tape.
#[derive(Debug, Clone)]
pub struct TapeValue {
    tensor: Tensor,
    node: Option<usize>,
}

impl TapeValue {
    /// A value that needs no gradient, such as token ids.
    pub fn constant(tensor: Tensor) -> Self {
        Self { tensor, node: None }
    }

    /// The tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

/// Collects what flows to the inputs of one operation.
pub(crate) struct Flow<'a> {
    inputs: &'a [Option<usize>],
    gradients: &'a mut Vec<Option<Tensor>>,
}

impl Flow<'_> {
    /// Adds to the gradient of input `index`, computed only where it is needed.
    pub(crate) fn add(
        &mut self,
        index: usize,
        gradient: impl FnOnce() -> Result<Tensor>,
    ) -> Result<()> {
        let Some(node) = self.inputs[index] else {
            return Ok(());
        };
        let gradient = gradient()?;
        let slot = &mut self.gradients[node];
        *slot = Some(match slot.take() {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        });
        Ok(())
    }
}

impl Tape {
    /// A tape without dropout.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tape with dropout; the same seed and step drop the same elements.
    pub fn with_dropout(seed: u64, step: u64) -> Self {
        let key =
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self {
            dropout: Some(key),
            ..Self::default()
        }
    }

    /// Notes an operation; `backward` runs only where an input needs a gradient.
    pub(crate) fn record(
        &self,
        inputs: &[&TapeValue],
        output: Tensor,
        backward: impl FnOnce(&Tensor, &mut Flow<'_>) -> Result<()> + 'static,
    ) -> TapeValue {
        let inputs: Vec<_> = inputs.iter().map(|value| value.node).collect();
        if inputs.iter().all(Option::is_none) {
            return TapeValue::constant(output);
        }
        let mut steps = self.steps.borrow_mut();
        steps.push(Step {
            inputs,
            backward: Some(Box::new(backward)),
        });
        TapeValue {
            tensor: output,
            node: Some(steps.len() - 1),
        }
    }

    /// A leaf under a name; the same one for the same name.
    fn leaf(&self, name: &str, tensor: &Tensor) -> TapeValue {
        let mut params = self.params.borrow_mut();
        let node = *params.entry(name.to_owned()).or_insert_with(|| {
            let mut steps = self.steps.borrow_mut();
            steps.push(Step {
                inputs: Vec::new(),
                backward: None,
            });
            steps.len() - 1
        });
        TapeValue {
            tensor: tensor.clone(),
            node: Some(node),
        }
    }

    fn next_dropout(&self) -> Option<u64> {
        let count = self.dropouts.get() + 1;
        self.dropouts.set(count);
        self.dropout
            .map(|key| key ^ count.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// The gradients of the sum of `value`'s elements for all parameters that it depends on. What
    /// the tape holds is freed on the way.
    ///
    /// # Errors
    /// Where a tensor operation fails.
    pub fn backward(self, value: &TapeValue) -> Result<Gradients> {
        let mut steps = self.steps.into_inner();
        let mut gradients: Vec<Option<Tensor>> = vec![None; steps.len()];
        if let Some(node) = value.node {
            gradients[node] = Some(value.tensor.ones_like()?);
        }
        let mut found = Gradients::new();
        let mut leaves: BTreeMap<usize, String> = self
            .params
            .into_inner()
            .into_iter()
            .map(|(n, i)| (i, n))
            .collect();
        while let Some(step) = steps.pop() {
            let node = steps.len();
            let Some(gradient) = gradients[node].take() else {
                continue;
            };
            match step.backward {
                Some(backward) => backward(
                    &gradient,
                    &mut Flow {
                        inputs: &step.inputs,
                        gradients: &mut gradients,
                    },
                )?,
                None => {
                    if let Some(name) = leaves.remove(&node) {
                        found.insert(name, gradient);
                    }
                }
            }
        }
        Ok(found)
    }
}
