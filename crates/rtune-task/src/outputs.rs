use crate::{Task, TaskError};
use serde::{Deserialize, Serialize};

/// An output of an exported model.
///
/// # Shapes
/// - [`Logits`](Self::Logits): `[batch, 1]`, the score of an ordinal model or the number of a
///   regression; of a classification `[batch, classes]`. Beside probabilities, those of an ordinal
///   model are log P(y = k), `[batch, classes]`, so that their softmax are the probabilities.
/// - [`Probabilities`](Self::Probabilities): `[batch, classes]`, in the order of the labels
/// - [`Score`](Self::Score): `[batch, 1]`
/// - [`Embedding`](Self::Embedding): `[batch, width]`
/// - [`LastHiddenState`](Self::LastHiddenState): `[batch, sequence, width]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The values that the head computes.
    Logits,
    /// The probability of each class.
    Probabilities,
    /// The score of an ordinal model, from which rtune predicts if there are probabilities.
    Score,
    /// The vector that the head reads: the token vectors as one.
    Embedding,
    /// The encoder's vector of each token; those of padding have no meaning.
    LastHiddenState,
}

impl Output {
    /// All outputs, in the order of every list.
    pub const ALL: [Self; 5] = [
        Self::Logits,
        Self::Probabilities,
        Self::Score,
        Self::Embedding,
        Self::LastHiddenState,
    ];

    /// The name in flags, files and graphs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
            Self::Score => "score",
            Self::Embedding => "embedding",
            Self::LastHiddenState => "last_hidden_state",
        }
    }

    /// The output with a name, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|output| output.name() == name)
    }

    /// Returns whether the head computes it.
    pub const fn is_of_head(self) -> bool {
        matches!(self, Self::Logits | Self::Probabilities | Self::Score)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The outputs of an exported model, in their order.
///
/// ```
/// use rtune_task::{Output, Outputs, Task};
///
/// let outputs = Outputs::new(Task::Ordinal, [Output::Probabilities, Output::Embedding])?;
/// assert_eq!(outputs.to_string(), "probabilities, embedding, score");
/// assert_eq!(outputs.interpreted(Task::Ordinal), Some(Output::Score));
/// # Ok::<(), rtune_task::TaskError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// The outputs of a list for a task. The output that rtune predicts from is added at the end if
    /// the list has another one of the head, but not that.
    ///
    /// # Errors
    /// If the list is empty or has an output twice, or the task does not have one of them.
    pub fn new(task: Task, list: impl IntoIterator<Item = Output>) -> Result<Self, TaskError> {
        let mut outputs = Self(list.into_iter().collect());
        let fail = |problem: String| Err(TaskError::new("outputs", problem));
        let list = &outputs.0;
        if list.is_empty() {
            return fail("at least one is needed".to_owned());
        }
        if let Some((_, twice)) = (0..).zip(list).find(|(at, o)| list[..*at].contains(o)) {
            return fail(format!("`{twice}` stands twice"));
        }
        let has_probabilities = outputs.has(Output::Probabilities);
        let is_missing = |output: &&Output| match (output, task) {
            (Output::Logits, Task::Embedding) => true,
            (Output::Probabilities, Task::Embedding | Task::Regression) => true,
            (Output::Score, Task::Ordinal) => !has_probabilities,
            (Output::Score, _) => true,
            _ => false,
        };
        if let Some(output) = list.iter().find(is_missing) {
            return fail(match task {
                Task::Embedding => format!("an encoder without a head has no `{output}`"),
                Task::Regression => format!("a regression has no classes, and so no `{output}`"),
                _ => format!("only ordinal models with `probabilities` have `{output}`"),
            });
        }
        let needed = outputs.of_predictions(task);
        if list.iter().any(|output| output.is_of_head()) && !outputs.has(needed) {
            outputs.0.push(needed);
        }
        Ok(outputs)
    }

    /// The outputs in order.
    pub fn list(&self) -> &[Output] {
        &self.0
    }

    /// Returns whether there is an output.
    pub fn has(&self, output: Output) -> bool {
        self.0.contains(&output)
    }

    /// Returns whether the head computes one of them.
    pub fn has_head(&self) -> bool {
        self.0.iter().any(|output| output.is_of_head())
    }

    /// The form of `logits`.
    pub fn form(&self) -> OutputForm {
        match self.has(Output::Probabilities) {
            true => OutputForm::Probabilities,
            false => OutputForm::Logits,
        }
    }

    /// The output that rtune predicts from, with the same numbers in both forms; none if the model
    /// has none of the head's.
    pub fn interpreted(&self, task: Task) -> Option<Output> {
        let output = self.of_predictions(task);
        self.has(output).then_some(output)
    }

    fn of_predictions(&self, task: Task) -> Output {
        match (self.form(), task) {
            (OutputForm::Probabilities, Task::Ordinal) => Output::Score,
            _ => Output::Logits,
        }
    }
}

/// `logits` alone: the outputs of models that state none.
impl Default for Outputs {
    fn default() -> Self {
        Self(vec![Output::Logits])
    }
}

impl std::fmt::Display for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|output| output.name()).collect();
        f.write_str(&names.join(", "))
    }
}

/// The form of the output `logits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputForm {
    /// The values that the head computes.
    #[default]
    Logits,
    /// A column for each class, whose softmax are the probabilities.
    Probabilities,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Output::{Embedding, LastHiddenState, Logits, Probabilities, Score};

    #[test]
    fn lists_keep_their_order_and_get_what_predictions_need() {
        type Case<'a> = (Task, &'a [Output], Result<&'a str, &'a str>);
        let cases: [Case<'_>; 13] = [
            (Task::Ordinal, &[Logits], Ok("logits")),
            (
                Task::Ordinal,
                &[Embedding, Probabilities, Logits],
                Ok("embedding, probabilities, logits, score"),
            ),
            (
                Task::Ordinal,
                &[Score, Probabilities],
                Ok("score, probabilities"),
            ),
            (
                Task::Classification,
                &[Probabilities],
                Ok("probabilities, logits"),
            ),
            (
                Task::Regression,
                &[LastHiddenState, Embedding],
                Ok("last_hidden_state, embedding"),
            ),
            (Task::Embedding, &[Embedding], Ok("embedding")),
            (Task::Ordinal, &[], Err("at least one is needed")),
            (
                Task::Ordinal,
                &[Logits, Embedding, Logits],
                Err("`logits` stands twice"),
            ),
            (
                Task::Regression,
                &[Probabilities],
                Err("a regression has no classes, and so no `probabilities`"),
            ),
            (
                Task::Embedding,
                &[Embedding, Logits],
                Err("an encoder without a head has no `logits`"),
            ),
            (
                Task::Ordinal,
                &[Logits, Score],
                Err("only ordinal models with `probabilities` have `score`"),
            ),
            (
                Task::Classification,
                &[Probabilities, Score],
                Err("only ordinal models with `probabilities` have `score`"),
            ),
            (
                Task::Regression,
                &[Score],
                Err("a regression has no classes, and so no `score`"),
            ),
        ];
        for (task, list, expected) in cases {
            let found = Outputs::new(task, list.iter().copied());
            let found = found
                .map(|outputs| outputs.to_string())
                .map_err(|error| error.problem);
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found, expected, "{task:?} {list:?}");
        }
    }

    #[test]
    fn names_are_those_of_json() {
        for output in Output::ALL {
            let json = serde_json::to_value(output).unwrap();
            assert_eq!(json, output.name());
            assert_eq!(Output::named(output.name()), Some(output));
        }
        assert_eq!(Output::named("pooler_output"), None);
    }
}
