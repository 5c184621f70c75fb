//! Labels as classes or numbers.

use crate::{DataProblem, LabelProblem};
use rtune_task::{Target, Task};
use std::collections::BTreeSet;

/// The form of labels in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LabelKind {
    /// The index of a class, from 0.
    Index,
    /// One of these names. If none of the names is an integer, the index of a name is accepted too.
    Names(Vec<String>),
    /// A number.
    Number,
}

impl LabelKind {
    /// The form of the labels of a task whose classes have the names `labels`; without names, they
    /// are indices.
    pub(crate) fn of_task(task: Task, labels: &[String]) -> Self {
        match task {
            Task::Regression | Task::Embedding => Self::Number,
            _ if labels.is_empty() => Self::Index,
            _ => Self::Names(labels.to_vec()),
        }
    }

    /// Parses a label; white space around it is ignored.
    ///
    /// # Errors
    /// If the label has another form, or names no class.
    pub(crate) fn parse(&self, value: &str) -> Result<Target, LabelProblem> {
        let value = value.trim();
        if value.is_empty() {
            return Err(LabelProblem::Missing);
        }
        match self {
            Self::Number => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Target::Number(number)),
                _ => Err(LabelProblem::NotFinite(value.to_owned())),
            },
            Self::Index => match whole(value).map(usize::try_from) {
                Some(Ok(class)) => Ok(Target::Class(class)),
                _ => Err(LabelProblem::NotIndex(value.to_owned())),
            },
            Self::Names(names) => parse_name(names, value),
        }
    }
}

fn parse_name(names: &[String], value: &str) -> Result<Target, LabelProblem> {
    if let Some(class) = names.iter().position(|name| name == value) {
        return Ok(Target::Class(class));
    }
    let unknown = || LabelProblem::Unknown {
        label: value.to_owned(),
        labels: names.to_vec(),
    };
    let number = whole(value).ok_or_else(unknown)?;
    let mut numbers = names.iter().map(|name| whole(name));
    if let Some(class) = numbers.clone().position(|name| name == Some(number)) {
        return Ok(Target::Class(class));
    }
    // If a name is an integer itself, an index would be ambiguous.
    if numbers.any(|name| name.is_some()) {
        return Err(unknown());
    }
    match usize::try_from(number) {
        Ok(class) if class < names.len() => Ok(Target::Class(class)),
        Ok(class) => Err(LabelProblem::OutOfRange {
            class,
            classes: names.len(),
        }),
        Err(_) => Err(unknown()),
    }
}

/// Returns an integer that may be written as `1`, `01` or `1.0`.
fn whole(value: &str) -> Option<i64> {
    // The largest number up to which a float has every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT;
    let of_float = || value.parse().ok().filter(exact).map(|number| number as i64);
    value.parse().ok().or_else(of_float)
}

/// The labels of training rows that have no names yet.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    indices: BTreeSet<usize>,
    /// Labels that are no index.
    others: BTreeSet<String>,
}

impl Unnamed {
    /// Largest number of labels that a message lists.
    const LISTED: usize = 20;

    pub(crate) fn push(&mut self, label: &Result<Target, LabelProblem>) {
        match label {
            Ok(target) => self.indices.extend(target.class()),
            Err(LabelProblem::NotIndex(value)) => {
                self.others.insert(value.clone());
            }
            Err(_) => {}
        }
    }

    /// Returns the names of the classes, which are their numbers.
    ///
    /// # Errors
    /// If the labels as a whole do not number the classes. If only some are no integers, those rows
    /// are at fault, and not the labels as a whole.
    pub(crate) fn names(&self) -> Result<Vec<String>, DataProblem> {
        let gaps = self
            .indices
            .iter()
            .enumerate()
            .any(|(index, class)| index != *class);
        let numeric = |label: &String| label.parse::<f64>().is_ok_and(f64::is_finite);
        let of_rows = !self.indices.is_empty() && !self.others.iter().all(numeric);
        if (gaps || !self.others.is_empty()) && !of_rows {
            let mut found: Vec<String> = self.indices.iter().map(ToString::to_string).collect();
            found.extend(self.others.iter().cloned());
            if found.iter().all(numeric) {
                let number = |label: &String| label.parse::<f64>().unwrap_or(f64::NAN);
                found.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            if let [label] = &*found {
                return Err(DataProblem::OneClass(label.clone()));
            }
            let more = found.len().saturating_sub(Self::LISTED);
            found.truncate(Self::LISTED);
            return Err(DataProblem::Unnamed { found, more });
        }
        Ok(self.indices.iter().map(ToString::to_string).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> LabelKind {
        LabelKind::Names(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn the_kind_follows_from_task_and_names() {
        let cases: [(Task, &[&str], LabelKind); 4] = [
            (Task::Regression, &[], LabelKind::Number),
            (Task::Ordinal, &[], LabelKind::Index),
            (Task::Ordinal, &["0", "1", "2"], names(&["0", "1", "2"])),
            (Task::Classification, &["a", "b"], names(&["a", "b"])),
        ];
        for (task, labels, expected) in cases {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            assert_eq!(LabelKind::of_task(task, &labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn labels_are_understood_by_kind() {
        let scale = names(&["bad", "fair", "good"]);
        for (kind, label, expected) in [
            (LabelKind::Index, "2", Target::Class(2)),
            (LabelKind::Index, " 0 ", Target::Class(0)),
            (LabelKind::Index, "1.0", Target::Class(1)),
            (LabelKind::Index, "-0.0", Target::Class(0)),
            (scale.clone(), "fair", Target::Class(1)),
            (scale.clone(), " good", Target::Class(2)),
            (scale.clone(), "1", Target::Class(1)),
            (scale, "2.0", Target::Class(2)),
            (names(&["3", "2", "1"]), "2", Target::Class(1)),
            (names(&["1", "2", "3"]), "2.0", Target::Class(1)),
            (names(&["1.0", "2.0"]), "2", Target::Class(1)),
            (names(&["-1", "0", "1"]), "-1.0", Target::Class(0)),
            (names(&["0.5", "1.5"]), "1.5", Target::Class(1)),
            (LabelKind::Number, "-1.5e2", Target::Number(-150.0)),
        ] {
            assert_eq!(kind.parse(label), Ok(expected), "{kind:?} {label}");
        }
    }

    #[test]
    fn other_labels_are_errors_that_say_why() {
        let scale = names(&["bad", "good"]);
        for (kind, label, message) in [
            (
                LabelKind::Index,
                "good",
                "label `good` is not an integer from 0",
            ),
            (
                LabelKind::Index,
                "-1",
                "label `-1` is not an integer from 0",
            ),
            (
                LabelKind::Index,
                "1.5",
                "label `1.5` is not an integer from 0",
            ),
            (
                LabelKind::Index,
                "1e300",
                "label `1e300` is not an integer from 0",
            ),
            (LabelKind::Index, " ", "the label is missing"),
            (
                scale.clone(),
                "fine",
                "unknown label `fine`; the labels are bad, good",
            ),
            (
                scale.clone(),
                "Good",
                "unknown label `Good`; the labels are bad, good",
            ),
            (
                scale.clone(),
                "-1",
                "unknown label `-1`; the labels are bad, good",
            ),
            (
                scale,
                "7",
                "label 7 is out of range; there are 2 classes, 0 to 1",
            ),
            (
                names(&["1", "2"]),
                "0",
                "unknown label `0`; the labels are 1, 2",
            ),
            (
                LabelKind::Number,
                "high",
                "label `high` is not a finite number",
            ),
            (
                LabelKind::Number,
                "NaN",
                "label `NaN` is not a finite number",
            ),
            (
                LabelKind::Number,
                "inf",
                "label `inf` is not a finite number",
            ),
        ] {
            let found = kind.parse(label).unwrap_err().to_string();
            assert_eq!(found, message, "{kind:?} {label}");
        }
    }

    fn unnamed(labels: &[&str]) -> Result<Vec<String>, String> {
        let mut unnamed = Unnamed::default();
        for label in labels {
            unnamed.push(&LabelKind::Index.parse(label));
        }
        unnamed.names().map_err(|problem| problem.to_string())
    }

    #[test]
    fn labels_without_names_number_the_classes() {
        assert_eq!(unnamed(&["2", "0.0", "1", "2"]).unwrap(), ["0", "1", "2"]);
        assert_eq!(unnamed(&["0"]).unwrap(), ["0"]);
        // The rows of the other labels are at fault.
        assert_eq!(unnamed(&["0", "1", "n/a"]).unwrap(), ["0", "1"]);
    }

    #[test]
    fn other_labels_are_listed_in_their_order() {
        let end = "; labels without names are the integers from 0 without gaps";
        for (labels, found) in [
            (&["5", "1", "3"][..], "1, 3, 5"),
            (&["10", "9.0"], "9, 10"),
            (&["1", "-1", "0"], "-1, 0, 1"),
            (&["1.5", "1", "0.5", "0"], "0, 0.5, 1, 1.5"),
            (&["good", "bad"], "bad, good"),
            (&["0", "1700000000"], "0, 1700000000"),
            (&["True", "False"], "False, True"),
        ] {
            let message = format!("the labels are {found}{end}");
            assert_eq!(unnamed(labels).unwrap_err(), message);
        }
        let message = "all labels are 3; at least two classes are needed";
        assert_eq!(unnamed(&["3", "3"]).unwrap_err(), message);
        let many: Vec<String> = (1..=30).map(|label| label.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let message = unnamed(&many).unwrap_err();
        assert!(message.contains("19, 20, and 10 more; "), "{message}");
    }
}
