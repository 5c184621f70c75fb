use crate::{DataError, DataProblem};
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[usize], classes: usize, all_needed: bool) -> Result<(), String> {
        let examples: Vec<Example> = labels
            .iter()
            .zip(2..)
            .map(|(class, line)| Example {
                line,
                text: "the film".to_owned(),
                target: Target::Class(*class),
            })
            .collect();
        check_classes(Path::new("a.csv"), &examples, classes, all_needed)
            .map_err(|error| error.to_string())
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
