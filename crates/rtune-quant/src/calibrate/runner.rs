//! The calibration run.

use super::rows::{Rows, token_runs};
use super::{Batch, Histogram};
use crate::{Plan, QuantError, RangeMethod, Ranges};
use rtune_interrupt::Interrupt;
use rtune_runtime::{RuntimeError, Session};
use std::collections::BTreeMap;

/// Histograms of the tensors that a [`Plan`] needs ranges of, filled by runs of the float model.
///
/// Ranges do not depend on the order of the batches, nor on how texts are grouped into batches as
/// long as the model itself gives the same values.
#[derive(Debug, Clone)]
pub struct Calibrator {
    tensors: BTreeMap<String, Observed>,
    samples: usize,
}

#[derive(Debug, Clone)]
struct Observed {
    rows: Rows,
    histogram: Histogram,
}

impl Calibrator {
    /// A calibrator without values for the tensors of `plan`.
    pub fn new(plan: &Plan<'_>) -> Self {
        let observed = |rows| Observed {
            rows,
            histogram: Histogram::default(),
        };
        let tensors = plan.calibrated().map(|(name, rows)| (name, observed(rows)));
        Self {
            tensors: tensors.collect(),
            samples: 0,
        }
    }

    /// Runs the model on all batches. `session` runs [`Plan::tapped`]; after each batch, `progress`
    /// gets the number of samples so far.
    ///
    /// # Errors
    /// If a batch cannot be read, a run fails, or `interrupt` is requested.
    pub fn run(
        &mut self,
        session: &mut Session,
        batches: impl IntoIterator<Item = Result<Batch, QuantError>>,
        interrupt: &Interrupt,
        mut progress: impl FnMut(usize),
    ) -> Result<(), QuantError> {
        for batch in batches {
            interrupt.check()?;
            self.observe(session, &batch?)?;
            progress(self.samples);
        }
        Ok(())
    }

    /// Runs the model on one batch and adds the values of each tensor, without rows of padding
    /// where a tensor has one row per token and the batch has an `attention_mask`.
    ///
    /// # Errors
    /// If the run fails, or a tensor with one row per token does not have that many rows. A run
    /// that the runtime refuses is an error of the batch's file, if it has one.
    pub fn observe(&mut self, session: &mut Session, batch: &Batch) -> Result<(), QuantError> {
        let of_file = |error: RuntimeError| match &batch.origin {
            None => QuantError::Runtime(error),
            Some(path) => QuantError::Sample {
                path: path.clone(),
                problem: error.to_string(),
            },
        };
        let outputs = session.run(&batch.feeds()).map_err(of_file)?;
        let mask = batch.mask();
        for (name, observed) in &mut self.tensors {
            let (dims, values) = outputs.f32(name).map_err(of_file)?;
            observed.add(name, &dims, values, mask.as_deref())?;
        }
        self.samples += batch.samples();
        Ok(())
    }

    /// Number of texts or files seen.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Returns the range of each tensor.
    ///
    /// # Errors
    /// If a tensor was not seen, was NaN or infinite, or reached beyond 10³⁰.
    pub fn ranges(&self, method: RangeMethod) -> Result<Ranges, QuantError> {
        let range = |(name, observed): (&String, &Observed)| {
            Ok((name.clone(), method.range(name, &observed.histogram)?))
        };
        self.tensors.iter().map(range).collect()
    }
}

impl Observed {
    fn add(
        &mut self,
        name: &str,
        dims: &[usize],
        values: &[f32],
        mask: Option<&[bool]>,
    ) -> Result<(), QuantError> {
        let (Rows::PerToken, Some(mask)) = (self.rows, mask) else {
            self.histogram.add(values);
            return Ok(());
        };
        let rows = dims
            .split_last()
            .map(|(_, leading)| leading.iter().product());
        if rows != Some(mask.len()) {
            return Err(QuantError::Shape {
                tensor: name.to_owned(),
                dims: dims.to_vec(),
                tokens: mask.len(),
            });
        }
        let width = dims.last().copied().unwrap_or_default();
        for tokens in token_runs(mask) {
            self.histogram
                .add(&values[tokens.start * width..tokens.end * width]);
        }
        Ok(())
    }
}
