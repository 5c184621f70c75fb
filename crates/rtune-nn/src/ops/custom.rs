use crate::{Kind, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An attribute of a [`CustomOp`].
#[derive(Debug, Clone, PartialEq)]
pub enum CustomAttribute {
    /// One integer.
    Int(i64),
    /// Integers.
    Ints(Vec<i64>),
    /// One float.
    Float(f32),
    /// Floats.
    Floats(Vec<f32>),
    /// Text.
    String(String),
}

/// One dimension of an output of a [`CustomOp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputSize {
    /// This size.
    Exact(usize),
    /// The size of an axis of an input.
    Of {
        /// The index of the input.
        input: usize,
        /// The axis of that input.
        axis: usize,
    },
    /// Known only when the graph runs.
    Unknown,
}

/// The type and shape of an output of a [`CustomOp`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputFact {
    /// The type and shape of the input with this index.
    Like(usize),
    /// This kind of elements in these dimensions.
    Is {
        /// The kind of the elements.
        kind: Kind,
        /// The dimensions.
        shape: Vec<OutputSize>,
    },
}

/// Computes outputs from inputs.
type Forward = dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync;
/// Computes gradients of inputs from inputs, the output and its gradient.
type Backward = dyn Fn(&[Tensor], &Tensor, &Tensor) -> Result<Vec<Option<Tensor>>> + Send + Sync;

/// An ONNX operator that the vocabulary lacks: any operator of any domain, with the function that
/// computes it.
///
/// It runs in [`Eager`](crate::Eager) and is recorded as one node. On a tape it needs
/// [`CustomOp::backward`] if an input needs a gradient.
///
/// ```
/// use rtune_nn::{CustomOp, Eager, Ops as _, OutputFact};
/// use candle_core::{Device, Tensor};
///
/// let mish = CustomOp::new("", "Mish", 18, [OutputFact::Like(0)], |x| {
///     let softplus = (x[0].exp()? + 1.0)?.log()?;
///     Ok(vec![(&x[0] * softplus.tanh()?)?])
/// });
/// let x = Tensor::new(&[0_f32, 1.0], &Device::Cpu)?;
/// let y = Eager::new().custom(&mish, &[&x])?;
/// assert!((y[0].to_vec1::<f32>()?[1] - 0.865_098).abs() < 1e-5);
/// # Ok::<(), rtune_nn::NnError>(())
/// ```
#[derive(Clone)]
pub struct CustomOp {
    domain: String,
    name: String,
    opset: i64,
    attributes: BTreeMap<String, CustomAttribute>,
    outputs: Vec<OutputFact>,
    forward: Arc<Forward>,
    backward: Option<Arc<Backward>>,
}

impl CustomOp {
    /// The operator `name` of `domain` (empty for the standard), as operator set `opset` of that
    /// domain defines it. `eager` computes the outputs; `outputs` says their types and shapes.
    pub fn new(
        domain: impl Into<String>,
        name: impl Into<String>,
        opset: i64,
        outputs: impl IntoIterator<Item = OutputFact>,
        eager: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            domain: domain.into(),
            name: name.into(),
            opset,
            attributes: BTreeMap::new(),
            outputs: outputs.into_iter().collect(),
            forward: Arc::new(eager),
            backward: None,
        }
    }

    /// Sets one attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: CustomAttribute) -> Self {
        self.attributes.insert(name.into(), value);
        self
    }

    /// Sets the gradient of an operator with one output: from the inputs, the output and its
    /// gradient to the gradient of each input, `None` for inputs without one.
    #[must_use]
    pub fn with_backward(
        mut self,
        backward: impl Fn(&[Tensor], &Tensor, &Tensor) -> Result<Vec<Option<Tensor>>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.backward = Some(Arc::new(backward));
        self
    }

    /// The domain of the operator; empty for the standard.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The operator.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The operator set of the domain that defines the operator.
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The attributes by name.
    pub fn attributes(&self) -> &BTreeMap<String, CustomAttribute> {
        &self.attributes
    }

    /// The types and shapes of the outputs.
    pub fn outputs(&self) -> &[OutputFact] {
        &self.outputs
    }

    /// Computes the outputs.
    ///
    /// # Errors
    /// If the eager function fails, or returns another number of outputs than stated.
    pub fn compute(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let outputs = (self.forward)(inputs)?;
        if outputs.len() != self.outputs.len() {
            return Err(crate::NnError::operation(format!(
                "custom operator {}: {} outputs are stated, the eager function returned {}",
                self.name,
                self.outputs.len(),
                outputs.len()
            )));
        }
        Ok(outputs)
    }

    /// The gradient function, if there is one.
    pub fn backward(&self) -> Option<&Arc<Backward>> {
        self.backward.as_ref()
    }
}

impl fmt::Debug for CustomOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomOp")
            .field("domain", &self.domain)
            .field("name", &self.name)
            .field("opset", &self.opset)
            .field("attributes", &self.attributes)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}
