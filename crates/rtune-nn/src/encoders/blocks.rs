use crate::encoders::form::Network;
use crate::encoders::{BlockForm, BlockNames};
use crate::{
    Activation, Attention, Norm, Result, SelfAttention, SequenceOps, Var, linear_b, parameters,
};
use candle_nn::VarBuilder;

/// The sizes and rates of an encoder block.
#[derive(Debug, Clone)]
pub struct BlockConfig {
    /// The width of a token's vector.
    pub width: usize,
    /// The width inside the feed-forward network.
    pub inner: usize,
    /// The constants of attention, with the dropout of its weights.
    pub attention: Attention,
    /// The activation inside the feed-forward network.
    pub activation: Activation,
    /// The number added to the variance in normalizations.
    pub epsilon: f64,
    /// The dropout rate of the projected attention.
    pub attention_dropout: f64,
    /// The dropout rate of the feed-forward network's output.
    pub dropout: f64,
}

/// The order of normalizations and residual connections in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOrder {
    /// After each residual connection, as in BERT:
    /// a = norm(x + attention(x)), y = norm(a + feed_forward(a)).
    PostNorm,
    /// Before each part, as in ModernBERT:
    /// a = x + attention(norm(x)), y = a + feed_forward(norm(a)).
    PreNorm,
}

/// Attention and a feed-forward network, each with a normalization and a residual connection.
#[derive(Debug, Clone)]
pub struct Block {
    order: BlockOrder,
    attention: SelfAttention,
    attention_norm: Option<Norm>,
    feed_forward: Network,
    feed_forward_norm: Norm,
    attention_dropout: f64,
    inner_dropout: f64,
    dropout: f64,
    paths: Paths,
}

parameters!(Block: attention, attention_norm, feed_forward, feed_forward_norm);

/// The module paths under which the results of a block are named.
#[derive(Debug, Clone)]
struct Paths {
    attention: String,
    attention_output: String,
    up: String,
    down: String,
}

impl Paths {
    /// The paths of the modules that hold the linear layers.
    fn new(names: &BlockNames, block: &str) -> Self {
        let parent = |name: &str| match name.rsplit_once('.') {
            Some((parent, _)) => format!("{block}.{parent}"),
            None => block.to_owned(),
        };
        Self {
            attention: parent(names.query),
            attention_output: parent(names.attention_output),
            up: parent(names.up),
            down: parent(names.down),
        }
    }
}

impl Block {
    /// A block at the path of `vb` with BERT's modules.
    ///
    /// # Errors
    /// If a parameter cannot be loaded.
    pub fn load(
        order: BlockOrder,
        config: &BlockConfig,
        names: &BlockNames,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        Self::load_as(&BlockForm::default(), order, config, names, vb)
    }

    /// A block at the path of `vb` with the modules of `form`.
    ///
    /// # Errors
    /// If a parameter cannot be loaded.
    pub fn load_as(
        form: &BlockForm,
        order: BlockOrder,
        config: &BlockConfig,
        names: &BlockNames,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let width = config.width;
        let norm = |name: &str| form.norm.load(width, config.epsilon, vb.pp(name));
        // Parameters are loaded in the order in which missing ones are reported.
        let projections = form.projections(config, names, vb)?;
        let heads = config.attention.heads * config.attention.head_dim;
        let output = vb.pp(names.attention_output);
        let output = linear_b(heads, width, form.biases.attention_output, output)?;
        let attention_norm = form
            .has_attention_norm
            .then(|| norm(names.attention_norm))
            .transpose()?;
        Ok(Self {
            order,
            attention: SelfAttention::new(projections, output, config.attention.clone()),
            attention_norm,
            feed_forward: form.network(config, names, vb)?,
            feed_forward_norm: norm(names.feed_forward_norm)?,
            attention_dropout: config.attention_dropout,
            inner_dropout: form.inner_dropout,
            dropout: config.dropout,
            paths: Paths::new(names, &vb.prefix()),
        })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        sequences: &O::Sequences,
    ) -> Result<Var<'a, O>> {
        self.forward_with(hidden, |attention, xs| attention.context(xs, sequences))
    }

    /// Applies the block with another form of attention: `context` computes what
    /// [`SelfAttention::context`] does.
    ///
    /// # Shapes
    /// hidden `[tokens.., width]` → the same
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_with<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        context: impl FnOnce(&SelfAttention, &Var<'a, O>) -> Result<Var<'a, O>>,
    ) -> Result<Var<'a, O>> {
        match self.order {
            BlockOrder::PostNorm => {
                let attended = self.attend(hidden, hidden, context)?;
                let attended = self.normalize(&attended)?;
                let output = self.feed_forward(&attended, &attended)?;
                self.feed_forward_norm.forward(&output)
            }
            BlockOrder::PreNorm => {
                let normal = self.normalize(hidden)?;
                let attended = self.attend(&normal, hidden, context)?;
                let normal = self.feed_forward_norm.forward(&attended)?;
                self.feed_forward(&normal, &attended)
            }
        }
    }

    /// Applies the normalization of attention, if there is one.
    fn normalize<'a, O: SequenceOps>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        match &self.attention_norm {
            Some(norm) => norm.forward(xs),
            None => Ok(xs.clone()),
        }
    }

    /// Computes attention(xs) + residual.
    fn attend<'a, O: SequenceOps>(
        &self,
        xs: &Var<'a, O>,
        residual: &Var<'a, O>,
        context: impl FnOnce(&SelfAttention, &Var<'a, O>) -> Result<Var<'a, O>>,
    ) -> Result<Var<'a, O>> {
        let context = {
            let _scope = xs.ops().scope(&self.paths.attention);
            context(&self.attention, xs)?
        };
        let _scope = xs.ops().scope(&self.paths.attention_output);
        self.attention
            .project(&context)?
            .dropout(self.attention_dropout)?
            + residual
    }

    /// Computes feed_forward(xs) + residual.
    fn feed_forward<'a, O: SequenceOps>(
        &self,
        xs: &Var<'a, O>,
        residual: &Var<'a, O>,
    ) -> Result<Var<'a, O>> {
        let inner = {
            let _scope = xs.ops().scope(&self.paths.up);
            self.feed_forward.inner(xs)?.dropout(self.inner_dropout)?
        };
        let _scope = xs.ops().scope(&self.paths.down);
        self.feed_forward.project(&inner)?.dropout(self.dropout)? + residual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Eager, Parameters as _, StateDict, TokenSequences, WeightLoader, layer_norm, linear,
    };
    use candle_core::{Device, Tensor};

    fn config() -> BlockConfig {
        BlockConfig {
            width: 4,
            inner: 6,
            attention: Attention::new(2, 2),
            activation: Activation::Gelu,
            epsilon: 1e-5,
            attention_dropout: 0.0,
            dropout: 0.0,
        }
    }

    /// Both orders of the same modules against the formulas of [`BlockOrder`].
    #[test]
    fn the_order_decides_where_normalizations_stand() -> Result<()> {
        let names = BlockNames::BERT;
        let ops = Eager::new();
        let input: Vec<f32> = (0..12).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
        let x = Var::new(&ops, Tensor::from_vec(input, (1, 3, 4), &Device::Cpu)?);
        let sequences = TokenSequences::padded(&[1; 3], 1, 3, &Device::Cpu)?;
        for order in [BlockOrder::PostNorm, BlockOrder::PreNorm] {
            let loader = WeightLoader::new(StateDict::default(), 1, &Device::Cpu);
            let vb = loader.initialized().pp("layer");
            let block = Block::load(order, &config(), &names, &vb)?;
            // The same tensors again, as single layers.
            let first = layer_norm(4, 1e-5, vb.pp(names.attention_norm))?;
            let second = layer_norm(4, 1e-5, vb.pp(names.feed_forward_norm))?;
            let projection = |name| linear(4, 4, vb.pp(name));
            let (query, key) = (projection(names.query)?, projection(names.key)?);
            let (value, output) = (
                projection(names.value)?,
                projection(names.attention_output)?,
            );
            let attention = |x: &Var<'_, Eager>| -> Result<Tensor> {
                let (q, k, v) = (query.forward(x)?, key.forward(x)?, value.forward(x)?);
                let context = q.attention(&k, &v, &Attention::new(2, 2), &sequences)?;
                Ok(output.forward(&context)?.into_value())
            };
            let (up, down) = (
                linear(4, 6, vb.pp(names.up))?,
                linear(6, 4, vb.pp(names.down))?,
            );
            let feed_forward = |x: &Var<'_, Eager>| -> Result<Tensor> {
                Ok(down.forward(&up.forward(x)?.gelu_erf()?)?.into_value())
            };
            let expected = match order {
                BlockOrder::PostNorm => {
                    let a = first.forward(&(&x + x.with(attention(&x)?))?)?;
                    second.forward(&(&a + a.with(feed_forward(&a)?))?)?
                }
                BlockOrder::PreNorm => {
                    let a = (&x + x.with(attention(&first.forward(&x)?)?))?;
                    (&a + a.with(feed_forward(&second.forward(&a)?)?))?
                }
            };
            let found = block.forward(&x, &sequences)?;
            let difference = (found.value() - expected.value())?.abs()?.max_all()?;
            assert!(difference.to_scalar::<f32>()? < 1e-5, "{order:?}");
            assert_eq!(block.params().len(), 16);
        }
        Ok(())
    }

    #[test]
    fn results_are_named_by_the_modules_of_the_linear_layers() -> Result<()> {
        let cases = [
            (
                BlockNames::BERT,
                [
                    "attention.self",
                    "attention.output",
                    "intermediate",
                    "output",
                ],
            ),
            (
                BlockNames::DISTILBERT,
                ["attention", "attention", "ffn", "ffn"],
            ),
        ];
        for (names, expected) in cases {
            let paths = Paths::new(&names, "layer.3");
            let found = [
                paths.attention,
                paths.attention_output,
                paths.up,
                paths.down,
            ];
            assert_eq!(found, expected.map(|name| format!("layer.3.{name}")));
        }
        Ok(())
    }
}
