use crate::{NnError, Ops, Result, Var};

/// The activation inside a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · Φ(x), with the error function; Hugging Face's `gelu`.
    Gelu,
    /// The approximation of [`Activation::Gelu`] with the hyperbolic tangent; Hugging Face's
    /// `gelu_new` and `gelu_pytorch_tanh`.
    GeluTanh,
    /// x · sigmoid(1.702 x); Hugging Face's `quick_gelu`.
    QuickGelu,
    /// max(x, 0).
    Relu,
    /// The square of [`Activation::Relu`]; Hugging Face's `relu2`.
    SquaredRelu,
    /// 1 / (1 + exp(−x)).
    Sigmoid,
    /// x · sigmoid(x); also called swish.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// Hugging Face's names.
const NAMES: [(&str, Activation); 14] = [
    ("gelu", Activation::Gelu),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_python", Activation::Gelu),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("relu2", Activation::SquaredRelu),
    ("sigmoid", Activation::Sigmoid),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
];

impl Activation {
    /// The activation with a name of Hugging Face. `key` is the key of `config.json` that holds it.
    ///
    /// # Errors
    /// If the activation is not supported.
    pub fn from_name(key: &str, name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, activation)| *activation).ok_or_else(|| {
            let known = NAMES.map(|(known, _)| known).join(", ");
            NnError::config(
                format!("{key} in config.json"),
                format!("`{name}` is not supported; supported are {known}"),
            )
        })
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
            Self::GeluTanh => xs.gelu(),
            Self::QuickGelu => xs * (xs * 1.702)?.sigmoid()?,
            Self::Relu => xs.relu(),
            Self::SquaredRelu => xs.relu()?.sqr(),
            Self::Sigmoid => xs.sigmoid(),
            Self::Silu => xs.silu(),
            Self::Tanh => xs.tanh(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Eager;
    use crate::layers::test_support::{assert_close, vector};

    #[test]
    fn names_select_the_function() -> Result<()> {
        // Values of PyTorch at −1 and 0.5.
        let cases = [
            ("gelu", [-0.158_655_26, 0.345_731_23]),
            ("gelu_accurate", [-0.158_808, 0.345_714]),
            ("gelu_fast", [-0.158_808, 0.345_714]),
            ("gelu_new", [-0.158_808, 0.345_714]),
            ("gelu_python", [-0.158_655_26, 0.345_731_23]),
            ("gelu_pytorch_tanh", [-0.158_808, 0.345_714]),
            ("gelu_python_tanh", [-0.158_808, 0.345_714]),
            ("quick_gelu", [-0.154_204_23, 0.350_388_44]),
            ("relu", [0.0, 0.5]),
            ("relu2", [0.0, 0.25]),
            ("sigmoid", [0.268_941_43, 0.622_459_35]),
            ("silu", [-0.268_941_43, 0.311_229_65]),
            ("swish", [-0.268_941_43, 0.311_229_65]),
            ("tanh", [-0.761_594_2, 0.462_117_16]),
        ];
        let ops = Eager::new();
        for (name, expected) in cases {
            let xs = Var::new(&ops, vector(&[-1.0, 0.5])?);
            assert_close(
                &Activation::from_name("hidden_act", name)?.forward(&xs)?,
                &expected,
            )?;
        }
        let error = Activation::from_name("activation", "mish").map(|_| ());
        let error = error.map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err(
                "activation in config.json: `mish` is not supported; supported are gelu, \
                 gelu_accurate, gelu_fast, gelu_new, gelu_python, gelu_pytorch_tanh, \
                 gelu_python_tanh, quick_gelu, relu, relu2, sigmoid, silu, swish, tanh"
                    .to_owned()
            )
        );
        Ok(())
    }
}
