/// A contradiction within a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TaskError {
    /// The name of the setting.
    pub place: String,
    /// The expected value and the value found.
    pub problem: String,
}
