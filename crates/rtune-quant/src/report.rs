//! The content of `quantization.json`.

use crate::{Census, Drift, MetricGate, Quantized, RangeMethod, Ranges};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Result of a quantization: the content of `quantization.json`.
///
/// `M` is the caller's type for the metrics of one model on labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantizationReport<M> {
    /// Version of the fields below, [`QuantizationReport::VERSION`].
    pub version: u32,
    /// The int8 file.
    pub model: PathBuf,
    /// Size of the int8 file in bytes.
    pub bytes: u64,
    /// Size of the float file in bytes.
    pub source_bytes: u64,
    /// Range method of the activations.
    pub method: RangeMethod,
    /// True if the weights rule out 16-bit saturation.
    pub saturation_free: bool,
    /// Number of calibration texts or files.
    pub samples: usize,
    /// `texts` or `files of tensors`.
    pub calibrated_with: &'static str,
    /// Range of each activation.
    pub ranges: Ranges,
    /// Quantized operations, and those left in float with the reason.
    pub quantized: Quantized,
    /// Operators of the model as the runtime rewrites it on this machine.
    pub runtime: Census,
    /// Drift of each float output, if the model was calibrated with files of tensors.
    pub output_drift: BTreeMap<String, Drift>,
    /// Comparison with the float model on labelled rows, if there were any.
    pub evaluation: Option<Evaluation<M>>,
    /// Peak resident memory of the process in megabytes, if the system reports it.
    pub peak_rss_mb: Option<f64>,
}

impl<M> QuantizationReport<M> {
    /// Current version of the fields. Incompatible changes raise it.
    pub const VERSION: u32 = 2;
}

/// The int8 model against the float one on labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation<M> {
    /// The metric of the gate, with the drop and its limit.
    #[serde(flatten)]
    pub gate: MetricGate,
    /// Mean |a − b| of the output that predictions follow from.
    pub mean_score_drift: f64,
    /// Largest |a − b| of that output.
    pub max_score_drift: f64,
    /// Metrics of the float model.
    pub float: M,
    /// Metrics of the int8 model.
    pub int8: M,
}

/// Lists the results in lines for people.
impl<M: fmt::Display> fmt::Display for QuantizationReport<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, source_bytes) = (self.bytes as f64 / 1e6, self.source_bytes as f64 / 1e6);
        let model = self.model.display();
        writeln!(f, "{model}: {bytes:.1} MB, was {source_bytes:.1} MB")?;
        writeln!(
            f,
            "calibrated with {} {}",
            self.samples, self.calibrated_with
        )?;
        let integer = self.runtime.integer.len();
        let total = integer + self.runtime.float.len();
        writeln!(
            f,
            "{integer} of {total} products with constant weights run as integers"
        )?;
        for weight in &self.runtime.float {
            writeln!(f, "stays float: {weight}")?;
        }
        for (name, drift) in &self.output_drift {
            let (mean, largest) = (drift.mean_abs, drift.max_abs);
            write!(
                f,
                "output {name}: mean drift {mean:.4}, largest {largest:.4}"
            )?;
            if let Some(sqnr) = drift.sqnr_db {
                write!(f, ", signal to noise {sqnr:.1} dB")?;
            }
            writeln!(f)?;
            if drift.not_finite > 0 {
                let count = drift.not_finite;
                writeln!(
                    f,
                    "output {name}: {count} elements are finite in one model only"
                )?;
            }
        }
        if let Some(e) = &self.evaluation {
            writeln!(f, "float  {}\nint8   {}", e.float, e.int8)?;
            let (mean, largest) = (e.mean_score_drift, e.max_score_drift);
            writeln!(
                f,
                "output drift: mean {mean:.4}, largest {largest:.4}, in the unit of the output"
            )?;
            writeln!(f, "{}; {} is accepted", e.gate, e.gate.limit())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GateMetric;
    use serde_json::json;

    fn report() -> QuantizationReport<&'static str> {
        QuantizationReport {
            version: QuantizationReport::<()>::VERSION,
            model: "int8/model.onnx".into(),
            bytes: 1_250_000,
            source_bytes: 4_000_000,
            method: RangeMethod::ALL[1],
            saturation_free: true,
            samples: 12,
            calibrated_with: "texts",
            ranges: [("x".to_owned(), (-1.0, 2.0))].into(),
            quantized: Quantized::default(),
            runtime: Census {
                operators: [("QGemm".to_owned(), 1)].into(),
                integer: vec!["a".to_owned()],
                float: vec!["b".to_owned()],
            },
            output_drift: [("y".to_owned(), Drift::of(&[1.0, f32::NAN], &[1.5, 1.0]))].into(),
            evaluation: Some(Evaluation {
                gate: MetricGate::new(
                    GateMetric {
                        name: "qwk",
                        higher_is_better: true,
                        is_relative: false,
                    },
                    Some(0.75),
                    Some(0.5),
                    0.01,
                ),
                mean_score_drift: 0.125,
                max_score_drift: 0.5,
                float: "qwk 0.75",
                int8: "qwk 0.50",
            }),
            peak_rss_mb: None,
        }
    }

    #[test]
    fn json_has_the_fields_that_readers_rely_on() {
        assert_eq!(
            serde_json::to_value(report()).unwrap(),
            json!({
                "version": 2,
                "model": "int8/model.onnx",
                "bytes": 1_250_000,
                "source_bytes": 4_000_000,
                "method": "percentile 99.999",
                "saturation_free": true,
                "samples": 12,
                "calibrated_with": "texts",
                "ranges": {"x": [-1.0, 2.0]},
                "quantized": {"products": [], "lookups": [], "left_float": []},
                "runtime": {"operators": {"QGemm": 1}, "integer": ["a"], "float": ["b"]},
                "output_drift": {"y": {
                    "elements": 1,
                    "mean_abs": 0.5,
                    "max_abs": 0.5,
                    "not_finite": 1,
                    "sqnr_db": 10.0 * 4_f64.log10(),
                }},
                "evaluation": {
                    "metric": "qwk",
                    "relative": false,
                    "drop": 0.25,
                    "max_drop": 0.01,
                    "holds": false,
                    "mean_score_drift": 0.125,
                    "max_score_drift": 0.5,
                    "float": "qwk 0.75",
                    "int8": "qwk 0.50",
                },
                "peak_rss_mb": null,
            })
        );
    }

    #[test]
    fn text_names_the_layers_that_stay_in_float() {
        assert_eq!(
            report().to_string(),
            "int8/model.onnx: 1.2 MB, was 4.0 MB\n\
             calibrated with 12 texts\n\
             1 of 2 products with constant weights run as integers\n\
             stays float: b\n\
             output y: mean drift 0.5000, largest 0.5000, signal to noise 6.0 dB\n\
             output y: 1 elements are finite in one model only\n\
             float  qwk 0.75\n\
             int8   qwk 0.50\n\
             output drift: mean 0.1250, largest 0.5000, in the unit of the output\n\
             qwk is worse by 0.2500; 0.01 is accepted\n"
        );
    }
}
