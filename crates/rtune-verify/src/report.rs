use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of [`verify`](crate::verify). Its `Display` is the report for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Version of this format, from 1.
    pub version: u32,
    /// True if all outputs of all cases are within the tolerance, and the metadata agree.
    pub holds: bool,
    /// The absolute part of the tolerance.
    pub atol: f64,
    /// The relative part of the tolerance.
    pub rtol: f64,
    /// One check for each optimization level of the candidate.
    pub checks: Vec<Check>,
    /// The first node of the candidate whose value differs, if one was found.
    pub first_diverging_node: Option<String>,
    /// The fields of the metadata that differ.
    pub metadata: Vec<MetadataDifference>,
}

/// A field of the metadata of two models, which say by it how outputs become predictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataDifference {
    /// The name of the field.
    pub field: String,
    /// The place of the first value: the reference, or a file of the candidate.
    pub expected_in: String,
    /// The first value, as JSON.
    pub expected: String,
    /// The place of the second value.
    pub found_in: String,
    /// The second value, as JSON.
    pub found: String,
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
    /// The largest |a − b|; none if a number is not finite.
    pub max_abs: Option<f64>,
    /// The largest |a − b| / (atol + rtol · |a|); above 1 is beyond the tolerance. None if it is
    /// not finite: a number is not, or the tolerance is 0.
    pub max_ratio: Option<f64>,
    /// Numbers beyond the tolerance.
    pub mismatches: usize,
}

impl VerifyReport {
    /// Version of the format that this build writes.
    pub const VERSION: u32 = 2;

    /// Adds fields of the metadata that differ, with which nothing holds.
    pub fn add_metadata(&mut self, differences: impl IntoIterator<Item = MetadataDifference>) {
        self.metadata.extend(differences);
        self.holds &= self.metadata.is_empty();
    }
}

impl fmt::Display for MetadataDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            expected_in,
            expected,
            found_in,
            found,
        } = self;
        write!(
            f,
            "{field}: {expected} in {expected_in}, {found} in {found_in}"
        )
    }
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
        let largest = match self.max_abs {
            None => "not finite".to_owned(),
            Some(largest) => format!("{largest:.2e}"),
        };
        let ratio = match self.max_ratio {
            None => String::new(),
            Some(ratio @ ..1e4) => format!(", {ratio:.2} of the tolerance"),
            Some(ratio) => format!(", {ratio:.1e} times the tolerance"),
        };
        write!(
            f,
            "{}: {verdict}; {} texts, {} shapes from {} to {}, largest difference {largest}{ratio}",
            self.optimization,
            self.texts,
            self.shapes.len(),
            shape(self.shapes.first()),
            shape(self.shapes.last()),
        )
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let outputs_hold = self.checks.iter().all(|check| check.mismatches == 0);
        match &self.first_diverging_node {
            _ if outputs_hold => {}
            Some(node) => writeln!(f, "first diverging node: {node}")?,
            None => {
                writeln!(
                    f,
                    "no single node differs beyond the tolerance; only their sum does"
                )?;
            }
        }
        for difference in &self.metadata {
            writeln!(f, "metadata differ in {difference}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max_abs: Option<f64>, max_ratio: Option<f64>, mismatches: usize) -> Check {
        Check {
            optimization: "o".to_owned(),
            texts: 2,
            shapes: vec![vec![1, 3], vec![2, 4]],
            max_abs,
            max_ratio,
            mismatches,
        }
    }

    #[test]
    fn ratios_have_few_digits() {
        for (max_abs, max_ratio, expected) in [
            (Some(1e-7), Some(0.014), "1.00e-7, 0.01 of the tolerance"),
            (Some(1.0), Some(2e5), "1.00e0, 2.0e5 times the tolerance"),
            (
                Some(1.0),
                Some(1e300),
                "1.00e0, 1.0e300 times the tolerance",
            ),
            (Some(1.0), None, "1.00e0"),
            (None, None, "not finite"),
        ] {
            let text = check(max_abs, max_ratio, 0).to_string();
            let found = text
                .split_once("largest difference ")
                .map(|(_, found)| found);
            assert_eq!(found, Some(expected));
        }
    }

    #[test]
    fn metadata_that_differ_do_not_hold() {
        let mut report = VerifyReport {
            version: VerifyReport::VERSION,
            holds: true,
            atol: 0.0,
            rtol: 0.0,
            checks: vec![check(Some(0.0), Some(0.0), 0)],
            first_diverging_node: None,
            metadata: Vec::new(),
        };
        report.add_metadata(None);
        assert!(report.holds);
        report.add_metadata(Some(MetadataDifference {
            field: "link".to_owned(),
            expected_in: "a".to_owned(),
            expected: "1".to_owned(),
            found_in: "b".to_owned(),
            found: "2".to_owned(),
        }));
        assert!(!report.holds);
        let text = report.to_string();
        assert!(
            text.ends_with("\nmetadata differ in link: 1 in a, 2 in b\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
