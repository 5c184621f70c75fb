use crate::{InferError, LabeledPrediction, OutputSpec};
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

/// Predicts the texts that could be encoded, whose logits `logits` computes. The reason why a text
/// could not be encoded stands in its place.
///
/// # Shapes
/// `logits`: texts → `[texts, outputs]`
///
/// # Errors
/// If `logits` fails, or has another number of rows than texts or one that does not fit the task.
pub fn predict_encoded<F, E: From<InferError>>(
    outputs: &OutputSpec,
    texts: Vec<Result<Encoded, F>>,
    logits: impl FnOnce(&[Encoded]) -> Result<Vec<Vec<f32>>, E>,
) -> Result<Vec<Result<LabeledPrediction, F>>, E> {
    let mut encoded = Vec::new();
    let mut faults = Vec::new();
    for text in texts {
        faults.push(text.map(|text| encoded.push(text)).err());
    }
    let rows = logits(&encoded)?;
    if rows.len() != encoded.len() {
        let problem = format!("has {} rows, expected {}", rows.len(), encoded.len());
        return Err(outputs.problem(problem).into());
    }
    let mut predictions = outputs.labeled(&rows)?.into_iter();
    let place = |fault: Option<F>| match fault {
        Some(fault) => Some(Err(fault)),
        None => predictions.next().map(Ok),
    };
    Ok(faults.into_iter().filter_map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::{Decision, Output, Task};

    const REGRESSION: OutputSpec = OutputSpec {
        task: Task::Regression,
        labels: Vec::new(),
        scale: None,
        decision: Decision::Mode,
        output: Output::Logits,
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
    fn texts_that_cannot_be_encoded_keep_their_places() {
        let predict = |texts: &[Result<u32, char>], more: usize| {
            let encode = |text: &Result<u32, char>| text.map(|id| Encoded::new(vec![id]));
            predict_encoded(
                &REGRESSION,
                texts.iter().map(encode).collect(),
                |texts| -> Result<_, InferError> {
                    let row = |text: &Encoded| vec![text.input_ids[0] as f32];
                    Ok(texts.iter().map(row).chain(vec![vec![0.0]; more]).collect())
                },
            )
        };
        for texts in [
            &[][..],
            &[Err('a')],
            &[Ok(1), Ok(2)],
            &[Err('a'), Ok(1), Err('b'), Err('c'), Ok(2)],
        ] {
            let found = predict(texts, 0).unwrap().into_iter();
            let found: Vec<_> = found.map(|row| row.map(|row| row.score as u32)).collect();
            assert_eq!(found, texts);
        }
        let error = predict(&[Ok(1), Err('a')], 1).unwrap_err().to_string();
        assert_eq!(error, "`logits`: has 2 rows, expected 1");
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
