//! The module tree: encoders, pooling and heads, written once over [`Ops`], the vocabulary of
//! operations.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use rtune_nn::{Eager, Linear, Param, Var};
//!
//! # fn main() -> Result<(), rtune_nn::NnError> {
//! let weight = Tensor::ones((1, 3), candle_core::DType::F32, &Device::Cpu)?;
//! let head = Linear::new(Param::new("head.weight", weight), None);
//! let ops = Eager::new();
//! let hidden = Var::new(&ops, Tensor::new(&[[1_f32, 2.0, 3.0]], &Device::Cpu)?);
//! let score = head.forward(&hidden)?;
//! assert_eq!(score.value().to_vec2::<f32>()?, [[6.0]]);
//! # Ok(())
//! # }
//! ```
//!
//! # Design
//!
//! A module's `forward` is generic over an interpreter. [`Eager`] computes with candle and is the
//! reference for parity; the tape of `rtune-train` adds gradients; the recorder of `rtune-export`
//! writes a graph. The meaning of a module is thus stated once, and a module that needs an
//! operation no interpreter has does not compile. No operation lets a module read a dimension: what
//! depends on a size is an operation of its own. How tokens lie in memory, padded or packed, is
//! known to [`SequenceOps::Sequences`] alone.
//!
//! Training, evaluation and export are interpreters, never a flag: dropout is the identity except
//! on the tape.

mod classifier;
mod config;
mod eager;
mod encoders;
mod error;
mod folder;
mod heads;
mod inputs;
mod layers;
mod model;
mod ops;
mod param;
mod scopes;
mod sentence;
mod sequences;
mod var;
mod weights;

pub use config::ModelConfig;
pub use eager::Eager;
pub use encoders::{
    AbsoluteEncoder, AlbertConfig, AutoMap, BertConfig, Biases, Block, BlockConfig, BlockForm,
    BlockNames, BlockOrder, DebertaV2, DebertaV2Config, DistilBertConfig, ElectraConfig, Encoder,
    EncoderConfig, ErnieConfig, EuroBertConfig, FamilyConfig, FeedForwardForm, GteConfig,
    JinaBertConfig, LayerRotations, MegatronBertConfig, ModernBertConfig, MpNetConfig,
    NeoBertConfig, NomicBertConfig, PositionScores, ProjectionForm, RelativeEncoder, RobertaConfig,
    RopeParameters, Tables, TextEncoder,
};
pub use error::NnError;
pub use heads::{
    FamilyHead, Head, HeadNorm, HeadOrigin, OrdinalCutpoints, Pooler, Reduction,
    class_log_probabilities, linear_head, ordered_cutpoints, ordered_parameters,
};
pub use inputs::Inputs;
pub use layers::{
    Activation, Embedding, FeedForward, GateOrder, GatedFeedForward, LayerNorm, Linear, Norm,
    NormKind, Projections, RmsNorm, SelfAttention, embedding, layer_norm, layer_norm_no_bias,
    linear, linear_b, linear_no_bias, rms_norm,
};
pub use model::TextModel;
pub use ops::{
    Attention, Axis, BinaryOp, CompareOp, Constant, ConstantValues, CustomAttribute, CustomOp,
    Disentangled, Extent, Kind, MASK_BIAS, Operation, Ops, OutputFact, OutputSize, Plain,
    PositionBias, Positions, ReduceOp, Rotary, RotaryStyle, SequenceOps, UnaryOp,
    attention_by_operations,
};
pub use param::{Param, ParamGroup, ParamRole, Parameters};
pub use scopes::{Scope, Scopes};
pub use sentence::SentenceModules;
pub use sequences::TokenSequences;
pub use var::Var;
pub use weights::{
    LoadReport, StateDict, TensorNames, TensorRef, WeightFaults, WeightLoader, load_tensors,
    save_tensors,
};

pub use candle_nn::{Init, VarBuilder};

/// A result of this crate.
pub type Result<T, E = NnError> = std::result::Result<T, E>;
