//! A checkpoint as the reference of a comparison, computed with candle.

use crate::exporting::load_encoder;
use candle_core::Device;
use rtune_graph::Graph;
use rtune_nn::{Eager, ModelConfig, TextModel};
use rtune_package::{Meaning, Metadata, layout, sha256_file};
use rtune_task::{Output, Outputs, Prediction, TextInput, TextSignature};
use rtune_text::{PaddedBatch, Tokenizer};
use rtune_train::{BatchTensors, check_tokenizer};
use rtune_verify::{BoxError, Case, Reference, Trace};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct CheckpointReference {
    model: TextModel,
    device: Device,
    /// The outputs of the candidate.
    outputs: Outputs,
    /// Those that are compared.
    compared: Vec<Output>,
}

impl CheckpointReference {
    /// Opens the model of a folder, whose texts `tokenizer` encodes. The metadata of a candidate,
    /// if there are some, say what an encoder without a head does not state itself.
    pub(crate) fn open(
        folder: &Path,
        tokenizer: &Tokenizer,
        candidate: Option<&Metadata>,
    ) -> anyhow::Result<Self> {
        let device = Device::Cpu;
        let mut model = match ModelConfig::read(folder)?.task()? {
            None => load_encoder(
                folder,
                candidate.map(|metadata| metadata.spec.pooling),
                true,
            )?,
            Some(_) => TextModel::load_finetuned(folder, &device)?,
        };
        // Modules that ask for it are not overruled.
        if let Some(metadata) = candidate {
            model.set_normalize(model.is_normalized() || metadata.normalize);
        }
        check_tokenizer(folder, &model, tokenizer)?;
        Ok(Self {
            model,
            device,
            outputs: Outputs::default(),
            compared: Vec::new(),
        })
    }

    /// Makes it the reference of a candidate with `outputs`, of which some are `compared`.
    pub(crate) fn compare(mut self, outputs: Outputs, compared: Vec<Output>) -> Self {
        (self.outputs, self.compared) = (outputs, compared);
        self
    }

    pub(crate) fn signature(&self) -> TextSignature {
        self.model.signature()
    }

    /// Returns the fields that predictions follow from, of the checkpoint in `folder`.
    pub(crate) fn meaning(&self, folder: &Path) -> anyhow::Result<Meaning> {
        let cutpoints = self.model.scale()?;
        let cutpoints = cutpoints.map_or(Vec::new(), |scale| scale.cutpoints().to_vec());
        let file = folder.join(layout::TOKENIZER);
        // A tokenizer that is built from a vocabulary has no file.
        let digest = file.is_file().then(|| sha256_file(&file)).transpose()?;
        let is_known = digest.is_some();
        let (spec, inputs) = (self.model.spec(), self.signature());
        let metadata = Metadata::new(spec, cutpoints, inputs, digest.unwrap_or_default());
        let meaning = Meaning::of_metadata(&metadata)?;
        Ok(match is_known {
            true => meaning,
            false => meaning.without_tokenizer(),
        })
    }

    /// The outputs that the compared ones follow from: those of the head as it computes them.
    fn plain(&self) -> Outputs {
        let plain = |output: &Output| match output.is_of_head() {
            true => Output::Logits,
            false => *output,
        };
        let mut list: Vec<Output> = Vec::new();
        for output in self.compared.iter().map(plain) {
            if !list.contains(&output) {
                list.push(output);
            }
        }
        Outputs::new(self.model.spec().task, list).unwrap_or_default()
    }

    fn tensors(&self, case: &Case) -> Result<BatchTensors, BoxError> {
        let batch = batch(case, &self.signature())?;
        Ok(BatchTensors::new(&batch, &self.device)?)
    }
}

/// Returns the batch of a case. Only inputs of the signature are read: the model ignores the
/// others.
fn batch(case: &Case, signature: &TextSignature) -> Result<PaddedBatch, BoxError> {
    let find = |input: TextInput| {
        let name = input.name();
        let found = case.inputs.iter().find(|found| found.name == name);
        let found = found.and_then(|found| Some((&found.dims, found.as_i64()?)));
        found.ok_or_else(|| format!("the case has no input `{name}` of i64"))
    };
    let (dims, ids) = find(TextInput::InputIds)?;
    let &[batch, sequence] = dims.as_slice() else {
        return Err(format!("`input_ids` has shape {dims:?}, expected [batch, sequence]").into());
    };
    let values = |input: TextInput, unread: i64| match signature.takes(input) {
        true => find(input).map(|(_, values)| values.to_vec()),
        false => Ok(vec![unread; ids.len()]),
    };
    let mask = values(TextInput::AttentionMask, 1)?;
    let token_types = values(TextInput::TokenTypeIds, 0)?;
    Ok(PaddedBatch {
        batch,
        sequence,
        input_ids: unsigned(ids)?,
        attention_mask: unsigned(&mask)?,
        token_type_ids: unsigned(&token_types)?,
    })
}

fn unsigned<T: TryFrom<i64>>(values: &[i64]) -> Result<Vec<T>, T::Error> {
    values.iter().map(|value| T::try_from(*value)).collect()
}

impl Reference for CheckpointReference {
    fn outputs(&mut self, case: &Case) -> Result<Vec<Vec<f32>>, BoxError> {
        let tensors = self.tensors(case)?;
        let ops = Eager::new();
        let computed = self.model.outputs(&tensors.inputs(&ops), &self.plain())?;
        let computed = computed.into_iter().map(|(name, value)| {
            let values = value.into_value().flatten_all()?.to_vec1::<f32>()?;
            Ok::<_, candle_core::Error>((name, values))
        });
        let computed: BTreeMap<_, _> = computed.collect::<Result<_, _>>()?;
        let of = |output: Output| {
            let values = computed.get(output.name()).cloned();
            values.ok_or_else(|| format!("the checkpoint has no output `{output}`").into())
        };
        let (task, scale) = (self.model.spec().task, self.model.scale()?);
        let columns = self.model.spec().outputs().max(1);
        let outputs = self.compared.iter().map(|output| match output {
            // In double precision, and not as the forward of a graph computes them.
            Output::Probabilities => {
                let logits = of(Output::Logits)?;
                let rows = logits.chunks(columns);
                let rows = rows.map(|row| Prediction::from_logits(task, scale.as_ref(), row));
                let rows: Vec<Prediction> = rows.collect::<Result<_, _>>()?;
                let values = rows.iter().flat_map(|row| &row.probabilities);
                Ok(values.map(|p| *p as f32).collect())
            }
            Output::Score => of(Output::Logits),
            other => of(*other),
        });
        outputs.collect()
    }

    fn trace(&mut self, case: &Case, candidate: &Graph) -> Result<Trace, BoxError> {
        let ops = Eager::traced();
        let tensors = self.tensors(case)?;
        self.model.outputs(&tensors.inputs(&ops), &self.outputs)?;
        let known = ops.into_trace().into_iter();
        let known = known.filter(|(name, _)| candidate.find(name).is_some());
        known
            .map(|(name, tensor)| Ok((name, tensor.flatten_all()?.to_vec1()?)))
            .collect()
    }
}
