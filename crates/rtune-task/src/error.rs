/// A contradiction within a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TaskError {
    /// The name of the setting.
    pub place: String,
    /// The expected value and the value found.
    pub problem: String,
}

impl TaskError {
    /// Names a setting and the problem with it.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// Returns true if the caller's input is the cause, which holds for all of these.
    pub fn is_input(&self) -> bool {
        true
    }
}
