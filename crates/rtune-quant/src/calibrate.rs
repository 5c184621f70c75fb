use crate::{Histogram, QuantError};
use rtune_runtime::{Feed, Session};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a range follows from what calibration saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeMethod {
    /// From the smallest to the largest value.
    MinMax,
    /// So many percent of the values, with as much cut off on each side.
    Percentile(f64),
}

/// The range of each tensor by name.
pub type Ranges = BTreeMap<String, (f32, f32)>;

/// Beyond this, products of the range overflow; it is what masks hold, not activations.
const MAX_RANGE: f32 = 1e30;

/// Watches tensors while a model runs.
#[derive(Debug, Clone, Default)]
pub struct Calibration {
    histograms: BTreeMap<String, Histogram>,
    samples: usize,
}

impl Calibration {
    /// Watches the outputs named in `tensors` of a model whose graph has been tapped for them.
    pub fn new<'a>(tensors: impl IntoIterator<Item = &'a str>) -> Self {
        let histograms = tensors
            .into_iter()
            .map(|name| (name.to_owned(), Histogram::default()))
            .collect();
        Self {
            histograms,
            samples: 0,
        }
    }

    /// Runs one batch and adds what the tensors held. Rows of padding, where `mask` is 0, are left
    /// out.
    ///
    /// # Shapes
    /// mask `[batch · sequence]`. A tensor with one row for each token follows the mask; one with
    /// another number of rows is taken whole.
    ///
    /// # Errors
    /// Where the runtime fails or a tensor has no rows.
    pub fn observe(
        &mut self,
        session: &mut Session,
        feeds: &[Feed<'_>],
        mask: &[u8],
        batch: usize,
    ) -> Result<(), QuantError> {
        let outputs = session.run(feeds)?;
        for (name, histogram) in &mut self.histograms {
            let (dims, values) = outputs.f32(name)?;
            let Some((width, _)) = dims.split_last() else {
                return Err(QuantError::Shape {
                    tensor: name.clone(),
                    dims,
                    batch,
                    sequence: mask.len() / batch.max(1),
                });
            };
            let rows = values.len() / (*width).max(1);
            if rows != mask.len() {
                histogram.add(values);
                continue;
            }
            for tokens in runs(mask) {
                histogram.add(&values[tokens.start * width..tokens.end * width]);
            }
        }
        self.samples += batch;
        Ok(())
    }

    /// The number of texts seen.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The range of each tensor.
    ///
    /// # Errors
    /// Where a tensor was not seen, or held a value that no range can.
    pub fn ranges(&self, method: RangeMethod) -> Result<Ranges, QuantError> {
        self.histograms
            .iter()
            .map(|(name, histogram)| {
                if let Some(value) = histogram.broken() {
                    return Err(QuantError::Range {
                        tensor: name.clone(),
                        value,
                    });
                }
                let range = match method {
                    RangeMethod::MinMax => histogram.min_max(),
                    RangeMethod::Percentile(percent) => histogram.percentile(percent),
                };
                let (min, max) = range.ok_or_else(|| QuantError::Unseen(name.clone()))?;
                let largest = if max.abs() > min.abs() { max } else { min };
                if largest.abs() > MAX_RANGE {
                    return Err(QuantError::Range {
                        tensor: name.clone(),
                        value: largest,
                    });
                }
                Ok((name.clone(), (min, max)))
            })
            .collect()
    }
}

/// The stretches of tokens between padding.
fn runs(mask: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (index, token) in mask.iter().chain([&0]).enumerate() {
        match (token, start) {
            (1, None) => start = Some(index),
            (0, Some(from)) => {
                runs.push(from..index);
                start = None;
            }
            _ => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_leave_padding_out() {
        assert_eq!(runs(&[1, 1, 0, 0, 1, 0, 1]), [0..2, 4..5, 6..7]);
        assert_eq!(runs(&[0, 0]), Vec::<std::ops::Range<usize>>::new());
    }
}
