use rtune_nn::TextModel;
use rtune_text::{EmbeddingTables, TextError, Tokenizer};
use std::path::Path;

/// Checks that the model of a folder has an embedding for each id and type that the tokenizer gives
/// a text. Every use of both needs it: an id without embedding fails only when a text has it.
///
/// # Errors
/// If it has not, or counts positions from another id of padding.
pub fn check_tokenizer(
    folder: &Path,
    model: &TextModel,
    tokenizer: &Tokenizer,
) -> Result<(), TextError> {
    let tables = model.tables();
    tokenizer.check(&EmbeddingTables {
        model: &folder.join("config.json"),
        tokens: tables.tokens,
        types: tables.token_types,
        padding: tables.padding,
    })
}
