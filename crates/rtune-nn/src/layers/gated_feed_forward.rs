use crate::{Activation, Linear, Ops, Result, Var, parameters};
use candle_core::D;

/// The half of a packed layer that the activation applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateOrder {
    /// The first half: ModernBERT, NeoBERT, Jina.
    GateFirst,
    /// The second half: GTE.
    GateSecond,
}

/// A gated feed-forward network (Shazeer, 2020): down(activation(gate(x)) · up(x)).
#[derive(Debug, Clone)]
pub struct GatedFeedForward {
    first: Linear,
    second: Option<Linear>,
    order: GateOrder,
    inner: usize,
    activation: Activation,
    down: Linear,
}

parameters!(GatedFeedForward: first, second, down);

impl GatedFeedForward {
    /// A network with a layer for the gate and one for the values.
    ///
    /// # Shapes
    /// gate and up `[inner, width]`, down `[width, inner]`
    pub fn new(gate: Linear, up: Linear, activation: Activation, down: Linear) -> Self {
        Self {
            first: gate,
            second: Some(up),
            order: GateOrder::GateFirst,
            inner: 0,
            activation,
            down,
        }
    }

    /// A network whose gate and values are the two halves of one layer.
    ///
    /// # Shapes
    /// packed `[2 · inner, width]`, down `[width, inner]`
    pub fn packed(
        packed: Linear,
        order: GateOrder,
        inner: usize,
        activation: Activation,
        down: Linear,
    ) -> Self {
        Self {
            first: packed,
            second: None,
            order,
            inner,
            activation,
            down,
        }
    }

    /// Computes activation(gate(x)) · up(x).
    ///
    /// # Shapes
    /// xs `[.., width]` → `[.., inner]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn inner<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        let first = self.first.forward(xs)?;
        let (first, second) = match &self.second {
            Some(second) => (first, second.forward(xs)?),
            None => (
                first.narrow(D::Minus1, 0, self.inner)?,
                first.narrow(D::Minus1, self.inner, self.inner)?,
            ),
        };
        match self.order {
            GateOrder::GateFirst => self.activation.forward(&first)? * second,
            GateOrder::GateSecond => first * self.activation.forward(&second)?,
        }
    }

    /// Projects the result of [`GatedFeedForward::inner`].
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows, weights};
    use crate::{Eager, linear_no_bias};

    #[test]
    fn separate_and_packed_layers_agree() -> Result<()> {
        let (gate, up) = (
            rows(&[[1.0, 0.0], [0.0, -1.0]])?,
            rows(&[[2.0, 1.0], [3.0, 5.0]])?,
        );
        let both = |a: &candle_core::Tensor, b: &candle_core::Tensor| {
            candle_core::Tensor::cat(&[a, b], 0).map_err(crate::NnError::from)
        };
        let vb = weights(&[
            ("gate.weight", gate.clone()),
            ("up.weight", up.clone()),
            ("gate_up.weight", both(&gate, &up)?),
            ("up_gate.weight", both(&up, &gate)?),
            ("down.weight", rows(&[[1.0, 1.0]])?),
        ]);
        let load = |inputs, outputs, name: &str| linear_no_bias(inputs, outputs, vb.pp(name));
        let (relu, down) = (Activation::Relu, load(2, 1, "down")?);
        let networks = [
            GatedFeedForward::new(load(2, 2, "gate")?, load(2, 2, "up")?, relu, down.clone()),
            GatedFeedForward::packed(
                load(2, 4, "gate_up")?,
                GateOrder::GateFirst,
                2,
                relu,
                down.clone(),
            ),
            GatedFeedForward::packed(load(2, 4, "up_gate")?, GateOrder::GateSecond, 2, relu, down),
        ];
        let ops = Eager::new();
        // gate (3, −2) → (3, 0) after ReLU; up (8, 19); the product is (24, 0).
        let xs = Var::new(&ops, rows(&[[3.0, 2.0]])?);
        for network in networks {
            let inner = network.inner(&xs)?;
            assert_close(&inner, &[24.0, 0.0])?;
            assert_close(&network.project(&inner)?, &[24.0])?;
        }
        Ok(())
    }
}
