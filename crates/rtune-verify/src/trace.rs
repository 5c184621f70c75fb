//! Models whose inner values can be looked at.

use crate::{BoxError, Case, VerifyError};
use rtune_graph::{ElementType, Graph, Model, passes::tap_outputs};
use rtune_runtime::{Optimization, Runtime, Session, SessionOptions};
use std::path::Path;

/// Named values in the order in which they were computed.
pub type Trace = Vec<(String, Vec<f32>)>;

/// The model that is right by definition.
pub trait Reference {
    /// Computes the compared outputs of a case, in the order of the request.
    ///
    /// # Errors
    /// If the reference fails.
    fn outputs(&mut self, case: &Case) -> Result<Vec<Vec<f32>>, BoxError>;

    /// Computes the inner values of a case that the candidate's graph knows by the same name. An
    /// empty trace is allowed: the first diverging node is then not looked for.
    ///
    /// # Errors
    /// If the reference fails.
    fn trace(&mut self, case: &Case, candidate: &Graph) -> Result<Trace, BoxError>;
}

/// A reference without inner values, from a function.
///
/// It compares an ONNX file with a model of one's own in any library.
#[derive(Debug)]
pub struct FnReference<F>(pub F);

impl<F: FnMut(&Case) -> Result<Vec<Vec<f32>>, BoxError>> Reference for FnReference<F> {
    fn outputs(&mut self, case: &Case) -> Result<Vec<Vec<f32>>, BoxError> {
        self.0(case)
    }

    fn trace(&mut self, _: &Case, _: &Graph) -> Result<Trace, BoxError> {
        Ok(Trace::new())
    }
}

/// An ONNX model as the reference, without optimizations.
#[derive(Debug)]
pub struct OnnxReference<'a> {
    runtime: &'a Runtime,
    model: Model,
    session: Session,
    outputs: Vec<String>,
}

impl<'a> OnnxReference<'a> {
    /// Opens a file whose `outputs` are compared.
    ///
    /// # Errors
    /// If the file is not a model that the runtime accepts.
    pub fn open(
        runtime: &'a Runtime,
        file: &Path,
        outputs: &[&str],
        threads: usize,
    ) -> Result<Self, VerifyError> {
        let options = SessionOptions {
            threads,
            optimization: Optimization::Disabled,
            optimized_model: None,
        };
        Ok(Self {
            runtime,
            model: rtune_onnx::read(file)?,
            session: runtime.open(file, &options)?,
            outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
        })
    }
}

impl Reference for OnnxReference<'_> {
    fn outputs(&mut self, case: &Case) -> Result<Vec<Vec<f32>>, BoxError> {
        let names: Vec<&str> = self.outputs.iter().map(String::as_str).collect();
        Ok(run(&mut self.session, case, &names)?)
    }

    fn trace(&mut self, case: &Case, candidate: &Graph) -> Result<Trace, BoxError> {
        let graph = &self.model.graph;
        let is_float = |graph: &Graph, name: &str| {
            let fact = graph.find(name).and_then(|id| graph.fact(id));
            fact.is_some_and(|fact| fact.element_type == ElementType::Float32)
        };
        let outputs = graph.nodes().filter_map(|(_, node)| node.output(0));
        let names: Vec<&str> = outputs
            .map(|id| graph.name_of(id))
            .filter(|name| is_float(graph, name) && is_float(candidate, name))
            .collect();
        let options = SessionOptions {
            threads: 1,
            optimization: Optimization::Disabled,
            optimized_model: None,
        };
        let values = tapped(self.runtime, &self.model, case, &names, &options)?;
        Ok(names.into_iter().map(str::to_owned).zip(values).collect())
    }
}

/// Runs a session on a case and returns the named outputs.
pub(crate) fn run(
    session: &mut Session,
    case: &Case,
    names: &[&str],
) -> Result<Vec<Vec<f32>>, VerifyError> {
    let outputs = session.run(&case.feeds())?;
    names
        .iter()
        .map(|name| Ok(outputs.f32(name)?.1.to_vec()))
        .collect()
}

/// Runs a model with some of its values as outputs.
pub(crate) fn tapped(
    runtime: &Runtime,
    model: &Model,
    case: &Case,
    names: &[&str],
    options: &SessionOptions,
) -> Result<Vec<Vec<f32>>, VerifyError> {
    let (model, _) = tap_outputs(model, names.iter().copied())?;
    let mut session = runtime.open_bytes(&rtune_onnx::encode(&model)?, options)?;
    run(&mut session, case, names)
}
