use crate::{NnError, Ops, Result, Var};

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

    /// Applies the activation to each element.
    ///
    /// # Shapes
    /// xs `[..]` → the same
    ///
    /// # Errors
    /// If the interpreter cannot do it.
    pub fn forward<'a, O: Ops>(self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Gelu => xs.gelu_erf(),
            Self::Relu => xs.relu(),
            Self::Tanh => xs.tanh(),
        }
    }
}
