use crate::{Feed, RuntimeError};
use ort::environment::Environment;
use ort::session::SessionOutputs;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::ValueType;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The optimization level: how much the runtime rewrites a model before it runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// No rewriting.
    Disabled,
    /// All rewrites; the runtime calls it level 3.
    #[default]
    All,
}

impl Optimization {
    /// Returns the setting's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "optimizations off",
            Self::All => "optimization level 3",
        }
    }
}

/// The settings of a session.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Threads within one operation.
    pub threads: usize,
    /// The optimization level.
    pub optimization: Optimization,
    /// The file to write the rewritten model to.
    pub optimized_model: Option<PathBuf>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            optimization: Optimization::All,
            optimized_model: None,
        }
    }
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlet {
    /// Its name.
    pub name: String,
    /// Its type, by the runtime's name.
    pub element_type: String,
    /// Its dimensions; `None` for dynamic ones.
    pub dims: Vec<Option<u64>>,
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    /// The file of the model, for messages; empty if there is none.
    file: String,
}

impl Session {
    pub(crate) fn open(
        environment: &Environment,
        model: &Path,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let file = model.display().to_string();
        let inner = builder(environment, options)?.commit_from_file(model);
        let inner = inner.map_err(|e| RuntimeError::model(&file, &e))?;
        Ok(Self { inner, file })
    }

    /// Opens a model from its bytes; `file` is the place that errors name.
    pub(crate) fn open_bytes(
        environment: &Environment,
        model: &[u8],
        file: String,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let inner = builder(environment, options)?.commit_from_memory(model);
        let inner = inner.map_err(|e| RuntimeError::model(&file, &e))?;
        Ok(Self { inner, file })
    }

    /// Returns the model's inputs.
    pub fn inputs(&self) -> Vec<Outlet> {
        self.inner.inputs().iter().map(outlet).collect()
    }

    /// Returns the model's outputs.
    pub fn outputs(&self) -> Vec<Outlet> {
        self.inner.outputs().iter().map(outlet).collect()
    }

    /// Runs the model once. Feeds without an input of the model are left out.
    ///
    /// # Errors
    /// If an input is missing or does not fit, or the runtime fails.
    pub fn run(&mut self, feeds: &[Feed<'_>]) -> Result<Outputs<'_>, RuntimeError> {
        let mut values = Vec::new();
        for input in self.inner.inputs() {
            let feed = feeds
                .iter()
                .find(|feed| feed.name() == input.name())
                .ok_or_else(|| RuntimeError::Tensor {
                    model: self.file.clone(),
                    name: input.name().to_owned(),
                    problem: "the model needs this input, and nothing is given for it".to_owned(),
                })?;
            values.push((Cow::from(input.name().to_owned()), feed.value()?));
        }
        let file = &self.file;
        let inner = self.inner.run(values);
        let inner = inner.map_err(|error| RuntimeError::run_of(file, error))?;
        Ok(Outputs { inner, file })
    }
}

fn builder(
    environment: &Environment,
    options: &SessionOptions,
) -> Result<SessionBuilder, RuntimeError> {
    let level = match options.optimization {
        Optimization::Disabled => GraphOptimizationLevel::Disable,
        Optimization::All => GraphOptimizationLevel::All,
    };
    let builder = ort::session::Session::builder(environment).map_err(RuntimeError::run)?;
    let builder = builder
        .with_intra_threads(options.threads)
        .map_err(RuntimeError::run)?;
    let builder = builder.with_inter_threads(1).map_err(RuntimeError::run)?;
    // Idle threads that spin would take the processor from tokenizing and from other sessions.
    let builder = builder
        .with_intra_op_spinning(false)
        .map_err(RuntimeError::run)?;
    let builder = builder
        .with_optimization_level(level)
        .map_err(RuntimeError::run)?;
    match &options.optimized_model {
        Some(path) => builder
            .with_optimized_model_path(path)
            .map_err(RuntimeError::run),
        None => Ok(builder),
    }
}

fn outlet(outlet: &ort::value::Outlet) -> Outlet {
    let (element_type, dims) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            ty.to_string(),
            shape.iter().map(|d| u64::try_from(*d).ok()).collect(),
        ),
        other => (format!("{other:?}"), Vec::new()),
    };
    Outlet {
        name: outlet.name().to_owned(),
        element_type,
        dims,
    }
}

/// The outputs of a run.
#[derive(Debug)]
pub struct Outputs<'a> {
    inner: SessionOutputs<'a>,
    file: &'a str,
}

impl Outputs<'_> {
    /// Returns dimensions and elements of an output of `f32`, without a copy.
    ///
    /// # Errors
    /// If there is no such output, or it has another type.
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, &[f32]), RuntimeError> {
        let problem = |problem: String| RuntimeError::Tensor {
            model: self.file.to_owned(),
            name: name.to_owned(),
            problem,
        };
        let value = self
            .inner
            .get(name)
            .ok_or_else(|| problem("the model has no such output".to_owned()))?;
        let (shape, values) =
            value
                .try_extract_tensor::<f32>()
                .map_err(|error| match value.dtype() {
                    ValueType::Tensor { ty, .. } => {
                        problem(format!("has elements of type {ty}, expected f32"))
                    }
                    _ => problem(error.to_string()),
                })?;
        let dims = shape.iter().map(|dim| {
            usize::try_from(*dim).map_err(|_| problem(format!("has the dimension {dim}")))
        });
        Ok((dims.collect::<Result<_, _>>()?, values))
    }
}
