//! The settings of a model of sentence-transformers: the modules beside its encoder.

use crate::{NnError, Result};
use rtune_task::Pooling;
use serde_json::Value;
use std::path::Path;

/// The effect of the modules of a folder of sentence-transformers on the vectors of its encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentenceModules {
    /// The reduction of token vectors to one vector.
    pub pooling: Pooling,
    /// True if that vector is scaled to length 1.
    pub normalize: bool,
    /// Largest number of tokens of a text, if the folder states it.
    pub max_length: Option<usize>,
}

impl SentenceModules {
    /// The file that lists the modules.
    const FILE: &str = "modules.json";

    /// Reads the modules of a folder; none if it is not one of sentence-transformers.
    ///
    /// # Errors
    /// If a file is damaged, or a module or one of its settings is not supported.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(Self::FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let fail = |problem: String| NnError::File {
            path: path.clone(),
            problem,
        };
        let modules = json(&path)?;
        let modules = modules
            .as_array()
            .ok_or_else(|| fail("not a list".to_owned()))?;
        let (mut pooling, mut normalize) = (None, false);
        for module in modules {
            let text = |name: &str| module.get(name).and_then(Value::as_str).unwrap_or_default();
            let (kind, place) = (text("type"), text("path"));
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" if place.is_empty() => {}
                "Transformer" => {
                    return Err(fail(format!(
                        "the encoder is in the folder {place}, which rtune does not look into; \
                         move its files beside modules.json"
                    )));
                }
                "Pooling" => pooling = Some(pooling_of(&folder.join(place))?),
                "Normalize" => normalize = true,
                _ => return Err(fail(format!("the module {kind} is not supported"))),
            }
        }
        let Some(pooling) = pooling else {
            return Err(fail("lists no module of pooling".to_owned()));
        };
        Ok(Some(Self {
            pooling,
            normalize,
            max_length: max_length(folder)?,
        }))
    }
}

/// The reduction of a module of pooling.
fn pooling_of(folder: &Path) -> Result<Pooling> {
    const MODE: &str = "pooling_mode_";
    let path = folder.join("config.json");
    let config = json(&path)?;
    let fields = config.as_object().into_iter().flatten();
    let modes = fields.filter(|(name, value)| name.starts_with(MODE) && **value == true);
    let modes: Vec<&str> = modes.map(|(name, _)| &name[MODE.len()..]).collect();
    match modes[..] {
        ["mean_tokens"] => Ok(Pooling::Mean),
        ["cls_token"] => Ok(Pooling::First),
        _ => Err(NnError::File {
            path,
            problem: format!(
                "the pooling is {}; supported are mean_tokens and cls_token",
                match modes[..] {
                    [] => "not stated".to_owned(),
                    _ => modes.join(" and "),
                }
            ),
        }),
    }
}

/// The limit of `sentence_bert_config.json`.
fn max_length(folder: &Path) -> Result<Option<usize>> {
    let path = folder.join("sentence_bert_config.json");
    if !path.is_file() {
        return Ok(None);
    }
    let config = json(&path)?;
    let limit = config.get("max_seq_length").and_then(Value::as_u64);
    match limit.map(usize::try_from).transpose() {
        Ok(limit) => Ok(limit),
        Err(error) => Err(NnError::File {
            path,
            problem: format!("max_seq_length: {error}"),
        }),
    }
}

fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).map_err(NnError::io(path))?;
    serde_json::from_slice(&text).map_err(|error| NnError::File {
        path: path.to_owned(),
        problem: format!("not JSON: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(
        modules: &Value,
        pooling: &Value,
        limit: Option<Value>,
    ) -> Result<Option<SentenceModules>, String> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, value.to_string()).unwrap();
        };
        write("modules.json", modules);
        write("1_Pooling/config.json", pooling);
        if let Some(limit) = limit {
            write("sentence_bert_config.json", &limit);
        }
        SentenceModules::read(folder.path()).map_err(|error| error.to_string())
    }

    fn modules(kinds: &[(&str, &str)]) -> Value {
        let module = |(kind, path): &(&str, &str)| {
            let kind = format!("sentence_transformers.models.{kind}");
            json!({"type": kind, "path": path})
        };
        kinds.iter().map(module).collect()
    }

    #[test]
    fn modules_become_settings_or_errors() {
        let mean = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false});
        let first = json!({"pooling_mode_cls_token": true, "include_prompt": true});
        let both = json!({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true});
        let (encoder, pooling) = (("Transformer", ""), ("Pooling", "1_Pooling"));
        let normalize = ("Normalize", "2_Normalize");
        let dense = ("Dense", "2_Dense");
        let limit = Some(json!({"max_seq_length": 256, "do_lower_case": false}));
        let found = read(&modules(&[encoder, pooling, normalize]), &mean, limit);
        let expected = SentenceModules {
            pooling: Pooling::Mean,
            normalize: true,
            max_length: Some(256),
        };
        assert_eq!(found, Ok(Some(expected)));
        let found = read(&modules(&[encoder, pooling]), &first, None);
        let expected = SentenceModules {
            pooling: Pooling::First,
            normalize: false,
            max_length: None,
        };
        assert_eq!(found, Ok(Some(expected)));
        for (modules, pooling, expected) in [
            (
                modules(&[encoder, pooling]),
                both,
                "the pooling is max_tokens and mean_tokens",
            ),
            (
                modules(&[encoder, pooling]),
                json!({}),
                "the pooling is not stated",
            ),
            (
                modules(&[encoder, pooling, dense]),
                mean.clone(),
                "the module sentence_transformers.models.Dense is not supported",
            ),
            (
                modules(&[encoder]),
                mean.clone(),
                "lists no module of pooling",
            ),
            (
                modules(&[("Transformer", "0_Transformer"), pooling]),
                mean.clone(),
                "the encoder is in the folder 0_Transformer",
            ),
            (json!({}), mean, "not a list"),
        ] {
            let error = read(&modules, &pooling, None).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(SentenceModules::read(folder.path()).unwrap(), None);
    }
}
