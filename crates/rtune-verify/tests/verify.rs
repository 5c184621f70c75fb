//! Comparisons of small graphs in the runtime.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};
use rtune_interrupt::Interrupt;
use rtune_runtime::{NamedTensor, Runtime};
use rtune_verify::{
    Case, FnReference, OnnxReference, Progress, Reference, Tolerance, VerifyError, VerifyReport,
    VerifyRequest, verify,
};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Writes y = relu(x · a) + (x · b): two branches, each with its own weight.
fn write(folder: &Path, name: &str, a: f32, b: f32) -> PathBuf {
    let mut graph = GraphBuilder::new("branches", 17);
    let fact = Fact::new(ElementType::Float32, [Dim::symbol("n")]);
    let x = graph.input("x", fact).unwrap();
    let branch = |graph: &mut GraphBuilder, name: &str, factor: f32| {
        let weight = Tensor::from_f32(&[], &[factor]).unwrap();
        let weight = graph.constant(&format!("{name}.weight"), weight).unwrap();
        graph
            .add(NodeDraft::new("Mul", name).inputs([x, weight]))
            .unwrap()
    };
    let left = branch(&mut graph, "left", a);
    let left = graph
        .add(NodeDraft::new("Relu", "relu").inputs([left]))
        .unwrap();
    let right = branch(&mut graph, "right", b);
    let sum = NodeDraft::new("Add", "sum")
        .inputs([left, right])
        .output("y");
    let y = graph.add(sum).unwrap();
    graph.output(y).unwrap();
    // Another output, which only the left branch leads to and the runtime computes last.
    let last = NodeDraft::new("Neg", "last").inputs([left]).output("z");
    let z = graph.add(last).unwrap();
    graph.output(z).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, rtune_onnx::encode(&graph.finish()).unwrap()).unwrap();
    path
}

fn cases() -> Vec<Case> {
    let case = |values: &[f32]| Case {
        inputs: vec![NamedTensor::f32("x", &[values.len()], values.to_vec())],
    };
    vec![case(&[1.0]), case(&[-1.0, 2.0, 0.5])]
}

fn request(candidate: &Path) -> VerifyRequest<'_> {
    VerifyRequest {
        candidate,
        outputs: &["y"],
        texts: 4,
        tolerance: Tolerance {
            atol: 1e-5,
            rtol: 1e-5,
        },
        threads: 1,
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());
    &RUNTIME
}

fn compare(candidate: &Path, reference: &mut dyn Reference) -> Result<VerifyReport, VerifyError> {
    let interrupt = Interrupt::new();
    verify(
        runtime(),
        &request(candidate),
        reference,
        &cases(),
        &mut |_| {},
        &interrupt,
    )
}

#[test]
fn first_node_that_differs_is_found_in_either_branch() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "reference.onnx", 2.0, 3.0);
    let runtime = runtime();
    for (a, b, expected) in [
        (2.0, 3.0, None),
        (2.5, 3.0, Some("left")),
        (2.0, 3.5, Some("right")),
    ] {
        let candidate = write(folder.path(), "candidate.onnx", a, b);
        let mut reference = OnnxReference::open(runtime, &file, &["y"], 1).unwrap();
        let report = compare(&candidate, &mut reference).unwrap();
        assert_eq!(report.holds, expected.is_none());
        assert_eq!(report.first_diverging_node.as_deref(), expected);
        assert_eq!(report.checks.len(), 2);
        assert_eq!(report.checks[0].shapes, [vec![1], vec![3]]);
    }
}

/// Of several outputs, the last one to be computed need not be one that differs.
#[test]
fn the_search_starts_from_the_output_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "reference.onnx", 2.0, 3.0);
    let runtime = runtime();
    for (a, b, outputs, expected) in [
        (2.0, 3.5, ["y", "z"], Some("right")),
        (2.0, 3.5, ["z", "y"], Some("right")),
        (2.5, 3.0, ["y", "z"], Some("left")),
        (2.0, 3.0, ["y", "z"], None),
    ] {
        let candidate = write(folder.path(), "candidate.onnx", a, b);
        let mut reference = OnnxReference::open(runtime, &file, &outputs, 1).unwrap();
        let request = VerifyRequest {
            outputs: &outputs,
            ..request(&candidate)
        };
        let stop = Interrupt::new();
        let report = verify(
            runtime,
            &request,
            &mut reference,
            &cases(),
            &mut |_| {},
            &stop,
        );
        let report = report.unwrap();
        assert_eq!(
            report.first_diverging_node.as_deref(),
            expected,
            "{outputs:?}"
        );
    }
}

#[test]
fn reports_name_the_node_and_the_distance() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "reference.onnx", 2.0, 3.0);
    let candidate = write(folder.path(), "candidate.onnx", 2.0, 4.0);
    let runtime = runtime();
    let mut reference = OnnxReference::open(runtime, &file, &["y"], 1).unwrap();
    let report = compare(&candidate, &mut reference).unwrap();
    let text = report.to_string();
    let start = "optimization level 3: fails for 4 numbers; 4 texts, 2 shapes from 1 to 3, \
                 largest difference 2.00e0, ";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with("first diverging node: right\n"), "{text}");
}

#[test]
fn function_without_inner_values_is_a_reference() {
    let folder = tempfile::tempdir().unwrap();
    let candidate = write(folder.path(), "candidate.onnx", 2.0, 3.0);
    let mut right = FnReference(|case: &Case| {
        let values = case.inputs[0].as_f32().unwrap_or_default();
        let y = |x: &f32| (2.0 * x).max(0.0) + 3.0 * x;
        Ok(vec![values.iter().map(y).collect()])
    });
    assert!(compare(&candidate, &mut right).unwrap().holds);
    let mut wrong = FnReference(|_: &Case| Ok(vec![vec![f32::NAN]]));
    let report = compare(&candidate, &mut wrong).unwrap();
    assert_eq!((report.holds, &report.first_diverging_node), (false, &None));
}

#[test]
fn errors_of_the_reference_keep_their_cause() {
    let folder = tempfile::tempdir().unwrap();
    let candidate = write(folder.path(), "candidate.onnx", 2.0, 3.0);
    let mut failing = FnReference(|_: &Case| Err("out of memory".into()));
    let error = compare(&candidate, &mut failing).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "out of memory");
}

#[test]
fn faulty_files_are_input_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.onnx");
    std::fs::write(&path, [8, 8, 58, 200]).unwrap();
    let mut reference = FnReference(|_: &Case| Ok(Vec::new()));
    for file in [&path, &folder.path().join("absent.onnx")] {
        let error = compare(file, &mut reference).unwrap_err();
        assert!(error.is_input(), "{error}");
    }
}

#[test]
fn a_request_to_stop_is_followed_and_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let candidate = write(folder.path(), "candidate.onnx", 2.0, 3.0);
    // Two checks for the reference, one for the candidate.
    let interrupt = Interrupt::after(3);
    let mut seen = Vec::new();
    let mut reference = FnReference(|_: &Case| Ok(vec![vec![]]));
    let result = verify(
        runtime(),
        &request(&candidate),
        &mut reference,
        &cases(),
        &mut |progress| seen.push(progress),
        &interrupt,
    );
    assert!(matches!(result, Err(VerifyError::Interrupted(_))));
    assert_eq!(
        seen,
        [
            Progress::Reference(1),
            Progress::Reference(2),
            Progress::Candidate(1)
        ]
    );
}
