use crate::folder::{check_adapter, in_folder};
use crate::{
    Constant, Encoder, EncoderConfig, Head, HeadOrigin, Inputs, LoadReport, ModelConfig, NnError,
    Param, ParamGroup, Parameters as _, Pooler, Reduction, Result, SequenceOps, StateDict, Tables,
    TensorRef, TextEncoder as _, Var, WeightLoader, class_log_probabilities, save_tensors,
};
use candle_core::{D, Device};
use rtune_task::{
    Decision, OrdinalScale, Output, OutputForm, Outputs, Pooling, Task, TaskSpec, TextSignature,
};
use std::path::Path;

/// Scales vectors to length 1, or leaves them if they are shorter than 1e-12, as
/// `torch.nn.functional.normalize` does.
///
/// # Shapes
/// `[batch, width]` → the same
fn normalized<'a, O: SequenceOps>(vectors: &Var<'a, O>) -> Result<Var<'a, O>> {
    let _scope = vectors.ops().scope("normalize");
    let length = vectors.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    let least = vectors.constant(&Constant::float("normalize.least", &[1], vec![1e-12])?)?;
    vectors / length.maximum(&least)?
}

/// Loads the parts above the encoder.
fn load_head(
    family: &EncoderConfig,
    spec: &TaskSpec,
    width: usize,
    origin: &HeadOrigin,
    loader: &WeightLoader,
) -> Result<(Pooler, Head)> {
    let (pooler, path) = match spec.pooling {
        Pooling::Mean => (Pooler::new(Reduction::Mean), "head"),
        Pooling::First => (Pooler::new(Reduction::First), "head"),
        Pooling::Pooler => {
            let is_new = !matches!(origin, HeadOrigin::Checkpoint | HeadOrigin::New);
            let head = family.head()?;
            let path = match spec.has_family_head() {
                true => head.output,
                false => "head",
            };
            (Pooler::load(&head, width, loader, is_new)?, path)
        }
    };
    let builder = match origin {
        HeadOrigin::Checkpoint => loader.initialized(),
        // Tensors of the same names are another tool's, or trained for another task.
        _ => loader.fresh(),
    };
    Ok((pooler, Head::load(spec, width, &builder.pp(path))?))
}

/// Encoder, pooling and head. It has no clones, which would share its weights.
#[derive(Debug)]
pub struct TextModel {
    config: ModelConfig,
    spec: TaskSpec,
    encoder: Encoder,
    pooler: Pooler,
    head: Head,
    /// True if the output `embedding` is scaled to length 1.
    normalize: bool,
}

impl TextModel {
    /// Loads a checkpoint for a task. The checkpoint's head is taken if it was trained for the same
    /// task; if not, `seed` decides the initial values of a new one.
    ///
    /// # Errors
    /// If a file is missing or broken, the encoder is not supported, or the encoder's weights do
    /// not fit.
    pub fn load(
        folder: &Path,
        spec: &TaskSpec,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport)> {
        Self::load_model(folder, spec, seed, device, None).map_err(in_folder(folder))
    }

    /// Loads a checkpoint with a new head, whatever head it has.
    ///
    /// # Errors
    /// As [`TextModel::load`].
    pub fn load_with_new_head(
        folder: &Path,
        spec: &TaskSpec,
        seed: u64,
        device: &Device,
    ) -> Result<(Self, LoadReport)> {
        let head = Some(HeadOrigin::Requested);
        Self::load_model(folder, spec, seed, device, head).map_err(in_folder(folder))
    }

    fn load_model(
        folder: &Path,
        spec: &TaskSpec,
        seed: u64,
        device: &Device,
        head: Option<HeadOrigin>,
    ) -> Result<(Self, LoadReport)> {
        spec.check()
            .map_err(|e| NnError::config("task", e.to_string()))?;
        let config = ModelConfig::read(folder)?;
        let family = EncoderConfig::parse(&config)?;
        let unknown_fields = family.unknown_fields(&config);
        let found = HeadOrigin::of_config(&config, spec)?;
        let origin = match head {
            _ if found == HeadOrigin::New => found,
            Some(origin) => origin,
            None => found,
        };
        let max_length = family.max_length()?;
        if spec.max_length > max_length {
            let problem = format!(
                "is {}, but the model has only {max_length} positions; set it to at most that",
                spec.max_length
            );
            return Err(NnError::config("max_length", problem));
        }
        check_adapter(folder)?;
        let tensors = StateDict::read(folder, &family.tensor_names())?;
        let loader = WeightLoader::new(tensors, seed, device);
        let encoder = family.load(&loader.pretrained())?;
        let (pooler, head) = load_head(&family, spec, encoder.width(), &origin, &loader)?;
        let report = LoadReport {
            model_type: config.inferred_model_type().map(str::to_owned),
            unknown_fields,
            head: origin,
            ..loader.finish(folder)?
        };
        Ok((
            Self {
                config,
                spec: spec.clone(),
                encoder,
                pooler,
                head,
                normalize: false,
            },
            report,
        ))
    }

    /// Loads a checkpoint with its head: one that rtune has fine-tuned, or a model of sequence
    /// classification that Hugging Face's transformers wrote.
    ///
    /// # Errors
    /// As [`TextModel::load`], and if the folder's `config.json` describes no such head or the
    /// weights lack it.
    pub fn load_finetuned(folder: &Path, device: &Device) -> Result<Self> {
        let config = ModelConfig::read(folder)?;
        let Some(spec) = config.task().map_err(in_folder(folder))? else {
            let problem = "has no section `rtune` and names no class of sequence classification: \
                           this model has no fine-tuned head yet; fine-tune it first";
            return Err(NnError::File {
                path: folder.join("config.json"),
                problem: problem.to_owned(),
            });
        };
        let (model, report) = Self::load(folder, &spec, 0, device)?;
        match report.initialized.as_slice() {
            [] => Ok(model),
            missing => Err(NnError::Config {
                place: folder.display().to_string(),
                problem: format!(
                    "the weights lack the head ({}), though config.json describes it; copy the \
                     model again, with all of its files",
                    missing.join(", ")
                ),
            }),
        }
    }

    /// The checkpoint's `config.json`.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The meaning of the outputs.
    pub fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    /// Sets the rule of an ordinal model's labels.
    pub fn set_decision(&mut self, decision: Decision) {
        self.spec.decision = decision;
    }

    /// The number of tokens that the encoder of a folder has positions for.
    ///
    /// # Errors
    /// If its `config.json` is missing or broken, or the encoder is not supported.
    pub fn positions(folder: &Path) -> Result<usize> {
        let positions = || EncoderConfig::parse(&ModelConfig::read(folder)?)?.max_length();
        positions().map_err(in_folder(folder))
    }

    /// Returns whether the output `embedding` is scaled to length 1.
    pub fn is_normalized(&self) -> bool {
        self.normalize
    }

    /// Sets whether the output `embedding` is scaled to length 1.
    pub fn set_normalize(&mut self, normalize: bool) {
        self.normalize = normalize;
    }

    /// The width of the vectors of tokens and of the output `embedding`.
    pub fn width(&self) -> usize {
        self.encoder.width()
    }

    /// The number of tokens that the encoder has positions for.
    pub fn max_length(&self) -> usize {
        self.encoder.max_length()
    }

    /// The sizes of the tables that inputs are looked up in.
    pub fn tables(&self) -> Tables {
        self.encoder.tables()
    }

    /// The inputs that the model takes.
    pub fn signature(&self) -> TextSignature {
        self.encoder.signature()
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The scale of an ordinal model.
    ///
    /// # Errors
    /// If the cutpoints cannot be read.
    pub fn scale(&self) -> Result<Option<OrdinalScale>> {
        self.head.scale(&self.spec)
    }

    /// Computes the logits of each sequence.
    ///
    /// # Shapes
    /// ids `[tokens..]` → `[batch, outputs]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        let pooled = self.pooled(inputs)?;
        self.head
            .forward(&pooled.dropout(self.encoder.head_dropout())?)
    }

    /// Computes the vector of each sequence that the head reads.
    ///
    /// # Shapes
    /// ids `[tokens..]` → `[batch, width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn pooled<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        self.reduce(&self.encoder.forward(inputs)?, inputs)
    }

    /// Computes one vector of those of the tokens.
    fn reduce<'a, O: SequenceOps>(
        &self,
        hidden: &Var<'a, O>,
        inputs: &Inputs<'a, O>,
    ) -> Result<Var<'a, O>> {
        let _scope = inputs.ops().scope("pooling");
        self.pooler.forward(hidden, inputs.sequences)
    }

    /// Computes the outputs of an exported model, by name, in their order. The vectors of
    /// `last_hidden_state` lie as the tokens do.
    ///
    /// # Shapes
    /// ids `[tokens..]` → as [`Output`] says, but `last_hidden_state` `[tokens.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit, or the model does not have one of the outputs.
    pub fn outputs<'a, O: SequenceOps>(
        &self,
        inputs: &Inputs<'a, O>,
        outputs: &Outputs,
    ) -> Result<Vec<(&'static str, Var<'a, O>)>> {
        let hidden = self.encoder.forward(inputs)?;
        let mut all = Vec::new();
        if outputs.has_head() || outputs.has(Output::Embedding) {
            let pooled = self.reduce(&hidden, inputs)?;
            if outputs.has_head() {
                let dropped = pooled.dropout(self.encoder.head_dropout())?;
                let output = self.head.forward(&dropped)?;
                all = self.of_head(output, outputs.form())?;
            }
            let embedding = match self.normalize && outputs.has(Output::Embedding) {
                true => normalized(&pooled)?,
                false => pooled,
            };
            all.push((Output::Embedding, embedding));
        }
        all.push((Output::LastHiddenState, hidden));
        let find = |output: &Output| {
            let found = all.iter().find(|(name, _)| name == output);
            let found = found.map(|(name, value)| (name.name(), value.clone()));
            found.ok_or_else(|| {
                NnError::config("outputs", format!("the model has no output `{output}`"))
            })
        };
        outputs.list().iter().map(find).collect()
    }

    /// The outputs of the head in a form, from the values that it computes.
    fn of_head<'a, O: SequenceOps>(
        &self,
        output: Var<'a, O>,
        form: OutputForm,
    ) -> Result<Vec<(Output, Var<'a, O>)>> {
        if form == OutputForm::Logits {
            return Ok(vec![(Output::Logits, output)]);
        }
        let with_probabilities = |logits: Var<'a, O>| -> Result<_> {
            let _scope = logits.ops().scope("classes");
            let probabilities = logits.softmax()?;
            Ok(vec![
                (Output::Logits, logits),
                (Output::Probabilities, probabilities),
            ])
        };
        match (self.spec.task, self.scale()?) {
            (Task::Classification, _) => with_probabilities(output),
            (_, Some(scale)) => {
                let mut all = with_probabilities(class_log_probabilities(&output, &scale)?)?;
                all.push((Output::Score, output));
                Ok(all)
            }
            (_, None) => {
                let problem = "the model has no classes, and so no probabilities";
                Err(NnError::config("outputs", problem))
            }
        }
    }

    /// Computes the encoder's vector of each token.
    ///
    /// # Shapes
    /// ids `[tokens..]` → `[tokens.., width]`
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn hidden_states<'a, O: SequenceOps>(&self, inputs: &Inputs<'a, O>) -> Result<Var<'a, O>> {
        self.encoder.forward(inputs)
    }

    /// All parameters, those of the encoder first, in a fixed order.
    pub fn params(&self) -> Vec<&Param> {
        let mut params = self.encoder.params();
        params.extend(self.pooler.params());
        params.extend(self.head.params());
        params
    }

    /// Writes `config.json` and `model.safetensors` into a folder. A model with its family's head
    /// is one that Hugging Face's `AutoModelForSequenceClassification` reads.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.config
            .with_task(&self.spec, OutputForm::Logits)?
            .write(folder)?;
        // A class of transformers has the encoder as a module.
        let encoder = match self.spec.has_family_head() {
            true => {
                let names = EncoderConfig::parse(&self.config)?.tensor_names();
                names.of_classes(self.config.model_type())
            }
            false => String::new(),
        };
        let tensors = self.params().into_iter().map(|param| {
            let prefix = match param.group() {
                ParamGroup::Head => "",
                _ => &encoder,
            };
            let name = format!("{prefix}{}", param.name());
            (name, TensorRef::Tensor(param.value()))
        });
        save_tensors(&folder.join("model.safetensors"), tensors)
    }
}
