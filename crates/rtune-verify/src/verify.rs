use crate::cases::shapes;
use crate::search::Search;
use crate::trace::run;
use crate::{Case, Check, Comparison, Reference, Tolerance, VerifyError, VerifyReport};
use rtune_interrupt::Interrupt;
use rtune_runtime::{Optimization, Runtime, Session, SessionOptions};
use std::path::Path;

/// The settings of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The ONNX file that is compared with the reference.
    pub candidate: &'a Path,
    /// Names of the compared outputs.
    pub outputs: &'a [&'a str],
    /// Number of texts that the cases were made of, for the report.
    pub texts: usize,
    /// The tolerance of outputs.
    pub tolerance: Tolerance,
    /// Threads within one operation.
    pub threads: usize,
}

/// The progress of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Number of cases that the reference has computed.
    Reference(usize),
    /// Number of cases that the candidate has computed at one optimization level.
    Candidate(usize),
    /// Outputs differ, and the first node that does is looked for.
    Searching(Optimization),
}

/// Compares a candidate with a reference on all cases, with and without the runtime's
/// optimizations, and finds the first node that differs.
///
/// # Errors
/// If a model cannot be read or run, or a stop is requested. Models that differ are not an error:
/// the report says so.
pub fn verify(
    runtime: &Runtime,
    request: &VerifyRequest<'_>,
    reference: &mut dyn Reference,
    cases: &[Case],
    progress: &mut dyn FnMut(Progress),
    interrupt: &Interrupt,
) -> Result<VerifyReport, VerifyError> {
    let model = rtune_onnx::read(request.candidate)?;
    let mut expected = Vec::with_capacity(cases.len());
    for (index, case) in cases.iter().enumerate() {
        interrupt.check()?;
        expected.push(reference.outputs(case).map_err(VerifyError::Reference)?);
        progress(Progress::Reference(index + 1));
    }
    let mut report = VerifyReport {
        version: VerifyReport::VERSION,
        holds: true,
        atol: request.tolerance.atol,
        rtol: request.tolerance.rtol,
        checks: Vec::new(),
        first_diverging_node: None,
        metadata: Vec::new(),
    };
    for optimization in [Optimization::All, Optimization::Disabled] {
        let options = SessionOptions {
            threads: request.threads,
            optimization,
            optimized_model: None,
        };
        let mut session = runtime.open(request.candidate, &options)?;
        let pairs = cases.iter().zip(&expected);
        let (total, failing) = run_all(&mut session, request, pairs, progress, interrupt)?;
        report.checks.push(Check {
            optimization: optimization.name().to_owned(),
            texts: request.texts,
            shapes: shapes(cases),
            max_abs: finite(total.max_abs),
            max_ratio: finite(total.max_ratio),
            mismatches: total.mismatches,
        });
        report.holds &= total.holds();
        if let (Some((case, output)), None) = (failing, &report.first_diverging_node) {
            progress(Progress::Searching(optimization));
            let search = Search {
                runtime,
                model: &model,
                case,
                output,
                options,
                tolerance: request.tolerance,
                interrupt,
            };
            let trace = reference.trace(case, &model.graph);
            let trace = trace.map_err(VerifyError::Reference)?;
            report.first_diverging_node = search.first_node(&trace)?;
        }
    }
    Ok(report)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Runs the candidate on all cases. Returns the sum of the comparisons with the expected outputs,
/// and the first case with an output that is beyond the tolerance.
fn run_all<'a>(
    session: &mut Session,
    request: &VerifyRequest<'a>,
    pairs: impl Iterator<Item = (&'a Case, &'a Vec<Vec<f32>>)>,
    progress: &mut dyn FnMut(Progress),
    interrupt: &Interrupt,
) -> Result<(Comparison, Option<(&'a Case, &'a str)>), VerifyError> {
    let mut total = Comparison::default();
    let mut failing = None;
    for (index, (case, expected)) in pairs.enumerate() {
        interrupt.check()?;
        let found = run(session, case, request.outputs)?;
        let comparisons = compare(expected, &found, request.tolerance);
        let mut outputs = request.outputs.iter().zip(&comparisons);
        let output = outputs.find(|(_, comparison)| !comparison.holds());
        failing = failing.or_else(|| output.map(|(output, _)| (case, *output)));
        total = comparisons.into_iter().fold(total, Comparison::and);
        progress(Progress::Candidate(index + 1));
    }
    Ok((total, failing))
}

/// Compares outputs in pairs. A missing output is compared with an empty one.
fn compare(expected: &[Vec<f32>], found: &[Vec<f32>], tolerance: Tolerance) -> Vec<Comparison> {
    let of = |outputs: &[Vec<f32>], index: usize| outputs.get(index).cloned().unwrap_or_default();
    (0..expected.len().max(found.len()))
        .map(|index| Comparison::of(&of(expected, index), &of(found, index), tolerance))
        .collect()
}
