use crate::{NnError, Ops, Result};

/// The activation of a feed-forward layer, by its Hugging Face name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it all.
pub enum Activation {
    Gelu,
    Relu,
    Tanh,
}

impl Activation {
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        match name {
            "gelu" => Ok(Self::Gelu),
            "relu" => Ok(Self::Relu),
            "tanh" => Ok(Self::Tanh),
            other => Err(NnError::config(
                "hidden_act in config.json",
                format!("`{other}` is not supported; supported are gelu, relu and tanh"),
            )),
        }
    }

    /// # Shapes
    /// x `[..]` → the same
    ///
    /// # Errors
    /// As the interpreter sees fit.
    pub fn forward<O: Ops>(self, ops: &O, x: &O::Value) -> Result<O::Value> {
        match self {
            Self::Gelu => ops.gelu(x),
            Self::Relu => ops.relu(x),
            Self::Tanh => ops.tanh(x),
        }
    }
}
