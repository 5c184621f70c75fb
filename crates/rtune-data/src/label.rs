use crate::LabelProblem;
use rtune_task::{Target, Task};

/// The form of labels in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelKind {
    /// The index of a class, from 0.
    Index,
    /// One of these names. If none of the names is an integer, the index of a name is accepted too.
    Names(Vec<String>),
    /// A number.
    Number,
}

impl LabelKind {
    /// The form of the labels of a task whose classes have the names `labels`. Names that are just
    /// the numbers from 0 are indices.
    pub fn of_task(task: Task, labels: &[String]) -> Self {
        let mut numbered = labels.iter().enumerate();
        match task {
            Task::Regression => Self::Number,
            _ if numbered.all(|(index, label)| *label == index.to_string()) => Self::Index,
            _ => Self::Names(labels.to_vec()),
        }
    }

    /// Reads a label; white space around it is ignored.
    ///
    /// # Errors
    /// If the label has another form, or names no class.
    pub fn parse(&self, value: &str) -> Result<Target, LabelProblem> {
        let value = value.trim();
        match self {
            Self::Number => match value.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Target::Number(number)),
                _ => Err(LabelProblem::NotFinite(value.to_owned())),
            },
            Self::Index => {
                let class = value.parse().map(Target::Class);
                class.map_err(|_| LabelProblem::NotIndex(value.to_owned()))
            }
            Self::Names(names) => parse_name(names, value),
        }
    }
}

fn parse_name(names: &[String], value: &str) -> Result<Target, LabelProblem> {
    if let Some(class) = names.iter().position(|name| name == value) {
        return Ok(Target::Class(class));
    }
    // If a name is an integer itself, an index would be ambiguous.
    let ambiguous = names.iter().any(|name| name.parse::<i64>().is_ok());
    match value.parse() {
        Ok(class) if !ambiguous && class < names.len() => Ok(Target::Class(class)),
        Ok(class) if !ambiguous => Err(LabelProblem::OutOfRange {
            class,
            classes: names.len(),
        }),
        _ => Err(LabelProblem::Unknown {
            label: value.to_owned(),
            labels: names.to_vec(),
        }),
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
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let cases: [(Task, &[&str], LabelKind); 5] = [
            (Task::Regression, &[], LabelKind::Number),
            (Task::Ordinal, &[], LabelKind::Index),
            (Task::Ordinal, &["0", "1", "2"], LabelKind::Index),
            (Task::Ordinal, &["1", "0"], names(&["1", "0"])),
            (Task::Classification, &["a", "b"], names(&["a", "b"])),
        ];
        for (task, labels, expected) in cases {
            let labels: Vec<String> = owned(labels);
            assert_eq!(LabelKind::of_task(task, &labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn labels_are_understood_by_kind() {
        let scale = names(&["bad", "fair", "good"]);
        for (kind, label, expected) in [
            (LabelKind::Index, "2", Target::Class(2)),
            (LabelKind::Index, " 0 ", Target::Class(0)),
            (scale.clone(), "fair", Target::Class(1)),
            (scale.clone(), " good", Target::Class(2)),
            (scale, "1", Target::Class(1)),
            (names(&["3", "2", "1"]), "2", Target::Class(1)),
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
            (LabelKind::Index, "", "label `` is not an integer from 0"),
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
}
