//! The preflight on files that are not the library, and runs of small models.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use rtune_graph::{Dim, ElementType, Fact, GraphBuilder, NodeDraft, Tensor};
use rtune_runtime::{
    Feed, NamedTensor, Optimization, Runtime, RuntimeError, Session, SessionOptions,
    library_version,
};
use std::sync::LazyLock;

fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::load(&rtune_testkit::runtime_library()).unwrap());
    &RUNTIME
}

/// The bytes of y = x + 1 for x of `kind`, with a dynamic dimension.
fn increment(kind: ElementType) -> Vec<u8> {
    let mut graph = GraphBuilder::new("increment", 17);
    let x = graph
        .input("x", Fact::new(kind, [Dim::symbol("n")]))
        .unwrap();
    let one = match kind {
        ElementType::Float32 => Tensor::from_f32(&[], &[1.0]),
        _ => Tensor::from_i64(&[], &[1]),
    };
    let one = graph.constant("one", one.unwrap()).unwrap();
    let sum = NodeDraft::new("Add", "sum").inputs([x, one]).output("y");
    let y = graph.add(sum).unwrap();
    graph.output(y).unwrap();
    rtune_onnx::encode(&graph.finish()).unwrap().to_vec()
}

fn session(kind: ElementType) -> Session {
    let bytes = increment(kind);
    runtime()
        .open_bytes(&bytes, &SessionOptions::default())
        .unwrap()
}

#[test]
fn absent_library_is_missing() {
    for load in [
        library_version("absent.so".as_ref()).err(),
        Runtime::load("absent.so".as_ref()).err(),
    ] {
        let error = load.unwrap();
        assert!(matches!(error, RuntimeError::Missing(_)) && error.is_input());
        assert!(error.to_string().starts_with("absent.so: "), "{error}");
    }
}

#[test]
fn text_file_is_not_a_library() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a library").unwrap();
    let error = Runtime::load(file.path()).unwrap_err();
    assert!(matches!(error, RuntimeError::NotALibrary { .. }), "{error}");
    // The remedy is the caller's: it may have other ways to find a library.
    assert!(!error.to_string().contains("ORT_DYLIB_PATH"), "{error}");
}

#[test]
fn version_is_read_from_the_library() {
    let library = rtune_testkit::runtime_library();
    let runtime = runtime();
    assert_eq!(library_version(&library).unwrap(), runtime.version());
    assert_eq!(runtime.path(), library.canonicalize().unwrap());
}

#[test]
fn outlets_have_names_types_and_dynamic_dimensions() {
    let session = session(ElementType::Float32);
    let (inputs, outputs) = (session.inputs(), session.outputs());
    assert_eq!((inputs.len(), outputs.len()), (1, 1));
    assert_eq!(
        (inputs[0].name.as_str(), &inputs[0].dims),
        ("x", &vec![None])
    );
    assert_eq!(outputs[0].name, "y");
    assert_eq!(inputs[0].element_type, outputs[0].element_type);
}

#[test]
fn one_session_takes_any_length() {
    let mut session = session(ElementType::Float32);
    for values in [&[1.0_f32][..], &[-1.0, 0.5, 2.0]] {
        let outputs = session
            .run(&[Feed::f32("x", &[values.len()], values)])
            .unwrap();
        let (dims, found) = outputs.f32("y").unwrap();
        assert_eq!(dims, [values.len()]);
        let expected: Vec<f32> = values.iter().map(|v| v + 1.0).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn named_tensors_are_fed_like_borrowed_ones() {
    let mut session = session(ElementType::Float32);
    let tensor = NamedTensor::f32("x", &[2], vec![1.0, 2.0]);
    assert_eq!(tensor.as_f32(), Some(&[1.0, 2.0][..]));
    assert_eq!(tensor.as_i64(), None);
    let unused = NamedTensor::i64("unused", &[1], vec![7]);
    let outputs = session.run(&[unused.feed(), tensor.feed()]).unwrap();
    assert_eq!(outputs.f32("y").unwrap().1, [2.0, 3.0]);
}

#[test]
fn faulty_feeds_and_outputs_name_the_tensor() {
    let mut floats = session(ElementType::Float32);
    let error = floats.run(&[]).unwrap_err();
    assert!(error.to_string().starts_with("`x`: "), "{error}");
    let outputs = floats.run(&[Feed::f32("x", &[1], &[0.0])]).unwrap();
    let error = outputs.f32("z").unwrap_err();
    assert!(error.to_string().starts_with("`z`: "), "{error}");

    let mut integers = session(ElementType::Int64);
    let outputs = integers.run(&[Feed::i64("x", &[1], &[0])]).unwrap();
    let error = outputs.f32("y").unwrap_err();
    assert!(matches!(error, RuntimeError::Tensor { .. }), "{error}");
    assert!(error.is_input());
}

#[test]
fn wrong_types_and_shapes_are_errors_of_the_run() {
    let mut session = session(ElementType::Float32);
    for feed in [
        Feed::i64("x", &[1], &[0]),
        Feed::f32("x", &[1, 1], &[0.0]),
        Feed::f32("x", &[3], &[0.0]),
    ] {
        assert!(session.run(&[feed]).is_err(), "{feed:?}");
    }
}

#[test]
fn broken_models_are_input_errors() {
    let runtime = runtime();
    let options = SessionOptions::default();
    let error = runtime.open("absent.onnx".as_ref(), &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "absent.onnx: ONNX Runtime does not load the model: no such file"
    );
    let error = runtime.open_bytes(&[1, 2, 3], &options).unwrap_err();
    assert!(matches!(error, RuntimeError::Model { .. }) && error.is_input());
}

#[test]
fn rewritten_model_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, increment(ElementType::Float32)).unwrap();
    for optimization in [Optimization::Disabled, Optimization::All] {
        let optimized = folder.path().join(optimization.name());
        let options = SessionOptions {
            optimization,
            optimized_model: Some(optimized.clone()),
            ..SessionOptions::default()
        };
        drop(runtime().open(&file, &options).unwrap());
        assert!(optimized.is_file());
    }
}
