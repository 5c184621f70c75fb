use crate::{ExportError, Recorder, TextInputs};
use rtune_graph::{Dim, Fact, Model, ValueId};
use rtune_nn::{Inputs, Kind, TextModel, Var};
use rtune_task::{Output, Outputs, TextSignature};
use std::collections::BTreeMap;

/// The operator set that graphs are written in: the first with `LayerNormalization`.
pub const SUPPORTED_OPSET: i64 = 17;

/// Writes a model: the operator set first, then inputs, the forward, and outputs.
///
/// ```
/// use rtune_export::Export;
/// use rtune_graph::Dim;
/// use rtune_nn::{Kind, Ops, Result, Var};
///
/// fn forward<'a, O: Ops>(xs: &Var<'a, O>) -> Result<Var<'a, O>> {
///     (xs * 2.0)?.relu()
/// }
///
/// let export = Export::new("example", 17)?;
/// let x = export.input("x", Kind::Float, [Dim::symbol("batch"), Dim::Fixed(3)])?;
/// let y = forward(&x)?.into_value();
/// let model = export.finish([("y", y)])?;
/// assert_eq!(
///     model.graph.to_string(),
///     "\
/// input x: f32[batch, 3]
/// constant constant/2: f32[] = 2
/// affine: f32[batch, 3] = Mul(x, constant/2)
/// relu: f32[batch, 3] = Relu(affine)
/// y: f32[batch, 3] = Identity(relu)
/// output y
/// "
/// );
/// # Ok::<(), rtune_export::ExportError>(())
/// ```
#[derive(Debug)]
pub struct Export {
    recorder: Recorder,
    metadata: BTreeMap<String, String>,
}

impl Export {
    /// A model whose graph is named `name`, in the forms of operator set `opset`.
    ///
    /// # Errors
    /// If the operator set is not supported.
    pub fn new(name: &str, opset: i64) -> Result<Self, ExportError> {
        Ok(Self {
            recorder: Recorder::new(name, opset)?,
            metadata: BTreeMap::new(),
        })
    }

    /// The interpreter that records the forward.
    pub fn ops(&self) -> &Recorder {
        &self.recorder
    }

    /// Sets the free-form properties of the file.
    #[must_use]
    pub fn metadata(mut self, metadata: BTreeMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// Adds an input.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn input(
        &self,
        name: &str,
        kind: Kind,
        dims: impl IntoIterator<Item = Dim>,
    ) -> Result<Var<'_, Recorder>, ExportError> {
        let fact = Fact::new(crate::recorder::element_type(kind), dims);
        let value = self.recorder.input(name, fact)?;
        Ok(Var::new(&self.recorder, value))
    }

    /// Adds the inputs of a text model; see [`Recorder::text_inputs`].
    ///
    /// # Errors
    /// If a name is taken, or the signature has no attention mask.
    pub fn text_inputs(
        &self,
        signature: &TextSignature,
        max_length: usize,
    ) -> Result<TextInputs, ExportError> {
        self.recorder.text_inputs(signature, max_length)
    }

    /// Ends the recording; each output gets its name.
    ///
    /// # Errors
    /// If a name is taken, or the graph does not hold together.
    pub fn finish<'a>(
        self,
        outputs: impl IntoIterator<Item = (&'a str, ValueId)>,
    ) -> Result<Model, ExportError> {
        let mut model = self.recorder.finish(outputs)?;
        model.metadata = self.metadata;
        Ok(model)
    }
}

/// Records a fine-tuned model, with dynamic batch and sequence.
///
/// # Shapes
/// the inputs of the model's signature: i64 `[batch, sequence]` → f32, as [`Output`] says
///
/// # Errors
/// If the operator set is not supported, a module needs an operation that the recorder cannot
/// write, or the model does not have one of the outputs.
pub fn export(
    model: &TextModel,
    opset: i64,
    outputs: &Outputs,
    metadata: BTreeMap<String, String>,
) -> Result<Model, ExportError> {
    record(
        Export::new("rtune", opset)?.metadata(metadata),
        model,
        outputs,
    )
}

/// The same for a model that is no longer needed: the memory of its weights becomes that of the
/// graph's, so there is no second copy of them. Clones of its tensors are empty afterwards.
///
/// # Shapes
/// As [`export`].
///
/// # Errors
/// As [`export`].
pub fn export_owned(
    model: TextModel,
    opset: i64,
    outputs: &Outputs,
    metadata: BTreeMap<String, String>,
) -> Result<Model, ExportError> {
    let mut export = Export::new("rtune", opset)?.metadata(metadata);
    export.recorder = export.recorder.moving_weights();
    record(export, &model, outputs)
}

fn record(export: Export, model: &TextModel, outputs: &Outputs) -> Result<Model, ExportError> {
    let TextInputs {
        input_ids,
        token_type_ids,
        sequences,
    } = export.text_inputs(&model.signature(), model.max_length())?;
    let inputs = Inputs::new(export.ops(), input_ids, token_type_ids, &sequences);
    let mut values = Vec::new();
    for (name, output) in model.outputs(&inputs, outputs)? {
        let value = match name == Output::LastHiddenState.name() {
            true => export
                .ops()
                .in_grid(output.into_value(), model.width(), &sequences)?,
            false => output.into_value(),
        };
        values.push((name, value));
    }
    export.finish(values)
}
