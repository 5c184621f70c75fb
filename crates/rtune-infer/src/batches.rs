use crate::{InferError, OutputSpec};
use rtune_interrupt::{Interrupt, Interrupted};
use rtune_text::{Encoded, PaddedBatch, sorted_by_length};
use std::num::NonZeroUsize;

/// Computes the logits of texts, in their order, with `run` for each batch. Batches hold texts of
/// similar length. `progress` receives the number of texts done.
///
/// # Shapes
/// `run`: batch → `[batch, outputs]`; result: `[texts, outputs]`
///
/// # Errors
/// If `run` fails, the number of columns does not fit `outputs`, or a stop is requested.
pub fn logits_by_length<E: From<InferError> + From<Interrupted>>(
    texts: &[Encoded],
    batch_size: NonZeroUsize,
    padding: u32,
    outputs: &OutputSpec,
    run: &mut dyn FnMut(&PaddedBatch) -> Result<Vec<Vec<f32>>, E>,
    progress: &mut dyn FnMut(usize),
    interrupt: &Interrupt,
) -> Result<Vec<Vec<f32>>, E> {
    let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
    let mut rows = vec![Vec::new(); texts.len()];
    let mut done = 0;
    for indices in sorted_by_length(&lengths, batch_size) {
        interrupt.check()?;
        let batch = PaddedBatch::new(indices.iter().map(|index| &texts[*index]), padding);
        let found = run(&batch)?;
        if found.len() != indices.len() {
            let problem = format!("has {} rows, expected {}", found.len(), indices.len());
            return Err(outputs.problem(problem).into());
        }
        done += indices.len();
        for (index, row) in indices.into_iter().zip(found) {
            outputs.check(&row)?;
            rows[index] = row;
        }
        progress(done);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, OutputForm, Task};

    const REGRESSION: OutputSpec = OutputSpec {
        task: Task::Regression,
        labels: Vec::new(),
        scale: None,
        decision: Decision::Mode,
        output: OutputForm::LOGITS,
    };

    /// Runs a model whose logit is the sum of the token ids.
    fn sums(columns: usize, interrupt: &Interrupt) -> Result<(Vec<f32>, Vec<usize>), InferError> {
        let texts = [&[3, 4, 5][..], &[1], &[2, 2]].map(|ids| Encoded::new(ids.to_vec()));
        let mut seen = Vec::new();
        let mut run = |batch: &PaddedBatch| -> Result<_, InferError> {
            let rows = batch.input_ids.chunks(batch.sequence);
            let sum = |row: &[u32]| row.iter().sum::<u32>() as f32;
            Ok(rows.map(|row| vec![sum(row); columns]).collect())
        };
        let mut progress = |done| seen.push(done);
        let rows = logits_by_length(
            &texts,
            NonZeroUsize::new(2).unwrap(),
            0,
            &REGRESSION,
            &mut run,
            &mut progress,
            interrupt,
        )?;
        Ok((rows.concat(), seen))
    }

    #[test]
    fn rows_come_back_in_the_order_of_the_texts() {
        let (rows, seen) = sums(1, &Interrupt::new()).unwrap();
        assert_eq!(rows, [12.0, 1.0, 4.0]);
        assert_eq!(seen.last(), Some(&3));
    }

    #[test]
    fn wrong_columns_are_an_error() {
        let error = sums(2, &Interrupt::new()).unwrap_err();
        assert!(
            error.to_string().starts_with("`logits`: has 2 columns"),
            "{error}"
        );
        assert!(error.is_input());
    }

    #[test]
    fn a_request_to_stop_is_followed_between_batches() {
        let error = sums(1, &Interrupt::after(1)).unwrap_err();
        assert!(matches!(error, InferError::Interrupted(_)), "{error}");
        assert!(!error.is_input());
    }
}
