use crate::{TrainConfig, TrainError, TrainInputs};
use rtune_data::Dataset;
use rtune_nn::{NnError, TensorRef, TextModel};
use rtune_package::sha256_hex;
use rtune_task::Target;
use serde_json::{Map, Value};

/// Ends the names of digests.
pub(crate) const DIGEST: &str = "_sha256";

/// What decides the outcome of a run: settings, task, and digests of the model and the data. A
/// checkpoint can only be taken up by a run that has the same.
pub(crate) fn identity(
    config: &TrainConfig,
    inputs: &TrainInputs<'_>,
) -> Result<Map<String, Value>, TrainError> {
    let problem = |e: serde_json::Error| TrainError::Config(e.to_string());
    let mut identity = Map::new();
    for value in [
        serde_json::to_value(config),
        serde_json::to_value(inputs.model.spec()),
    ] {
        if let Value::Object(fields) = value.map_err(problem)? {
            identity.extend(fields);
        }
    }
    // What is logged does not change the outcome.
    identity.remove("logging_steps");
    let digests = [
        ("model_weights", of_model(inputs.model)?),
        // Dropout and the like.
        (
            "model_config",
            sha256_hex(inputs.model.config().to_json().to_string().as_bytes()),
        ),
        ("training_data", of_data(inputs.training)),
        ("validation_data", of_data(inputs.validation)),
    ];
    identity
        .extend(digests.map(|(name, digest)| (format!("{name}{DIGEST}"), Value::String(digest))));
    Ok(identity)
}

fn of_model(model: &TextModel) -> Result<String, NnError> {
    let mut lines = String::new();
    for param in model.params() {
        let bytes = TensorRef::Tensor(param.value()).to_bytes()?;
        lines += &format!(
            "{} {:?} {}\n",
            param.name(),
            param.value().dims(),
            sha256_hex(&bytes)
        );
    }
    Ok(sha256_hex(lines.as_bytes()))
}

/// Over tokens, not texts: what the tokenizer makes of a text counts too.
fn of_data(data: &Dataset) -> String {
    let mut bytes = Vec::new();
    for (text, target) in data.texts.iter().zip(&data.targets) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(
            text.input_ids
                .iter()
                .chain(&text.token_type_ids)
                .flat_map(|id| id.to_le_bytes()),
        );
        bytes.extend(match target {
            Target::Class(class) => (*class as u64).to_le_bytes(),
            Target::Number(number) => number.to_le_bytes(),
        });
    }
    sha256_hex(&bytes)
}
