//! Names of results: one list for the eager trace and for recorded graphs.

use candle_core::{Device, Tensor};
use rtune_nn::{Eager, Inputs, TextModel, TokenSequences};
use rtune_task::{Cutpoints, Decision, Link, Output, Outputs, Pooling, Task, TaskSpec};

/// Every output that a list may have.
const ALL: [Output; 4] = [
    Output::LastHiddenState,
    Output::Embedding,
    Output::Logits,
    Output::Probabilities,
];

fn spec(task: Task, pooling: Pooling, link: Link) -> TaskSpec {
    TaskSpec {
        task,
        labels: ["bad", "fair", "good"].map(str::to_owned).to_vec(),
        pooling,
        link,
        cutpoints: Cutpoints::Ordered,
        decision: Decision::default(),
        targets: None,
        text_pairs: false,
        max_length: 24,
    }
}

/// Traces a model and records it, and fails if a traced name is not in the graph. Returns the names
/// of the class probabilities.
fn check(spec: &TaskSpec, list: &[Output]) -> usize {
    let outputs = Outputs::new(spec.task, list.iter().copied()).unwrap();
    let folder = rtune_testkit::fixtures().join("encoders/bert");
    let (model, _) = TextModel::load(&folder, spec, 1, &Device::Cpu).unwrap();

    let ops = Eager::traced();
    let ids = Tensor::zeros((1, 4), candle_core::DType::U32, &Device::Cpu).unwrap();
    let sequences = TokenSequences::padded(&[1; 4], 1, 4, &Device::Cpu).unwrap();
    let inputs = Inputs::new(&ops, ids.clone(), Some(ids), &sequences);
    model.outputs(&inputs, &outputs).unwrap();
    let trace = ops.into_trace();
    assert!(trace.len() > 30, "{spec:?}: {} names", trace.len());

    let graph = rtune_export::export(&model, 17, &outputs, Default::default());
    let graph = graph.unwrap().graph;
    for (name, _) in &trace {
        assert!(graph.find(name).is_some(), "{spec:?} {outputs}: {name}");
    }
    let names = trace.iter().filter(|(name, _)| name.starts_with("classes"));
    names.count()
}

#[test]
fn every_traced_name_of_a_model_is_in_its_graph() {
    for pooling in [Pooling::Mean, Pooling::First, Pooling::Pooler] {
        let spec = spec(Task::Ordinal, pooling, Link::Logit);
        assert_eq!(check(&spec, &[Output::Logits]), 0);
    }
}

#[test]
fn every_traced_name_of_class_probabilities_is_in_the_graph() {
    for link in [Link::Logit, Link::Probit, Link::Cloglog] {
        let spec = spec(Task::Ordinal, Pooling::Mean, link);
        assert!(check(&spec, &ALL) > 10, "{link:?}");
    }
    let spec = spec(Task::Classification, Pooling::Mean, Link::Logit);
    assert!(check(&spec, &ALL) > 0);
}
