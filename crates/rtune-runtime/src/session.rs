use crate::RuntimeError;
use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{PrimitiveTensorElementType, TensorRef, ValueType};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// How much the runtime rewrites a model before it runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Optimization {
    /// Not at all.
    Disabled,
    /// As much as it can: what the runtime calls level 3, or all.
    #[default]
    All,
}

impl Optimization {
    /// How messages name the setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "optimizations off",
            Self::All => "optimization level 3",
        }
    }
}

/// How a session runs.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Threads within one operation.
    pub threads: usize,
    /// How much the runtime rewrites the model.
    pub optimization: Optimization,
    /// Where to write the rewritten model.
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

/// A tensor that goes into a run.
#[derive(Debug, Clone, Copy)]
pub struct Feed<'a> {
    name: &'a str,
    dims: &'a [usize],
    values: FeedValues<'a>,
}

#[derive(Debug, Clone, Copy)]
enum FeedValues<'a> {
    F32(&'a [f32]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    U8(&'a [u8]),
    Bool(&'a [bool]),
}

impl<'a> Feed<'a> {
    /// An input of `f32`.
    pub fn f32(name: &'a str, dims: &'a [usize], values: &'a [f32]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::F32(values),
        }
    }

    /// An input of `i64`.
    pub fn i64(name: &'a str, dims: &'a [usize], values: &'a [i64]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::I64(values),
        }
    }

    /// An input of `i32`.
    pub fn i32(name: &'a str, dims: &'a [usize], values: &'a [i32]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::I32(values),
        }
    }

    /// An input of `u8`.
    pub fn u8(name: &'a str, dims: &'a [usize], values: &'a [u8]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::U8(values),
        }
    }

    /// An input of `bool`.
    pub fn bool(name: &'a str, dims: &'a [usize], values: &'a [bool]) -> Self {
        Self {
            name,
            dims,
            values: FeedValues::Bool(values),
        }
    }

    /// The input's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    fn value(&self) -> Result<SessionInputValue<'a>, RuntimeError> {
        match self.values {
            FeedValues::F32(values) => input(self.dims, values),
            FeedValues::I64(values) => input(self.dims, values),
            FeedValues::I32(values) => input(self.dims, values),
            FeedValues::U8(values) => input(self.dims, values),
            FeedValues::Bool(values) => input(self.dims, values),
        }
    }
}

fn input<'a, T>(dims: &'a [usize], values: &'a [T]) -> Result<SessionInputValue<'a>, RuntimeError>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Ok(TensorRef::from_array_view((dims, values))
        .map_err(RuntimeError::run)?
        .into())
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlet {
    /// Its name.
    pub name: String,
    /// Its type, as the runtime names it.
    pub element_type: String,
    /// Its dimensions; `None` where they are dynamic.
    pub dims: Vec<Option<u64>>,
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
}

impl Session {
    pub(crate) fn open(
        environment: &Environment,
        model: &Path,
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let inner = builder(environment, options)?.commit_from_file(model);
        inner
            .map(|inner| Self { inner })
            .map_err(|e| RuntimeError::Model {
                model: model.display().to_string(),
                reason: e.to_string(),
            })
    }

    pub(crate) fn open_bytes(
        environment: &Environment,
        model: &[u8],
        options: &SessionOptions,
    ) -> Result<Self, RuntimeError> {
        let inner = builder(environment, options)?.commit_from_memory(model);
        inner
            .map(|inner| Self { inner })
            .map_err(|e| RuntimeError::Model {
                model: "model".to_owned(),
                reason: e.to_string(),
            })
    }

    /// The model's inputs.
    pub fn inputs(&self) -> Vec<Outlet> {
        self.inner.inputs().iter().map(outlet).collect()
    }

    /// The model's outputs.
    pub fn outputs(&self) -> Vec<Outlet> {
        self.inner.outputs().iter().map(outlet).collect()
    }

    /// Runs the model once. Feeds that the model has no input for are left out.
    ///
    /// # Errors
    /// Where an input is missing or does not fit, or the runtime fails.
    pub fn run(&mut self, feeds: &[Feed<'_>]) -> Result<Outputs<'_>, RuntimeError> {
        let mut values = Vec::new();
        for input in self.inner.inputs() {
            let feed = feeds
                .iter()
                .find(|feed| feed.name == input.name())
                .ok_or_else(|| RuntimeError::Tensor {
                    name: input.name().to_owned(),
                    problem: "the model needs this input, and nothing is given for it".to_owned(),
                })?;
            values.push((Cow::from(input.name().to_owned()), feed.value()?));
        }
        let inner = self.inner.run(values).map_err(RuntimeError::run)?;
        Ok(Outputs { inner })
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

/// What a run gave.
#[derive(Debug)]
pub struct Outputs<'a> {
    inner: SessionOutputs<'a>,
}

impl Outputs<'_> {
    /// Dimensions and elements of an output of `f32`, without a copy.
    ///
    /// # Errors
    /// Where there is no such output, or it has another type.
    pub fn f32(&self, name: &str) -> Result<(Vec<usize>, &[f32]), RuntimeError> {
        let problem = |problem: String| RuntimeError::Tensor {
            name: name.to_owned(),
            problem,
        };
        let value = self
            .inner
            .get(name)
            .ok_or_else(|| problem("the model has no such output".to_owned()))?;
        let (shape, values) = value
            .try_extract_tensor::<f32>()
            .map_err(|e| problem(e.to_string()))?;
        Ok((
            shape
                .iter()
                .map(|d| usize::try_from(*d).unwrap_or(0))
                .collect(),
            values,
        ))
    }
}
