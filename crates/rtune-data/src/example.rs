use crate::faults::Faults;
use crate::{Columns, DataError, DataProblem, LabelKind, RowError, RowReader};
use rtune_task::Target;
use std::path::Path;

/// A row with a label.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The line that the row begins at, counted from 1.
    pub line: u64,
    /// The text.
    pub text: String,
    /// The label.
    pub target: Target,
}

/// Reads labelled rows.
///
/// # Errors
/// If the file is missing or empty, or has damaged rows or unknown labels; the error names the file
/// and the lines.
pub fn read_examples(
    path: &Path,
    columns: &Columns,
    kind: &LabelKind,
) -> Result<Vec<Example>, DataError> {
    let mut faults = Faults::new(path);
    let mut examples = Vec::new();
    for row in RowReader::labelled(path, columns)? {
        let example = row?.and_then(|row| {
            let target = kind.parse(row.label.as_deref().unwrap_or_default());
            Ok(Example {
                line: row.line,
                text: row.text,
                target: target.map_err(|problem| RowError::new(row.line, problem))?,
            })
        });
        match example {
            Ok(example) => examples.push(example),
            Err(error) => faults.push(error),
        }
    }
    faults.finish()?;
    Ok(examples)
}

/// Checks that no label is beyond `classes` and, if `all_needed`, that each class has an example.
/// Numbers are not checked.
///
/// # Errors
/// The first label out of range, with its line, or else the first class without an example.
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
        let Some(count) = counts.get_mut(class) else {
            let problem = DataProblem::ClassOutOfRange { class, classes };
            return Err(DataError::row(path, example.line, problem));
        };
        *count += 1;
    }
    match counts.iter().position(|count| *count == 0) {
        Some(class) if all_needed => {
            let problem = DataProblem::ClassWithoutExample { class, classes };
            Err(DataError::file(path, problem))
        }
        _ => Ok(()),
    }
}

/// Names the classes of examples by their numbers, from 0 to the largest.
///
/// # Errors
/// If there are fewer examples than classes, so that a class has none.
pub fn class_names(path: &Path, examples: &[Example]) -> Result<Vec<String>, DataError> {
    let rows = examples.len();
    match examples.iter().filter_map(|e| e.target.class()).max() {
        None => Ok(Vec::new()),
        Some(class) if class >= rows => {
            let problem = DataProblem::TooFewRows { class, rows };
            Err(DataError::file(path, problem))
        }
        Some(class) => Ok((0..=class).map(|class| class.to_string()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples(labels: &[usize]) -> Vec<Example> {
        labels
            .iter()
            .zip(2..)
            .map(|(class, line)| Example {
                line,
                text: "the film".to_owned(),
                target: Target::Class(*class),
            })
            .collect()
    }

    fn check(labels: &[usize], classes: usize, all_needed: bool) -> Result<(), String> {
        check_classes(Path::new("a.csv"), &examples(labels), classes, all_needed)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn classes_are_named_by_number() {
        let named = |labels: &[usize]| class_names(Path::new("a.csv"), &examples(labels));
        assert_eq!(named(&[2, 0, 1]).unwrap(), ["0", "1", "2"]);
        assert_eq!(named(&[0]).unwrap(), ["0"]);
        for (labels, message) in [
            (&[3, 0][..], "a.csv: label 3 in 2 rows; "),
            (
                &[usize::MAX, 0],
                "a.csv: label 18446744073709551615 in 2 rows; ",
            ),
        ] {
            let error = named(labels).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn classes_with_examples_pass() {
        assert_eq!(check(&[0, 2, 1], 3, true), Ok(()));
    }

    #[test]
    fn a_class_without_example_matters_only_if_all_are_needed() {
        let message = "a.csv: class 1 of 3 has no example; number the labels without gaps from 0";
        assert_eq!(check(&[0, 2], 3, true), Err(message.to_owned()));
        assert_eq!(check(&[0, 2], 3, false), Ok(()));
    }

    #[test]
    fn a_label_out_of_range_names_its_line() {
        let message =
            "a.csv, line 3: label 2 is out of range; the training data has classes 0 to 1";
        assert_eq!(check(&[0, 2, 1], 2, true), Err(message.to_owned()));
        assert_eq!(check(&[0, 2, 1], 2, false), Err(message.to_owned()));
    }

    #[test]
    fn numbers_are_not_classes() {
        let example = Example {
            line: 2,
            text: "the film".to_owned(),
            target: Target::Number(7.0),
        };
        assert!(check_classes(Path::new("a.csv"), &[example], 2, false).is_ok());
    }
}
