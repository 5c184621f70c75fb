use crate::{Activation, Linear, Ops, Result, Var, parameters};

/// The feed-forward network of an encoder block: down(activation(up(x))).
#[derive(Debug, Clone)]
pub struct FeedForward {
    up: Linear,
    activation: Activation,
    down: Linear,
}

parameters!(FeedForward: up, down);

impl FeedForward {
    /// A network over given layers.
    pub fn new(up: Linear, activation: Activation, down: Linear) -> Self {
        Self {
            up,
            activation,
            down,
        }
    }

    /// Computes activation(up(x)).
    ///
    /// # Shapes
    /// xs `[.., width]` → `[.., inner]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn inner<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        self.activation.forward(&self.up.forward(xs)?)
    }

    /// Projects the result of [`FeedForward::inner`].
    ///
    /// # Shapes
    /// inner `[.., inner]` → `[.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn project<'a, O: Ops>(&self, inner: &Var<'a, O>) -> Result<Var<'a, O>> {
        self.down.forward(inner)
    }
}
