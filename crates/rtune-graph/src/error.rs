use crate::{AttributeKind, Fact, Graph, Node};
use std::fmt;

/// A fault of a graph, with the place it is at.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphError {
    place: Place,
    /// On the heap, so that a `Result` stays small.
    kind: Box<GraphErrorKind>,
}

/// The part of a graph that an error is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The graph itself, by name.
    Graph(String),
    /// A node.
    Node {
        /// The node's name, which may be empty.
        name: String,
        /// The operator.
        op_type: String,
    },
    /// A node without a name.
    Unnamed {
        /// The first output.
        output: String,
        /// The operator.
        op_type: String,
    },
    /// A value, by name.
    Value(String),
    /// A graph input, by name.
    Input(String),
    /// A graph output, by name.
    Output(String),
    /// A constant, by name; without a name while it is built.
    Tensor(Option<String>),
}

/// The fault.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GraphErrorKind {
    /// Two definitions have the same name.
    DefinedTwice,
    /// No node, input or constant defines the value.
    NeverDefined,
    /// A node reads a value before it is defined.
    ReadsUndefined {
        /// The value.
        value: String,
    },
    /// The graph has no value of the name.
    NotFound,
    /// The model does not import the operator's domain.
    Domain(String),
    /// The model does not import the standard operator set.
    NoOperatorSet,
    /// The operator is not in the model's operator set.
    OperatorSet {
        /// The first operator set that has the operator.
        since: i64,
        /// The model's operator set.
        found: i64,
    },
    /// The node has the form of an older operator set.
    OldForm {
        /// The operator set that changed the form.
        changed: i64,
        /// The model's operator set.
        found: i64,
    },
    /// The number of inputs does not fit the operator.
    Inputs {
        /// The fewest.
        min: usize,
        /// The most, or `None` if there is no limit.
        max: Option<usize>,
        /// The node's.
        found: usize,
    },
    /// The number of outputs does not fit the operator.
    Outputs {
        /// The fewest.
        min: usize,
        /// The most, or `None` if there is no limit.
        max: Option<usize>,
        /// The node's.
        found: usize,
    },
    /// An input or output that is not optional is omitted.
    Omitted {
        /// `input` or `output`.
        what: &'static str,
        /// Its position.
        index: usize,
    },
    /// An attribute has another type than the operator takes.
    AttributeType {
        /// The attribute.
        name: String,
        /// The type that the operator takes.
        expected: AttributeKind,
        /// The attribute's type.
        found: AttributeKind,
    },
    /// An attribute that only newer operator sets have.
    NewAttribute {
        /// The attribute.
        name: String,
        /// The first operator set that has it.
        since: i64,
        /// The model's operator set.
        found: i64,
    },
    /// The operator has no such attribute.
    UnknownAttribute(String),
    /// The operator needs an attribute that the node does not have.
    MissingAttribute(String),
    /// The stated type or shape of an output contradicts the operator.
    Stated {
        /// The output.
        output: String,
        /// The fact that the graph states.
        stated: Fact,
        /// The fact that follows from the operator.
        inferred: Fact,
    },
    /// Any other fault, in words; mostly inputs that an operator does not accept.
    Other(String),
}

impl GraphError {
    /// True if the caller's input is the cause, which is always so here.
    pub fn is_input(&self) -> bool {
        true
    }

    /// An error at a place.
    pub fn new(place: Place, kind: impl Into<GraphErrorKind>) -> Self {
        Self {
            place,
            kind: Box::new(kind.into()),
        }
    }

    /// An error at a node.
    pub fn node(node: &Node, kind: impl Into<GraphErrorKind>) -> Self {
        Self::new(Place::of(node), kind)
    }

    /// An error at a value.
    pub fn value(name: impl Into<String>, kind: impl Into<GraphErrorKind>) -> Self {
        Self::new(Place::Value(name.into()), kind)
    }

    /// The part of the graph that the error is about.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The fault.
    pub fn kind(&self) -> &GraphErrorKind {
        &self.kind
    }

    /// The same fault, in which a node of the graph without a name is named by its output.
    pub(crate) fn named(self, graph: &Graph, node: &Node) -> Self {
        if self.place != Place::of(node) {
            return self;
        }
        let output = node.outputs.iter().flatten().next();
        let output = output.map(|id| graph.name_of(*id));
        self.at(Place::node(&node.name, &node.op_type, output))
    }

    /// The same fault at another place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

impl Place {
    /// The place of a node with a name or, if the name is empty, with an output.
    pub fn node(name: &str, op_type: &str, output: Option<&str>) -> Self {
        let op_type = op_type.to_owned();
        match output.filter(|_| name.is_empty()) {
            Some(output) => Self::Unnamed {
                output: output.to_owned(),
                op_type,
            },
            None => Self::Node {
                name: name.to_owned(),
                op_type,
            },
        }
    }

    /// The place of a node. See [`Place::node`] for nodes without a name.
    pub fn of(node: &Node) -> Self {
        Self::Node {
            name: node.name.clone(),
            op_type: node.op_type.clone(),
        }
    }
}

impl From<String> for GraphErrorKind {
    fn from(problem: String) -> Self {
        Self::Other(problem)
    }
}

impl From<&str> for GraphErrorKind {
    fn from(problem: &str) -> Self {
        Self::Other(problem.to_owned())
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(name) => write!(f, "graph `{name}`"),
            Self::Node { name, op_type } => write!(f, "node `{name}` ({op_type})"),
            Self::Unnamed { output, op_type } => write!(f, "node of `{output}` ({op_type})"),
            Self::Value(name) => write!(f, "value `{name}`"),
            Self::Input(name) => write!(f, "input `{name}`"),
            Self::Output(name) => write!(f, "output `{name}`"),
            Self::Tensor(Some(name)) => write!(f, "tensor `{name}`"),
            Self::Tensor(None) => f.write_str("tensor"),
        }
    }
}

impl fmt::Display for GraphErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefinedTwice => f.write_str("defined twice"),
            Self::NeverDefined => f.write_str("is never defined"),
            Self::ReadsUndefined { value } => {
                write!(f, "reads `{value}`, which no earlier node defines")
            }
            Self::NotFound => f.write_str("is not in the graph"),
            Self::Domain(domain) => write!(f, "the model does not import domain `{domain}`"),
            Self::NoOperatorSet => f.write_str("the model imports no standard operator set"),
            Self::OperatorSet { since, found } => {
                write!(f, "needs operator set {since}, the model has {found}")
            }
            Self::OldForm { changed, found } => write!(
                f,
                "has the form of operator sets before {changed}, the model has {found}"
            ),
            Self::Inputs { min, max, found } => {
                write!(f, "takes {} inputs, found {found}", Count(*min, *max))
            }
            Self::Outputs { min, max, found } => {
                write!(f, "has {} outputs, found {found}", Count(*min, *max))
            }
            Self::Omitted { what, index } => write!(f, "{what} {index} is missing"),
            Self::AttributeType {
                name,
                expected,
                found,
            } => write!(f, "attribute `{name}` must be {expected}, found {found}"),
            Self::NewAttribute { name, since, found } => write!(
                f,
                "attribute `{name}` needs operator set {since}, the model has {found}"
            ),
            Self::UnknownAttribute(name) => write!(f, "has no attribute `{name}`"),
            Self::MissingAttribute(name) => write!(f, "needs the attribute `{name}`"),
            Self::Stated {
                output,
                stated,
                inferred,
            } => write!(
                f,
                "output `{output}` is stated as {stated}, but is {inferred}"
            ),
            Self::Other(problem) => f.write_str(problem),
        }
    }
}

/// A range of counts in words.
struct Count(usize, Option<usize>);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (min, Some(max)) => write!(f, "{min} to {max}"),
            (min, None) => write!(f, "{min} or more"),
        }
    }
}

impl std::error::Error for GraphError {}
