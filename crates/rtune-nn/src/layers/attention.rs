use crate::{Attention, Linear, Param, Parameters, Result, SequenceOps, Var, parameters};
use candle_core::D;

/// The layers from which query, key and value of self-attention come.
#[derive(Debug, Clone)]
pub enum Projections {
    /// Query, key and value, a layer each: `[heads · head_dim, width]`, and twice
    /// `[kv_heads · head_dim, width]`.
    Separate(Box<[Linear; 3]>),
    /// One layer that gives query, key and value, one after the other:
    /// `[(heads + 2 · kv_heads) · head_dim, width]`.
    Stacked(Linear),
    /// One layer that gives for each head its query, key and value: `[3 · heads · head_dim,
    /// width]`.
    ByHead(Linear),
}

impl Projections {
    fn forward<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        attention: &Attention,
        sequences: &O::Sequences,
    ) -> Result<[Var<'a, O>; 3]> {
        let Attention {
            heads,
            kv_heads,
            head_dim,
            ..
        } = *attention;
        match self {
            Self::Separate(layers) => {
                let [query, key, value] = &**layers;
                Ok([
                    query.forward(hidden)?,
                    key.forward(hidden)?,
                    value.forward(hidden)?,
                ])
            }
            Self::Stacked(layer) => {
                let all = layer.forward(hidden)?;
                let (query, key) = (heads * head_dim, kv_heads * head_dim);
                let part = |start, width| all.narrow(D::Minus1, start, width);
                Ok([part(0, query)?, part(query, key)?, part(query + key, key)?])
            }
            Self::ByHead(layer) => {
                let all = layer.forward(hidden)?;
                let all = all.split_heads(heads, 3 * head_dim, sequences)?;
                let part = |index| {
                    let part = all.narrow(D::Minus1, index * head_dim, head_dim)?;
                    part.merge_heads(heads, head_dim, sequences)
                };
                Ok([part(0)?, part(1)?, part(2)?])
            }
        }
    }
}

impl Parameters for Projections {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        match self {
            Self::Separate(layers) => layers.iter().for_each(|layer| layer.visit(visit)),
            Self::Stacked(layer) | Self::ByHead(layer) => layer.visit(visit),
        }
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        match self {
            Self::Separate(layers) => layers.iter_mut().for_each(|layer| layer.visit_mut(visit)),
            Self::Stacked(layer) | Self::ByHead(layer) => layer.visit_mut(visit),
        }
    }
}

/// Multi-head self-attention with its projections (Vaswani et al., 2017).
#[derive(Debug, Clone)]
pub struct SelfAttention {
    projections: Projections,
    output: Linear,
    attention: Attention,
}

parameters!(SelfAttention: projections, output);

impl SelfAttention {
    /// Self-attention over given projections.
    ///
    /// # Shapes
    /// output `[width, heads · head_dim]`
    pub fn new(projections: Projections, output: Linear, attention: Attention) -> Self {
        Self {
            projections,
            output,
            attention,
        }
    }

    /// Mixes for each token the values of its sequence.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[tokens.., heads · head_dim]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn context<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        let [query, key, value] = self.project_in(hidden, sequences)?;
        query.attention(&key, &value, &self.attention, sequences)
    }

    /// The query, key and value of each token.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → `[tokens.., heads · head_dim]` and twice `[tokens.., kv_heads ·
    /// head_dim]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn project_in<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<[Var<'a, O>; 3]> {
        self.projections.forward(hidden, &self.attention, sequences)
    }

    /// The layers from which query, key and value come.
    pub fn projections(&self) -> &Projections {
        &self.projections
    }

    /// The constants of attention.
    pub fn constants(&self) -> &Attention {
        &self.attention
    }

    /// Projects the result of [`SelfAttention::context`] to the width of the encoder.
    ///
    /// # Shapes
    /// context `[tokens.., heads · head_dim]` → `[tokens.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn project<'a, O: SequenceOps>(&self, context: &Var<'a, O>) -> Result<Var<'a, O>> {
        self.output.forward(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::test_support::{assert_close, rows};
    use crate::{Eager, TokenSequences};
    use candle_core::{Device, Tensor};

    fn layer(rows: &[[f32; 2]]) -> Result<Linear> {
        let weight = Tensor::new(rows.concat(), &Device::Cpu)?.reshape((rows.len(), 2))?;
        Ok(Linear::new(Param::new("weight", weight), None))
    }

    /// Two heads of width 1: the same rows in the three arrangements.
    #[test]
    fn arrangements_of_the_same_rows_agree() -> Result<()> {
        let (q, k, v) = (
            [[1.0, 0.5], [-1.0, 2.0]],
            [[0.5, 1.0], [1.0, 1.0]],
            [[2.0, 0.0], [0.0, 3.0]],
        );
        let separate = Projections::Separate(Box::new([layer(&q)?, layer(&k)?, layer(&v)?]));
        let stacked = Projections::Stacked(layer(&[q, k, v].concat())?);
        let by_head = Projections::ByHead(layer(&[q[0], k[0], v[0], q[1], k[1], v[1]])?);
        let ops = Eager::new();
        let xs = Var::new(&ops, rows(&[[1.0, 0.0], [0.5, -1.0], [0.0, 2.0]])?);
        let sequences = TokenSequences::packed(&[0, 2, 3], &Device::Cpu)?;
        let attention = |projections| -> Result<_> {
            let attention = SelfAttention::new(projections, layer(&q)?, Attention::new(2, 1));
            attention.context(&xs, &sequences)
        };
        let expected = attention(separate)?
            .value()
            .flatten_all()?
            .to_vec1::<f32>()?;
        assert_close(&attention(stacked)?, &expected)?;
        assert_close(&attention(by_head)?, &expected)?;
        Ok(())
    }
}
