use crate::{ExportError, Recorder};
use rtune_graph::{Model, check};
use rtune_nn::{Inputs, TextModel};
use std::collections::BTreeMap;

/// The operator set that graphs are written in: the first with `LayerNormalization`.
pub const SUPPORTED_OPSET: i64 = 17;

/// Records a fine-tuned model, with dynamic batch and sequence.
///
/// # Shapes
/// `input_ids`, `attention_mask`, `token_type_ids`: i64 `[batch, sequence]` → `logits`: f32
/// `[batch, outputs]`
///
/// # Errors
/// Where the operator set is not supported, or a module needs what the recorder cannot write.
pub fn export(
    model: &TextModel,
    opset: i64,
    metadata: BTreeMap<String, String>,
) -> Result<Model, ExportError> {
    if opset != SUPPORTED_OPSET {
        return Err(ExportError::Opset(opset));
    }
    let recorder = Recorder::new("rtune");
    let inputs = recorder.text_inputs(model.positions())?;
    let logits = model.forward(
        &recorder,
        &Inputs {
            input_ids: &inputs.input_ids,
            token_type_ids: &inputs.token_type_ids,
            sequences: &inputs.sequences,
        },
    )?;
    let mut exported = Model::new(recorder.finish([("logits", logits)])?, opset);
    exported.metadata = metadata;
    check(&exported)?;
    Ok(exported)
}
