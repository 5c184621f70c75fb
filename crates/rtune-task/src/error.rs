/// A task that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct TaskError {
    /// The setting.
    pub place: String,
    /// Expected and found.
    pub problem: String,
}
