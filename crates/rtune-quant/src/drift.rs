use serde::Serialize;

/// How far an output of the int8 model is from the float model's.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Drift {
    /// Elements compared that are finite, or the same, in both.
    pub elements: u64,
    /// The mean of |a − b|.
    pub mean_abs: f64,
    /// The largest |a − b|.
    pub max_abs: f64,
    /// Elements that differ and of which one is no finite number; they are in no other figure.
    pub not_finite: u64,
    /// The ratio of signal to quantization noise, 10 log₁₀(Σ a² / Σ (a − b)²), in decibels; `None`
    /// without noise.
    pub sqnr_db: Option<f64>,
    #[serde(skip)]
    signal: f64,
    #[serde(skip)]
    noise: f64,
}

impl Drift {
    /// Adds elements of the float model's output and the int8 model's.
    pub fn add(&mut self, float: &[f32], int8: &[f32]) {
        for (a, b) in float.iter().zip(int8) {
            let same = a == b || (a.is_nan() && b.is_nan());
            let finite = a.is_finite() && b.is_finite();
            if !same && !finite {
                self.not_finite += 1;
                continue;
            }
            // Masked outputs may be infinite in both.
            let a = if a.is_finite() { f64::from(*a) } else { 0.0 };
            let difference = if same { 0.0 } else { (a - f64::from(*b)).abs() };
            self.elements += 1;
            #[allow(clippy::cast_precision_loss)] // Elements are far fewer than 2⁵³.
            let share = 1.0 / self.elements as f64;
            self.mean_abs += (difference - self.mean_abs) * share;
            self.max_abs = self.max_abs.max(difference);
            self.signal += a * a;
            self.noise += difference * difference;
        }
        self.sqnr_db = (self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_hand_computed_table() {
        let mut drift = Drift::default();
        drift.add(&[3.0, 0.0], &[3.0, 0.0]);
        assert_eq!((drift.max_abs, drift.sqnr_db), (0.0, None));
        drift.add(&[1.0], &[2.0]);
        // Signal 9 + 0 + 1, noise 1: 10 log₁₀ 10.
        assert_eq!(
            (drift.elements, drift.max_abs, drift.sqnr_db),
            (3, 1.0, Some(10.0))
        );
        assert!((drift.mean_abs - 1.0 / 3.0).abs() < 1e-12);
        drift.add(
            &[f32::NEG_INFINITY, 1.0, 2.0],
            &[f32::NEG_INFINITY, f32::NAN, f32::INFINITY],
        );
        assert_eq!(
            (
                drift.elements,
                drift.not_finite,
                drift.max_abs,
                drift.sqnr_db
            ),
            (4, 2, 1.0, Some(10.0))
        );
    }
}
