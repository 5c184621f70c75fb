//! Differences between outputs of the float and the int8 model.

use crate::{Batch, QuantError};
use rtune_interrupt::Interrupt;
use rtune_runtime::Session;
use serde::Serialize;
use std::collections::BTreeMap;

/// Distance of an output of the int8 model from the float model's.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Drift {
    /// Number of compared elements: those that are finite in both outputs, or equal.
    pub elements: u64,
    /// Mean of |a − b|.
    pub mean_abs: f64,
    /// Largest |a − b|.
    pub max_abs: f64,
    /// Number of elements that differ and are NaN or infinite in one output. No other figure counts
    /// them.
    pub not_finite: u64,
    /// Ratio of signal to quantization noise, 10 log₁₀(Σ a² / Σ (a − b)²), in decibels; `None`
    /// without noise.
    pub sqnr_db: Option<f64>,
    #[serde(skip)]
    signal: f64,
    #[serde(skip)]
    noise: f64,
}

impl Drift {
    /// Returns the drift of all elements of two outputs.
    ///
    /// # Shapes
    /// Both slices have the same length; further elements of the longer one are ignored.
    pub fn of(float: &[f32], int8: &[f32]) -> Self {
        let mut drift = Self::default();
        drift.add(float, int8);
        drift
    }

    /// Adds elements of the float model's output and the int8 model's.
    ///
    /// # Shapes
    /// As in [`Drift::of`].
    pub fn add(&mut self, float: &[f32], int8: &[f32]) {
        for (a, b) in float.iter().zip(int8) {
            let same = a == b || (a.is_nan() && b.is_nan());
            let both_finite = a.is_finite() && b.is_finite();
            if !same && !both_finite {
                self.not_finite += 1;
                continue;
            }
            // Masked outputs may be infinite in both.
            let a = if a.is_finite() { f64::from(*a) } else { 0.0 };
            let difference = if same { 0.0 } else { (a - f64::from(*b)).abs() };
            self.elements += 1;
            self.mean_abs += (difference - self.mean_abs) / self.elements as f64;
            self.max_abs = self.max_abs.max(difference);
            self.signal += a * a;
            self.noise += difference * difference;
        }
        self.sqnr_db = (self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10());
    }
}

/// Runs both models on `batches` and returns the drift of each output in `outputs`, by name.
///
/// # Errors
/// If a batch cannot be read, a run fails, an output is not f32, or `interrupt` is requested.
pub fn output_drift(
    float: &mut Session,
    int8: &mut Session,
    outputs: &[String],
    batches: impl IntoIterator<Item = Result<Batch, QuantError>>,
    interrupt: &Interrupt,
) -> Result<BTreeMap<String, Drift>, QuantError> {
    let mut drifts: BTreeMap<String, Drift> = BTreeMap::new();
    for batch in batches {
        interrupt.check()?;
        let batch = batch?;
        let (float, int8) = (float.run(&batch.feeds())?, int8.run(&batch.feeds())?);
        for name in outputs {
            let (_, expected) = float.f32(name)?;
            let drift = drifts.entry(name.clone()).or_default();
            drift.add(expected, int8.f32(name)?.1);
        }
    }
    Ok(drifts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_hand_computed_table() {
        let mut drift = Drift::of(&[3.0, 0.0], &[3.0, 0.0]);
        assert_eq!((drift.max_abs, drift.sqnr_db), (0.0, None));
        drift.add(&[1.0], &[2.0]);
        // Signal 9 + 0 + 1, noise 1: 10 log₁₀ 10.
        let figures = (drift.elements, drift.max_abs, drift.sqnr_db);
        assert_eq!(figures, (3, 1.0, Some(10.0)));
        assert!((drift.mean_abs - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn infinite_and_nan_elements_are_counted_apart() {
        let mut drift = Drift::of(&[3.0, 1.0], &[3.0, 2.0]);
        let (infinity, nan) = (f32::INFINITY, f32::NAN);
        drift.add(
            &[-infinity, nan, 1.0, 2.0],
            &[-infinity, nan, nan, infinity],
        );
        assert_eq!((drift.elements, drift.not_finite), (4, 2));
        assert_eq!((drift.max_abs, drift.sqnr_db), (1.0, Some(10.0)));
    }
}
