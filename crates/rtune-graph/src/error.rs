use std::fmt;

/// What is wrong with a graph, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    place: String,
    problem: String,
}

impl GraphError {
    /// An error at `place`: a node, a value or the graph itself.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
        }
    }

    /// The node, value or graph that the problem is in.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was expected and what was found.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for GraphError {}
