//! Names of results: one list for the eager trace and for recorded graphs.

use candle_core::{Device, Tensor};
use rtune_export::Export;
use rtune_nn::{Eager, Inputs, TextModel, TokenSequences};
use rtune_task::{Cutpoints, Decision, Link, Pooling, Task, TaskSpec};

#[test]
fn every_traced_name_of_a_model_is_in_its_graph() {
    for pooling in [Pooling::Mean, Pooling::First, Pooling::Pooler] {
        let spec = TaskSpec {
            task: Task::Ordinal,
            labels: ["bad", "fair", "good"].map(str::to_owned).to_vec(),
            pooling,
            link: Link::Logit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::default(),
            max_length: 24,
        };
        let folder = rtune_testkit::fixtures().join("encoders/bert");
        let (model, _) = TextModel::load(&folder, &spec, 1, &Device::Cpu).unwrap();

        let ops = Eager::traced();
        let ids = Tensor::zeros((1, 4), candle_core::DType::U32, &Device::Cpu).unwrap();
        let sequences = TokenSequences::padded(&[1; 4], 1, 4, &Device::Cpu).unwrap();
        let inputs = Inputs::new(&ops, ids.clone(), Some(ids), &sequences);
        model.forward(&inputs).unwrap();
        let trace = ops.into_trace();
        assert!(trace.len() > 30, "{pooling:?}: {} names", trace.len());

        let export = Export::new("names", 17).unwrap();
        let text = export
            .text_inputs(&model.signature(), model.max_length())
            .unwrap();
        let inputs = Inputs::new(
            export.ops(),
            text.input_ids,
            text.token_type_ids,
            &text.sequences,
        );
        let logits = model.forward(&inputs).unwrap().into_value();
        let graph = export.finish([("logits", logits)]).unwrap().graph;
        for (name, _) in &trace {
            assert!(graph.find(name).is_some(), "{pooling:?}: {name}");
        }
    }
}
