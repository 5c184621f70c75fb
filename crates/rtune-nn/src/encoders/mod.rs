//! Pretrained encoders, one file for each family.

mod absolute;
mod albert;
mod bert;
mod blocks;
mod deberta_v2;
mod distilbert;
mod electra;
mod ernie;
mod eurobert;
mod fields;
mod form;
mod gte;
mod infer;
mod jina_bert;
mod megatron_bert;
mod modernbert;
mod mpnet;
mod names;
mod neobert;
mod nomic_bert;
mod relative;
mod roberta;
mod rope;

pub use absolute::AbsoluteEncoder;
pub use albert::AlbertConfig;
pub use bert::BertConfig;
pub use blocks::{Block, BlockConfig, BlockOrder};
pub use deberta_v2::{DebertaV2, DebertaV2Config, PositionScores};
pub use distilbert::DistilBertConfig;
pub use electra::ElectraConfig;
pub use ernie::ErnieConfig;
pub use eurobert::EuroBertConfig;
pub use fields::AutoMap;
pub use form::{Biases, BlockForm, FeedForwardForm, ProjectionForm};
pub use gte::GteConfig;
pub(crate) use infer::infer;
pub use jina_bert::JinaBertConfig;
pub use megatron_bert::MegatronBertConfig;
pub use modernbert::{LayerRotations, ModernBertConfig};
pub use mpnet::MpNetConfig;
pub use names::BlockNames;
pub use neobert::NeoBertConfig;
pub use nomic_bert::NomicBertConfig;
pub use relative::RelativeEncoder;
pub use roberta::RobertaConfig;
pub use rope::RopeParameters;

use crate::{
    FamilyHead, Inputs, ModelConfig, NnError, Param, Parameters, Result, SequenceOps, TensorNames,
    Var,
};
use candle_nn::VarBuilder;
use rtune_task::TextSignature;
use serde::de::DeserializeOwned;

/// The settings of one encoder family, as `config.json` has them.
pub trait FamilyConfig: DeserializeOwned {
    /// The encoder of this family.
    type Encoder: TextEncoder;

    /// The fields of `config.json` that the family reads.
    const FIELDS: &'static [&'static str];

    /// The names of tensors in the family's checkpoints.
    const NAMES: TensorNames;

    /// Checks that the settings are supported and do not contradict each other.
    ///
    /// # Errors
    /// If they are not, or do.
    fn check(&self) -> Result<()>;

    /// The number of tokens that the encoder has positions for.
    ///
    /// # Errors
    /// If the settings leave no room for positions.
    fn max_length(&self) -> Result<usize>;

    /// The head of the family's sequence classification in Hugging Face's transformers.
    ///
    /// # Errors
    /// If a setting of the head is not supported.
    fn head(&self) -> Result<FamilyHead>;

    /// Builds the encoder.
    ///
    /// # Errors
    /// If a setting is not supported, or a parameter cannot be loaded.
    fn load(&self, vb: &VarBuilder<'_>) -> Result<Self::Encoder>;
}

/// The sizes of the tables that an encoder looks inputs up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tables {
    /// The number of token ids.
    pub tokens: usize,
    /// The number of token types, if the encoder takes them.
    pub token_types: Option<usize>,
    /// The id of padding, if positions are counted from it.
    pub padding: Option<u32>,
}

/// An encoder: token ids to one vector for each token.
pub trait TextEncoder: Parameters {
    /// The width of a token's vector.
    fn width(&self) -> usize;

    /// The number of tokens that the encoder has positions for.
    fn max_length(&self) -> usize;

    /// The sizes of the tables that inputs are looked up in.
    fn tables(&self) -> Tables;

    /// The rate of dropout on the vector that the head reads.
    fn head_dropout(&self) -> f64;

    /// The inputs that the encoder takes.
    fn signature(&self) -> TextSignature;

    /// # Shapes
    /// ids `[tokens..]` → `[tokens.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit, or an input is missing.
    fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>>;
}

/// Makes the list of families: the enums of configs and encoders, and the dispatch to the family.
macro_rules! encoders {
    ($(
        $(#[$doc:meta])*
        $family:ident($config:ident) = [$($model_type:literal => $class:literal),+],
    )+) => {
        /// The settings of an encoder of one of the supported families.
        #[derive(Debug, Clone)]
        pub enum EncoderConfig {
            $($(#[$doc])* $family($config),)+
        }

        /// An encoder of one of the supported families.
        #[derive(Debug, Clone)]
        pub enum Encoder {
            $($(#[$doc])* $family(<$config as FamilyConfig>::Encoder),)+
        }

        impl EncoderConfig {
            /// The values of `model_type` in config.json that are supported.
            pub const MODEL_TYPES: &'static [&'static str] = &[$($($model_type),+),+];

            /// Reads the settings of the family that `model_type` names.
            ///
            /// # Errors
            /// If the family or a setting is not supported, a setting is missing, or another field
            /// asks for a computation that rtune does not have.
            pub fn parse(config: &ModelConfig) -> Result<Self> {
                match fields::family(config) {
                    $($($model_type)|+ => {
                        let settings: $config = config.parse($config::FIELDS)?;
                        settings.check()?;
                        fields::check(config, $config::FIELDS)?;
                        Ok(Self::$family(settings))
                    })+
                    other => Err(unsupported(other)),
                }
            }

            /// The families by `model_type`, each with the text that the names of its classes
            /// begin with in Hugging Face's transformers or in its own code: `Bert` of
            /// `BertForSequenceClassification`.
            pub(crate) const CLASSES: &[(&str, &str)] = &[$($(($model_type, $class)),+),+];

            /// The text that the names of the family's classes begin with.
            pub(crate) fn class(config: &ModelConfig) -> Option<&'static str> {
                let family = fields::family(config);
                let found = Self::CLASSES.iter().find(|(known, _)| *known == family);
                found.map(|(_, class)| *class)
            }

            /// The fields of a config of this family that rtune does not know, and so ignores.
            pub fn unknown_fields(&self, config: &ModelConfig) -> Vec<String> {
                match self {
                    $(Self::$family(_) => fields::unknown(config, $config::FIELDS),)+
                }
            }

            /// The names of tensors in the family's checkpoints.
            pub fn tensor_names(&self) -> TensorNames {
                match self {
                    $(Self::$family(_) => $config::NAMES,)+
                }
            }

            /// The number of tokens that the encoder has positions for.
            ///
            /// # Errors
            /// If the settings leave no room for positions.
            pub fn max_length(&self) -> Result<usize> {
                match self {
                    $(Self::$family(config) => config.max_length(),)+
                }
            }

            /// The head of the family's sequence classification in Hugging Face's transformers.
            ///
            /// # Errors
            /// If a setting of the head is not supported.
            pub fn head(&self) -> Result<FamilyHead> {
                match self {
                    $(Self::$family(config) => config.head(),)+
                }
            }

            /// Builds the encoder.
            ///
            /// # Errors
            /// If a setting is not supported, or a parameter cannot be loaded.
            pub fn load(&self, vb: &VarBuilder<'_>) -> Result<Encoder> {
                Ok(match self {
                    $(Self::$family(config) => Encoder::$family(config.load(vb)?),)+
                })
            }
        }

        impl Parameters for Encoder {
            fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Param)) {
                match self {
                    $(Self::$family(encoder) => encoder.visit(visit),)+
                }
            }

            fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Param)) {
                match self {
                    $(Self::$family(encoder) => encoder.visit_mut(visit),)+
                }
            }
        }

        impl TextEncoder for Encoder {
            fn width(&self) -> usize {
                match self {
                    $(Self::$family(encoder) => encoder.width(),)+
                }
            }

            fn max_length(&self) -> usize {
                match self {
                    $(Self::$family(encoder) => encoder.max_length(),)+
                }
            }

            fn tables(&self) -> Tables {
                match self {
                    $(Self::$family(encoder) => encoder.tables(),)+
                }
            }

            fn head_dropout(&self) -> f64 {
                match self {
                    $(Self::$family(encoder) => encoder.head_dropout(),)+
                }
            }

            fn signature(&self) -> TextSignature {
                match self {
                    $(Self::$family(encoder) => encoder.signature(),)+
                }
            }

            fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
                match self {
                    $(Self::$family(encoder) => encoder.forward(inputs),)+
                }
            }
        }
    };
}

encoders! {
    /// BERT and models of its shape, MiniLM among them.
    Bert(BertConfig) = ["bert" => "Bert"],
    /// RoBERTa, CamemBERT, XLM-RoBERTa and data2vec-text.
    Roberta(RobertaConfig) = [
        "roberta" => "Roberta",
        "camembert" => "Camembert",
        "xlm-roberta" => "XLMRoberta",
        "data2vec-text" => "Data2VecText"
    ],
    /// DistilBERT.
    DistilBert(DistilBertConfig) = ["distilbert" => "DistilBert"],
    /// DeBERTa-v2, DeBERTa-v3 and mDeBERTa.
    DebertaV2(DebertaV2Config) = ["deberta-v2" => "DebertaV2"],
    /// ModernBERT, Ettin and mmBERT.
    ModernBert(ModernBertConfig) = ["modernbert" => "ModernBert"],
    /// NomicBERT.
    NomicBert(NomicBertConfig) = ["nomic_bert" => "NomicBert"],
    /// GTE v1.5 and mGTE.
    Gte(GteConfig) = ["gte" => "Gte", "new" => "New"],
    /// EuroBERT.
    EuroBert(EuroBertConfig) = ["eurobert" => "EuroBert"],
    /// Jina v2, whose files say `bert` and `alibi`.
    JinaBert(JinaBertConfig) = ["jina_bert" => "JinaBert"],
    /// ELECTRA's discriminator.
    Electra(ElectraConfig) = ["electra" => "Electra"],
    /// MPNet.
    MpNet(MpNetConfig) = ["mpnet" => "MPNet"],
    /// ALBERT.
    Albert(AlbertConfig) = ["albert" => "Albert"],
    /// Megatron-BERT.
    MegatronBert(MegatronBertConfig) = ["megatron-bert" => "MegatronBert"],
    /// ERNIE 2 and 3.
    Ernie(ErnieConfig) = ["ernie" => "Ernie"],
    /// NeoBERT.
    NeoBert(NeoBertConfig) = ["neobert" => "NeoBERT"],
}

fn unsupported(model_type: &str) -> NnError {
    let (last, others) = match EncoderConfig::MODEL_TYPES {
        [only] => (*only, String::new()),
        [others @ .., last] => (*last, others.join(", ")),
        [] => ("none", String::new()),
    };
    let supported = if others.is_empty() {
        format!("is {last}")
    } else {
        format!("are {others} and {last}")
    };
    NnError::config(
        "model_type in config.json",
        format!("`{model_type}` is not supported; supported {supported}"),
    )
}
