//! The tokens around a text.

use super::added::{Added, content};
use super::kind::Kind;
use crate::guarded;
use crate::settings::Settings;
use serde_json::{Map, Value, json};

/// The first and the last token of a kind's texts, with their ids.
pub(crate) struct Around {
    kind: Kind,
    tokens: [(String, u32); 2],
}

/// The tokens around the texts of a model's family, if the tokenizer has them in its vocabulary and
/// adds no token to a text.
pub(crate) fn tokens_around(
    tokenizer: &tokenizers::Tokenizer,
    settings: &Settings,
) -> Option<Around> {
    let ids = |with_special| {
        let encoding = guarded(|| tokenizer.encode_fast("a", with_special))?.ok()?;
        Some(encoding.get_ids().to_vec())
    };
    // A model that was trained here has seen texts as its tokenizer makes them.
    if settings.is_trained_here() || ids(true)? != ids(false)? {
        return None;
    }
    let kind = Kind::of(settings)?;
    let token = |(setting, default): (&str, &str)| {
        let name = settings.token(setting).and_then(content);
        let name = name.unwrap_or(default).to_owned();
        let id = tokenizer.token_to_id(&name)?;
        Some((name, id))
    };
    let [_, first, last, ..] = kind.tokens();
    let tokens = [token(first)?, token(last)?];
    Some(Around { kind, tokens })
}

impl Around {
    /// The tokens of a tokenizer that is being built.
    pub(super) fn of(kind: Kind, tokens: &Added) -> Self {
        let tokens = tokens.around();
        Self { kind, tokens }
    }

    /// The names of the tokens.
    pub(crate) fn names(self) -> [String; 2] {
        self.tokens.map(|(name, _)| name)
    }

    /// Adds the tokens to a tokenizer, and returns the content of its file with them.
    ///
    /// # Errors
    /// If the content is no JSON object.
    pub(crate) fn add_to(
        &self,
        tokenizer: &mut tokenizers::Tokenizer,
        content: &[u8],
    ) -> Result<String, String> {
        let reason = |error: serde_json::Error| error.to_string();
        let mut content: Map<String, Value> = serde_json::from_slice(content).map_err(reason)?;
        let processor = self.processor();
        let parsed = serde_json::from_value(processor.clone()).map_err(reason)?;
        tokenizer.with_post_processor(Some::<tokenizers::PostProcessorWrapper>(parsed));
        content.insert("post_processor".to_owned(), processor);
        Ok(Value::Object(content).to_string() + "\n")
    }

    /// The post-processor that puts the tokens around texts and between the two of a pair.
    pub(super) fn processor(&self) -> Value {
        let [first, last] = &self.tokens;
        let part =
            |kind: &str, name: &str, of_type: u32| json!({kind: {"id": name, "type_id": of_type}});
        let special = |token: &(String, u32), of_type| part("SpecialToken", &token.0, of_type);
        let text = |name: &str, of_type| part("Sequence", name, of_type);
        // The separators between two texts, and the type of the second one.
        let (separators, of_type) = match self.kind {
            Kind::Bert | Kind::Albert | Kind::DebertaV2 => (1, 1),
            Kind::MpNet => (2, 1),
            Kind::Roberta | Kind::XlmRoberta | Kind::Camembert => (2, 0),
        };
        let mut pair = vec![special(first, 0), text("A", 0)];
        pair.extend(std::iter::repeat_n(special(last, 0), separators));
        pair.extend([text("B", of_type), special(last, of_type)]);
        let entry = |(name, id): &(String, u32)| {
            let entry = json!({"id": name, "ids": [id], "tokens": [name]});
            (name.clone(), entry)
        };
        let special_tokens: Map<_, _> = [first, last].map(entry).into_iter().collect();
        json!({
            "type": "TemplateProcessing",
            "single": [special(first, 0), text("A", 0), special(last, 0)],
            "pair": pair,
            "special_tokens": special_tokens,
        })
    }
}
