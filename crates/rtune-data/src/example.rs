use crate::DataError;
use rtune_task::Target;
use std::path::Path;

/// What a label column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelKind {
    /// An index from 0.
    Index,
    /// One of these names; where none of them is a number, the index of one is understood too.
    Names(Vec<String>),
    /// A number.
    Number,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The line that the row begins at, counted from 1.
    pub line: u64,
    /// The text.
    pub text: String,
    /// What it should give.
    pub target: Target,
}

impl LabelKind {
    pub(crate) fn parse(&self, value: &str) -> Result<Target, String> {
        let value = value.trim();
        match self {
            Self::Number => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Target::Number(number)),
                _ => Err(format!("label `{value}` is not a finite number")),
            },
            Self::Index => value.parse().map(Target::Class).map_err(|_| {
                format!("label `{value}` is not an integer from 0; name the labels in order with --labels")
            }),
            Self::Names(names) => {
                if let Some(class) = names.iter().position(|name| name == value) {
                    return Ok(Target::Class(class));
                }
                // Names that are numbers themselves leave no room for indices.
                let index = if names.iter().any(|name| name.parse::<i64>().is_ok()) {
                    None
                } else {
                    value.parse::<usize>().ok()
                };
                match index.ok_or(()) {
                    Ok(class) if class < names.len() => Ok(Target::Class(class)),
                    Ok(class) => Err(format!(
                        "label {class} is out of range; --labels names {} classes, 0 to {}",
                        names.len(),
                        names.len() - 1
                    )),
                    Err(_) => Err(format!("unknown label `{value}`; --labels names {}", names.join(", "))),
                }
            }
        }
    }
}

/// Checks that each of `classes` classes has an example, and that no label is beyond them.
///
/// # Errors
/// The first label out of range, by its row, or the first class without an example.
pub fn check_classes(
    path: &Path,
    examples: &[Example],
    classes: usize,
    all_needed: bool,
) -> Result<(), DataError> {
    let mut counts = vec![0_usize; classes];
    for example in examples {
        let Some(class) = example.target.class() else {
            continue;
        };
        match counts.get_mut(class) {
            Some(count) => *count += 1,
            None => {
                let problem = format!(
                    "label {class} is out of range; the training data has classes 0 to {}",
                    classes.saturating_sub(1)
                );
                return Err(DataError::Row {
                    path: path.to_owned(),
                    line: example.line,
                    problem,
                });
            }
        }
    }
    match counts.iter().position(|count| *count == 0) {
        Some(class) if all_needed => {
            let problem = format!(
                "class {class} of {classes} has no example; number the labels without gaps from 0, or name them with --labels"
            );
            Err(DataError::File {
                path: path.to_owned(),
                problem,
            })
        }
        _ => Ok(()),
    }
}
