use candle_core::Tensor;
use std::sync::Arc;

/// A weight and its dotted name in the checkpoint.
#[derive(Debug, Clone)]
pub struct Param {
    name: Arc<str>,
    value: Tensor,
}

impl Param {
    /// A weight named `name`, such as `encoder.layer.0.output.dense.weight`.
    pub fn new(name: impl Into<Arc<str>>, value: Tensor) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }

    /// The name in the checkpoint.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of the module that owns the weight: the name without its last part.
    pub fn module(&self) -> &str {
        self.name
            .rsplit_once('.')
            .map_or(&self.name, |(module, _)| module)
    }

    /// The weight. An optimizer changes it in place; every clone of the tensor sees the change.
    pub fn value(&self) -> &Tensor {
        &self.value
    }
}
