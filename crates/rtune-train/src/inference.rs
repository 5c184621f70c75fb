use crate::{Arena, Tape, TapeValue, TrainError, cuda};
use candle_core::{Device, Tensor};
use rtune_data::Dataset;
use rtune_interrupt::Interrupt;
use rtune_kernels::cpu;
use rtune_nn::{Eager, Inputs, NnError, TextModel, TokenSequences, Var};
use rtune_task::{Metrics, Prediction};
use rtune_text::{Encoded, PaddedBatch, sorted_by_length};
use std::borrow::Borrow;
use std::num::NonZeroUsize;

/// A batch as candle tensors.
#[derive(Debug, Clone)]
pub struct BatchTensors {
    /// `[batch, sequence]`
    pub input_ids: Tensor,
    /// `[batch, sequence]`
    pub token_type_ids: Tensor,
    /// The token layout: padded.
    pub sequences: TokenSequences,
}

impl BatchTensors {
    /// Creates the tensors of a batch on a device.
    ///
    /// # Errors
    /// If a tensor cannot be created.
    pub fn new(batch: &PaddedBatch, device: &Device) -> Result<Self, NnError> {
        let shape = (batch.batch, batch.sequence);
        Ok(Self {
            input_ids: Tensor::from_slice(&batch.input_ids, shape, device)?,
            token_type_ids: Tensor::from_slice(&batch.token_type_ids, shape, device)?,
            sequences: TokenSequences::padded(
                &batch.attention_mask,
                batch.batch,
                batch.sequence,
                device,
            )?,
        })
    }

    /// The logits of the batch.
    ///
    /// # Shapes
    /// → `[batch, outputs]`
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn logits(&self, model: &TextModel, ops: &Eager) -> Result<Tensor, NnError> {
        Ok(model.forward(&self.inputs(ops))?.into_value())
    }

    /// The inputs of a model, interpreted by `ops`.
    pub fn inputs<'a>(&'a self, ops: &'a Eager) -> Inputs<'a, Eager> {
        let (ids, types) = (self.input_ids.clone(), self.token_type_ids.clone());
        Inputs::new(ops, ids, Some(types), &self.sequences)
    }
}

/// Returns the logits of texts, in their order.
///
/// # Shapes
/// → one row of `outputs` numbers for each text
///
/// # Errors
/// If a tensor operation fails, or `interrupt` is requested between two batches.
pub fn predict(
    model: &TextModel,
    texts: &[Encoded],
    batch_size: NonZeroUsize,
    padding: u32,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let inference = Inference::new();
    rows(texts, batch_size, padding, interrupt, |batch| {
        inference.logits(model, batch, device)
    })
}

/// Returns the vectors that the head reads, in the order of the texts.
///
/// # Shapes
/// → one row of `width` numbers for each text
///
/// # Errors
/// As [`predict`].
pub(crate) fn pooled(
    model: &TextModel,
    texts: &[&Encoded],
    batch_size: NonZeroUsize,
    padding: u32,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let inference = Inference::new();
    rows(texts, batch_size, padding, interrupt, |batch| {
        inference.compute(batch, device, |inputs| model.pooled(inputs))
    })
}

/// Computes a row for each text, in batches.
fn rows<T: Borrow<Encoded>>(
    texts: &[T],
    batch_size: NonZeroUsize,
    padding: u32,
    interrupt: &Interrupt,
    compute: impl Fn(&PaddedBatch) -> Result<Vec<Vec<f32>>, NnError>,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let lengths: Vec<usize> = texts.iter().map(|text| text.borrow().len()).collect();
    let mut rows = vec![Vec::new(); texts.len()];
    for indices in sorted_by_length(&lengths, batch_size) {
        interrupt.check()?;
        let batch = PaddedBatch::new(indices.iter().map(|i| texts[*i].borrow()), padding);
        for (index, row) in indices.into_iter().zip(compute(&batch)?) {
            rows[index] = row;
        }
    }
    Ok(rows)
}

/// Computes logits through the kernels of training, without gradients, over memory that batches
/// reuse.
#[derive(Debug, Default)]
pub struct Inference {
    arena: Arena,
}

impl Inference {
    /// An instance without memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns one row of logits for each text of a batch.
    ///
    /// # Shapes
    /// → `[batch, outputs]`
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn logits(
        &self,
        model: &TextModel,
        batch: &PaddedBatch,
        device: &Device,
    ) -> Result<Vec<Vec<f32>>, NnError> {
        self.compute(batch, device, |inputs| model.forward(inputs))
    }

    /// Returns one row of numbers for each text of a batch.
    fn compute(
        &self,
        batch: &PaddedBatch,
        device: &Device,
        function: impl for<'a> Fn(&Inputs<'a, Tape>) -> Result<Var<'a, Tape>, NnError> + Sync,
    ) -> Result<Vec<Vec<f32>>, NnError> {
        let rows = cpu::in_pool(|| {
            let tensors = BatchTensors::new(batch, device)?;
            let tape = Tape::without_gradients().in_arena(&self.arena);
            let ids = TapeValue::constant(tensors.input_ids);
            let types = TapeValue::constant(tensors.token_type_ids);
            let inputs = Inputs::new(&tape, ids, Some(types), &tensors.sequences);
            Ok(function(&inputs)?.into_value().tensor()?.to_vec2()?)
        });
        rows.map_err(|error| match error {
            NnError::Candle(error) if cuda::is_out_of_memory(&error) => {
                NnError::operation(format!(
                    "{} texts of {} tokens do not fit into the memory of the device; lower the \
                     batch size",
                    batch.batch, batch.sequence
                ))
            }
            other => other,
        })
    }
}

/// Returns the metrics of a model on labelled texts, with the labels of its decision rule.
///
/// # Errors
/// If a tensor operation fails, the targets do not fit the model's task, or `interrupt` is
/// requested between two batches.
pub fn evaluate(
    model: &TextModel,
    data: &Dataset,
    batch_size: NonZeroUsize,
    padding: u32,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Metrics, TrainError> {
    let predictions = predictions(model, data, batch_size, padding, device, interrupt)?;
    let (decision, labels) = (model.spec().decision, &model.spec().labels);
    Ok(Metrics::compute(
        &predictions,
        &data.targets,
        decision,
        labels,
    )?)
}

/// Returns the predictions of a model for labelled texts, in their order.
///
/// # Errors
/// As [`evaluate`].
pub(crate) fn predictions(
    model: &TextModel,
    data: &Dataset,
    batch_size: NonZeroUsize,
    padding: u32,
    device: &Device,
    interrupt: &Interrupt,
) -> Result<Vec<Prediction>, TrainError> {
    let rows = predict(model, &data.texts, batch_size, padding, device, interrupt)?;
    let (task, scale) = (model.spec().task, model.scale()?);
    let of = |row: &Vec<f32>| Prediction::from_logits(task, scale.as_ref(), row);
    let predictions = rows.iter().map(of).collect::<Result<_, _>>();
    predictions.map_err(|error| NnError::config(error.place, error.problem).into())
}
