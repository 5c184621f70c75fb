//! Reverse-mode differentiation.
//!
//! On the CPU, operations of encoders run on `rtune-kernels` over buffers of an [`Arena`]. Other
//! operations, and other devices, run on candle.

mod activation;
mod arena;
mod array;
mod attention;
mod binary;
mod custom;
mod flow;
mod formulas;
mod index;
mod layout;
mod linear;
mod loss;
mod memory;
mod norm;
mod ops;
mod reduce;
mod sequence;
mod unary;

pub use arena::{Arena, Buffer};
pub use array::{Array, Elements};
pub(crate) use array::{elements, kernel};
pub(crate) use flow::{Flow, Target};
pub use loss::Loss;

use candle_core::Tensor;
use rtune_kernels::KernelError;
use rtune_nn::{Param, Result};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Gradients by the name of the parameter.
pub type Gradients = BTreeMap<String, Array>;

/// The way of an operation's incoming gradient to its inputs.
type Backward = Box<dyn FnOnce(Array, &mut Flow<'_>) -> Result<()>>;

struct Step {
    /// The nodes that the operation read; `None` if no gradient is needed.
    inputs: Vec<Option<usize>>,
    backward: Option<Backward>,
}

/// An interpreter that computes, and records for each operation how gradients flow back.
pub struct Tape {
    steps: RefCell<Vec<Step>>,
    params: RefCell<BTreeMap<String, usize>>,
    /// The key of this step's dropout; without one, dropout is the identity.
    dropout: Option<u64>,
    dropouts: Cell<u64>,
    /// False if the tape only computes.
    recording: bool,
    arena: Arena,
}

impl Default for Tape {
    fn default() -> Self {
        Self {
            steps: RefCell::default(),
            params: RefCell::default(),
            dropout: None,
            dropouts: Cell::default(),
            recording: true,
            arena: Arena::new(),
        }
    }
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
    array: Array,
    node: Option<usize>,
}

impl TapeValue {
    /// Returns a value that needs no gradient, such as token ids.
    pub fn constant<A: Into<Array>>(tensor: A) -> Self {
        Self {
            array: tensor.into(),
            node: None,
        }
    }

    /// Returns the value.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// Returns the value as a candle tensor.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    pub fn tensor(&self) -> Result<&Tensor> {
        self.array.tensor()
    }
}

impl Tape {
    /// Returns a tape without dropout.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a tape with dropout; the same seed and step drop the same elements.
    pub fn with_dropout(seed: u64, step: u64) -> Self {
        let key =
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd1b5_4a32_d192_ed03);
        Self {
            dropout: Some(key),
            ..Self::default()
        }
    }

    /// Returns a tape that computes without dropout and records nothing, as for an evaluation.
    pub fn without_gradients() -> Self {
        Self {
            recording: false,
            ..Self::default()
        }
    }

    /// Takes memory from an arena that other tapes used before.
    #[must_use]
    pub fn in_arena(self, arena: &Arena) -> Self {
        Self {
            arena: arena.clone(),
            ..self
        }
    }

    /// Records an operation; `backward` runs only if an input needs a gradient.
    pub(crate) fn record(
        &self,
        inputs: &[&TapeValue],
        output: impl Into<Array>,
        backward: impl FnOnce(&Tensor, &mut Flow<'_>) -> Result<()> + 'static,
    ) -> TapeValue {
        self.record_array(inputs, output, move |gradient, flow| {
            backward(gradient.tensor()?, flow)
        })
    }

    /// As [`Tape::record`], for a gradient in either form.
    pub(crate) fn record_array(
        &self,
        inputs: &[&TapeValue],
        output: impl Into<Array>,
        backward: impl FnOnce(Array, &mut Flow<'_>) -> Result<()> + 'static,
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
            array: output.into(),
            node: Some(steps.len() - 1),
        }
    }

    /// Returns an array that a kernel fills.
    fn filled(
        &self,
        dims: &[usize],
        fill: impl FnOnce(&mut [f32]) -> Result<(), KernelError>,
    ) -> Result<Array> {
        let mut buffer = self.arena.take(dims.iter().product());
        fill(&mut buffer).map_err(kernel)?;
        Ok(Array::new(dims, buffer))
    }

    /// Returns a parameter as a leaf; the same one for the same name.
    fn leaf(&self, param: &Param) -> TapeValue {
        let array = Array::from(param.value().clone());
        if !self.recording {
            return TapeValue::constant(array);
        }
        let mut params = self.params.borrow_mut();
        let node = *params.entry(param.name().to_owned()).or_insert_with(|| {
            let mut steps = self.steps.borrow_mut();
            steps.push(Step {
                inputs: Vec::new(),
                backward: None,
            });
            steps.len() - 1
        });
        TapeValue {
            array,
            node: Some(node),
        }
    }

    fn next_dropout(&self) -> Option<u64> {
        let count = self.dropouts.get() + 1;
        self.dropouts.set(count);
        self.dropout
            .map(|key| key ^ count.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// Returns the gradients of the sum of `value`'s elements for all parameters that it depends
    /// on. Memory is given back on the way.
    ///
    /// # Errors
    /// If an operation fails.
    pub fn backward(self, value: &TapeValue) -> Result<Gradients> {
        let mut found = Gradients::new();
        let Some(node) = value.node else {
            return Ok(found);
        };
        let mut steps = self.steps.into_inner();
        let mut gradients: Vec<Option<Array>> = vec![None; steps.len()];
        gradients[node] = Some(ones(&value.array, &self.arena)?);
        let params = self.params.into_inner().into_iter();
        let mut leaves: BTreeMap<usize, String> = params.map(|(name, node)| (node, name)).collect();
        while let Some(step) = steps.pop() {
            let node = steps.len();
            let Some(gradient) = gradients[node].take() else {
                continue;
            };
            let Some(backward) = step.backward else {
                found.extend(leaves.remove(&node).map(|name| (name, gradient)));
                continue;
            };
            let (inputs, gradients, arena) = (&step.inputs, &mut gradients, &self.arena);
            backward(
                gradient,
                &mut Flow {
                    inputs,
                    gradients,
                    arena,
                },
            )?;
        }
        Ok(found)
    }
}

/// Returns the gradient of a sum by its own elements.
fn ones(like: &Array, arena: &Arena) -> Result<Array> {
    if !like.is_host() {
        return Ok(like.tensor()?.ones_like()?.into());
    }
    let mut buffer = arena.take(like.elem_count());
    buffer.fill(1.0);
    Ok(Array::new(like.dims(), buffer))
}
