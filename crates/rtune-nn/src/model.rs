use crate::{
    Encoder, Head, LoadReport, ModelConfig, NnError, Ops, Param, Parameters as _, Result,
    StateDict, TensorRef, WeightLoader, save_tensors,
};
use candle_core::Device;
use rtune_task::{OrdinalScale, Pooling, TaskSpec};
use std::path::Path;

/// What goes into an encoder.
#[derive(Debug)]
pub struct Inputs<'a, O: Ops> {
    /// `[tokens..]`
    pub input_ids: &'a O::Value,
    /// `[tokens..]`
    pub token_type_ids: &'a O::Value,
    /// How the tokens lie.
    pub sequences: &'a O::Sequences,
}

/// Encoder, pooling and head.
#[derive(Debug, Clone)]
pub struct TextModel {
    config: ModelConfig,
    spec: TaskSpec,
    encoder: Encoder,
    head: Head,
}

impl TextModel {
    /// Loads a checkpoint for a task. `seed` decides the initial values of a head that the
    /// checkpoint lacks.
    ///
    /// # Errors
    /// Where a file is missing or broken, the encoder is not supported, or the encoder's weights do
    /// not fit.
    pub fn load(
        folder: &Path,
        spec: &TaskSpec,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport)> {
        Self::load_model(folder, spec, seed, device).map_err(|error| match error {
            NnError::Config { place, problem } => {
                NnError::config(format!("{}: {place}", folder.display()), problem)
            }
            other => other,
        })
    }

    fn load_model(
        folder: &Path,
        spec: &TaskSpec,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport)> {
        spec.check()
            .map_err(|e| NnError::config("task", e.to_string()))?;
        let config = ModelConfig::read(folder)?;
        if let Some(positions) = config.max_positions().filter(|p| *p < spec.max_length) {
            let problem = format!(
                "is {}, but the model has only {positions} positions; give a --max-length of at most that",
                spec.max_length
            );
            return Err(NnError::config("max_length", problem));
        }
        let tensors = StateDict::read(folder, &[Encoder::prefix(config.model_type())])?;
        let loader = WeightLoader::new(tensors, seed, device);
        let pooler = spec.pooling == Pooling::Pooler;
        let encoder = Encoder::load(&config, &loader.pretrained(), pooler)?;
        let head = Head::load(spec, &loader.initialized().pp("head"), encoder.width())?;
        let report = loader.finish(folder)?;
        Ok((
            Self {
                config,
                spec: spec.clone(),
                encoder,
                head,
            },
            report,
        ))
    }

    /// Loads a checkpoint that rtune has fine-tuned.
    ///
    /// # Errors
    /// As [`TextModel::load`], and where the folder's `config.json` has no section `rtune` or the head
    /// is missing.
    pub fn load_finetuned(folder: &Path, device: &Device) -> Result<Self> {
        let Some(spec) = ModelConfig::read(folder)?.task()? else {
            let problem = "has no section `rtune`: this model has no fine-tuned head yet; run `rtune finetune` first";
            return Err(NnError::File {
                path: folder.join("config.json"),
                problem: problem.to_owned(),
            });
        };
        let (model, report) = Self::load(folder, &spec, 0, device)?;
        match report.initialized.as_slice() {
            [] => Ok(model),
            missing => Err(NnError::Weights {
                folder: folder.to_owned(),
                missing: missing.to_vec(),
                mismatched: Vec::new(),
            }),
        }
    }

    /// The checkpoint's `config.json`.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the outputs mean.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// The most tokens that the encoder has positions for.
    pub fn positions(&self) -> usize {
        self.config.max_positions().unwrap_or(self.spec.max_length)
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The scale of an ordinal model.
    ///
    /// # Errors
    /// Where the cutpoints cannot be read.
    pub fn scale(&self) -> Result<Option<OrdinalScale>> {
        self.head.scale(&self.spec)
    }

    /// # Shapes
    /// ids `[tokens..]` → logits `[batch, outputs]`
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn forward<O: Ops>(&self, ops: &O, inputs: &Inputs<'_, O>) -> Result<O::Value> {
        let hidden = self.encoder.forward(ops, inputs)?;
        let outer = ops.enter("pooling");
        let pooled = match self.spec.pooling {
            Pooling::Mean => ops.mean_pool(&hidden, inputs.sequences)?,
            Pooling::First => ops.first_pool(&hidden, inputs.sequences)?,
            Pooling::Pooler => self
                .encoder
                .pool(ops, &ops.first_pool(&hidden, inputs.sequences)?)?,
        };
        ops.leave(outer);
        self.head
            .forward(ops, &ops.dropout(&pooled, self.encoder.dropout())?)
    }

    /// # Shapes
    /// ids `[tokens..]` → hidden states `[tokens.., width]`
    ///
    /// # Errors
    /// Where the shapes do not fit.
    pub fn hidden_states<O: Ops>(&self, ops: &O, inputs: &Inputs<'_, O>) -> Result<O::Value> {
        self.encoder.forward(ops, inputs)
    }

    /// All trainable parameters, in a fixed order; a head's name starts with `head.`.
    pub fn params(&self) -> Vec<&Param> {
        self.encoder
            .params()
            .into_iter()
            .chain(self.head.params())
            .collect()
    }

    /// Writes `config.json` and `model.safetensors` into a folder.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.config.with_task(&self.spec)?.write(folder)?;
        let tensors = self
            .params()
            .into_iter()
            .map(|param| (param.name(), TensorRef::Tensor(param.value())));
        save_tensors(&folder.join("model.safetensors"), tensors)
    }
}
