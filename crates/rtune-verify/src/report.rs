use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of [`verify`](crate::verify). Its `Display` is the report for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Version of this format, from 1.
    pub version: u32,
    /// True if all outputs of all cases are within the tolerance.
    pub holds: bool,
    /// The absolute part of the tolerance.
    pub atol: f64,
    /// The relative part of the tolerance.
    pub rtol: f64,
    /// One check for each optimization level of the candidate.
    pub checks: Vec<Check>,
    /// The first node of the candidate whose value differs, if one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_diverging_node: Option<String>,
}

/// One optimization level of the candidate over all cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The level, as the runtime's documentation names it.
    pub optimization: String,
    /// Number of texts that the cases were made of.
    pub texts: usize,
    /// Shapes of the first input in ascending order, each once.
    pub shapes: Vec<Vec<usize>>,
    /// The largest |a − b|.
    pub max_abs: f64,
    /// The largest |a − b| / (atol + rtol · |a|); above 1 is beyond the tolerance.
    pub max_ratio: f64,
    /// Numbers beyond the tolerance.
    pub mismatches: usize,
}

impl VerifyReport {
    /// Version of the format that this build writes.
    pub const VERSION: u32 = 1;
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.mismatches {
            0 => "holds".to_owned(),
            n => format!("fails for {n} numbers"),
        };
        let shape = |shape: Option<&Vec<usize>>| {
            let dims = shape.into_iter().flatten().map(ToString::to_string);
            dims.collect::<Vec<_>>().join("×")
        };
        write!(
            f,
            "{}: {verdict}; {} texts, {} shapes from {} to {}, \
             largest difference {:.2e}, {:.2} of the tolerance",
            self.optimization,
            self.texts,
            self.shapes.len(),
            shape(self.shapes.first()),
            shape(self.shapes.last()),
            self.max_abs,
            self.max_ratio,
        )
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        match &self.first_diverging_node {
            _ if self.holds => Ok(()),
            Some(node) => writeln!(f, "first diverging node: {node}"),
            None => {
                writeln!(
                    f,
                    "no single node differs beyond the tolerance; only their sum does"
                )
            }
        }
    }
}
