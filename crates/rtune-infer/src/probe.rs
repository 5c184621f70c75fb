use crate::{InferError, TextTensors};
use rtune_runtime::{RuntimeError, Session};
use rtune_task::TextSignature;
use rtune_text::{Encoded, PaddedBatch, TextError, Tokenizer};
use std::path::Path;

/// Runs a text model once on the longest text of the tokenizer's largest id, because a graph states
/// neither the ids nor the positions that it has embeddings for. Without this check, a text that
/// has such an id fails in the middle of the work.
///
/// # Errors
/// If the model runs on shorter texts of other ids, but not on this one.
pub fn check_tokenizer(
    session: &mut Session,
    signature: &TextSignature,
    tokenizer: &Tokenizer,
    file: &Path,
) -> Result<(), InferError> {
    let (id, token) = tokenizer.largest_id();
    let (kind, length) = (tokenizer.largest_type(), tokenizer.max_length());
    let mut runs = |id: u32, kind: u32, length: usize| {
        let text = Encoded {
            input_ids: vec![id; length],
            token_type_ids: vec![kind; length],
            truncated: false,
        };
        let batch = PaddedBatch::new([text].iter(), id);
        match session.run(&TextTensors::new(&batch).feeds(signature)) {
            Ok(_) => Ok(true),
            Err(RuntimeError::Run { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    };
    // A model that fails on the first id fails for another reason, which its first run states.
    if runs(id, kind, length)? || !runs(0, 0, 1)? {
        return Ok(());
    }
    let embeddings = |problem: String| {
        let error = TextError::embeddings(tokenizer.path(), file, &problem);
        Err(InferError::Tokenizer(error))
    };
    if !runs(id, 0, 1)? {
        return embeddings(format!("{token} has the id {id}, which has no embedding"));
    }
    if !runs(0, kind, 1)? {
        return embeddings(format!(
            "tokens have the type {kind}, which has no embedding"
        ));
    }
    match runs(0, 0, length)? {
        true => Ok(()),
        false => Err(InferError::Length {
            file: file.to_owned(),
            length,
        }),
    }
}
