use crate::encoders::FamilyConfig;
use crate::encoders::bert::{Bert, BertConfig};
use crate::{NnError, Positions, Result, TensorNames};
use candle_nn::VarBuilder;
use serde::Deserialize;

/// The settings of a RoBERTa encoder (Liu et al., 2019), with Hugging Face's names and meanings.
/// CamemBERT and XLM-RoBERTa have the same.
///
/// The encoder is BERT's. Positions are numbered from `pad_token_id` + 1 on, so the position table
/// has that many rows that texts do not use.
#[derive(Debug, Clone, Deserialize)]
pub struct RobertaConfig {
    /// The settings that RoBERTa shares with BERT.
    #[serde(flatten)]
    pub bert: BertConfig,
    /// The id of the padding token.
    #[serde(default = "default_pad_token_id")]
    pub pad_token_id: u32,
}

fn default_pad_token_id() -> u32 {
    1
}

/// The fields of BERT, and one more.
const FIELDS: [&str; BertConfig::FIELDS.len() + 1] = {
    let mut fields = ["pad_token_id"; BertConfig::FIELDS.len() + 1];
    let mut index = 0;
    while index < BertConfig::FIELDS.len() {
        fields[index] = BertConfig::FIELDS[index];
        index += 1;
    }
    fields
};

impl FamilyConfig for RobertaConfig {
    type Encoder = Bert;

    const FIELDS: &'static [&'static str] = &FIELDS;

    const NAMES: TensorNames = TensorNames {
        prefixes: &["roberta"],
        ..BertConfig::NAMES
    };

    fn check(&self) -> Result<()> {
        self.bert.check()?;
        self.max_length().map(|_| ())
    }

    fn max_length(&self) -> Result<usize> {
        let rows = self.bert.max_position_embeddings;
        let length = rows
            .checked_sub(self.pad_token_id as usize + 1)
            .filter(|length| *length > 0);
        length.ok_or_else(|| {
            let problem = format!(
                "is {rows}, which leaves no position after pad_token_id {}",
                self.pad_token_id
            );
            NnError::config("max_position_embeddings in config.json", problem)
        })
    }

    fn load(&self, vb: &VarBuilder<'_>, pooler: bool) -> Result<Bert> {
        let positions = Positions::AfterPadding(self.pad_token_id);
        Bert::load(&self.bert, positions, self.max_length()?, vb, pooler)
    }
}
