use crate::encoders::{BlockConfig, BlockNames};
use crate::{
    Attention, FeedForward, GateOrder, GatedFeedForward, NormKind, Ops, Param, Parameters,
    Projections, Result, Var, linear_b,
};
use candle_nn::VarBuilder;

/// The modules of a block, where families differ in more than names and sizes. The default is
/// BERT's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockForm {
    /// The kind of the normalizations.
    pub norm: NormKind,
    /// False for a block whose attention has no normalization.
    pub has_attention_norm: bool,
    /// The arrangement of query, key and value.
    pub projections: ProjectionForm,
    /// The kind of the feed-forward network.
    pub feed_forward: FeedForwardForm,
    /// The layers that have biases.
    pub biases: Biases,
    /// The dropout rate inside the feed-forward network.
    pub inner_dropout: f64,
}

impl Default for BlockForm {
    fn default() -> Self {
        Self {
            norm: NormKind::Layer,
            has_attention_norm: true,
            projections: ProjectionForm::Separate,
            feed_forward: FeedForwardForm::Plain,
            biases: Biases::ALL,
            inner_dropout: 0.0,
        }
    }
}

/// The arrangement of query, key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionForm {
    /// A layer each.
    Separate,
    /// [`Projections::Stacked`], under the name of the query.
    Stacked,
    /// [`Projections::ByHead`], under the name of the query.
    ByHead,
}

/// The kind of a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForwardForm {
    /// [`FeedForward`].
    Plain,
    /// [`GatedFeedForward`] with a layer of this name for the gate.
    Gated(&'static str),
    /// [`GatedFeedForward::packed`].
    Packed(GateOrder),
}

/// The layers of a block that have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value.
    pub projections: bool,
    /// The projection of the heads' results.
    pub attention_output: bool,
    /// The first layers of the feed-forward network.
    pub up: bool,
    /// The last layer of the feed-forward network.
    pub down: bool,
}

impl Biases {
    /// All layers.
    pub const ALL: Self = Self {
        projections: true,
        attention_output: true,
        up: true,
        down: true,
    };
    /// No layer.
    pub const NONE: Self = Self {
        projections: false,
        attention_output: false,
        up: false,
        down: false,
    };
}

impl BlockForm {
    /// The projections of a block at the path of `vb`.
    pub(super) fn projections(
        &self,
        config: &BlockConfig,
        names: &BlockNames,
        vb: &VarBuilder<'_>,
    ) -> Result<Projections> {
        let Attention {
            heads,
            kv_heads,
            head_dim,
            ..
        } = config.attention;
        let layer = |name, heads: usize| {
            let bias = self.biases.projections;
            linear_b(config.width, heads * head_dim, bias, vb.pp(name))
        };
        Ok(match self.projections {
            ProjectionForm::Separate => Projections::Separate(Box::new([
                layer(names.query, heads)?,
                layer(names.key, kv_heads)?,
                layer(names.value, kv_heads)?,
            ])),
            ProjectionForm::Stacked => {
                Projections::Stacked(layer(names.query, heads + 2 * kv_heads)?)
            }
            ProjectionForm::ByHead => Projections::ByHead(layer(names.query, 3 * heads)?),
        })
    }

    /// The feed-forward network of a block at the path of `vb`.
    pub(super) fn network(
        &self,
        config: &BlockConfig,
        names: &BlockNames,
        vb: &VarBuilder<'_>,
    ) -> Result<Network> {
        let BlockConfig {
            width,
            inner,
            activation,
            ..
        } = *config;
        let up = |name, inner| linear_b(width, inner, self.biases.up, vb.pp(name));
        let down = || linear_b(inner, width, self.biases.down, vb.pp(names.down));
        Ok(match self.feed_forward {
            FeedForwardForm::Plain => {
                let up = up(names.up, inner)?;
                Network::Plain(FeedForward::new(up, activation, down()?))
            }
            FeedForwardForm::Gated(gate) => {
                let (up, gate) = (up(names.up, inner)?, up(gate, inner)?);
                Network::Gated(GatedFeedForward::new(gate, up, activation, down()?))
            }
            FeedForwardForm::Packed(order) => {
                let packed = up(names.up, 2 * inner)?;
                let down = down()?;
                Network::Gated(GatedFeedForward::packed(
                    packed, order, inner, activation, down,
                ))
            }
        })
    }
}

/// A feed-forward network with or without a gate.
#[derive(Debug, Clone)]
pub(super) enum Network {
    Plain(FeedForward),
    Gated(GatedFeedForward),
}

impl Network {
    pub(super) fn inner<'a, O: Ops>(&self, xs: &Var<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Plain(network) => network.inner(xs),
            Self::Gated(network) => network.inner(xs),
        }
    }

    pub(super) fn project<'a, O: Ops>(&self, inner: &Var<'a, O>) -> Result<Var<'a, O>> {
        match self {
            Self::Plain(network) => network.project(inner),
            Self::Gated(network) => network.project(inner),
        }
    }
}

impl Parameters for Network {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
        match self {
            Self::Plain(network) => network.visit(visit),
            Self::Gated(network) => network.visit(visit),
        }
    }

    fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
        match self {
            Self::Plain(network) => network.visit_mut(visit),
            Self::Gated(network) => network.visit_mut(visit),
        }
    }
}
