//! Models of sequence classification that Hugging Face's transformers wrote, each with its family's
//! own head: `fixtures/classifiers`.

use crate::golden::{Batch, Golden};
use crate::interpreters::{covers, run};
use crate::{RUNTIME, flat, folders};
use candle_core::{Device, Tensor};
use rtune_nn::{Eager, HeadOrigin, ModelConfig, ParamGroup, Parameters as _, TextModel};
use rtune_runtime::{Optimization, SessionOptions};
use rtune_task::{Outputs, Pooling, Task, TaskSpec};
use rtune_testkit::{assert_close, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders, of which each family of the encoders has one.
fn classifiers() -> Vec<PathBuf> {
    let found = folders("classifiers");
    let name = |folder: &PathBuf| folder.file_name().unwrap().to_owned();
    let names: BTreeSet<_> = found.iter().map(name).collect();
    let families: BTreeSet<_> = crate::families().iter().map(name).collect();
    assert!(names.is_superset(&families), "{names:?}");
    found
}

fn load(folder: &Path) -> TextModel {
    TextModel::load_finetuned(folder, &Device::Cpu).unwrap()
}

fn logits(model: &TextModel, batch: &Batch) -> Vec<f32> {
    let ops = Eager::new();
    flat(model.forward(&batch.inputs(&ops)).unwrap().value())
}

#[test]
fn logits_are_those_of_the_reference_in_every_interpreter() {
    for folder in classifiers() {
        let model = load(&folder);
        let graph = rtune_export::export(&model, 17, &Outputs::default(), BTreeMap::new()).unwrap();
        let bytes = rtune_onnx::encode(&graph).unwrap();
        let session = |optimization| {
            let options = SessionOptions {
                optimization,
                ..SessionOptions::default()
            };
            RUNTIME.open_bytes(&bytes, &options).unwrap()
        };
        let mut sessions = [Optimization::Disabled, Optimization::All].map(session);
        for golden in Golden::read(&folder) {
            let what = |how: &str| format!("{} {:?} {how}", folder.display(), golden.shape);
            for (how, batch) in [("padded", golden.padded()), ("packed", golden.packed())] {
                assert_close(&what(how), &golden.logits, &logits(&model, &batch), 1e-5);
            }
            for session in &mut sessions {
                let (dims, found) = run(session, &model, &golden);
                assert_eq!(dims, [golden.shape.0, model.spec().outputs()]);
                assert_close(&what("exported"), &golden.logits, &found, 1e-5);
            }
        }
    }
}

/// The goldens can fail: heads of other families over the same weights give other logits.
#[test]
fn another_place_of_the_mean_gives_other_logits() {
    let folder = rtune_testkit::fixtures().join("classifiers");
    let source = folder.join("eurobert");
    let copy = tempfile::tempdir().unwrap();
    let other = copy.path().join("model");
    rtune_testkit::tiny_model_of(&source, &other);
    let config = std::fs::read_to_string(other.join("config.json")).unwrap();
    let changed = config.replace("\"late\"", "\"mean\"");
    assert_ne!(config, changed);
    std::fs::write(other.join("config.json"), changed).unwrap();
    let golden = &Golden::read(&source)[1];
    let found = logits(&load(&other), &golden.padded());
    let differences = golden.logits.iter().zip(&found);
    assert!(differences.clone().any(|(a, b)| (a - b).abs() > 0.01));
}

#[test]
fn every_parameter_of_a_family_head_receives_a_gradient() {
    for folder in classifiers() {
        let golden = &Golden::read(&folder)[1];
        for batch in [golden.padded(), golden.packed()] {
            covers(&load(&folder), &batch, &folder.display().to_string());
        }
    }
}

/// The tensors of a file by name.
fn tensors(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let path = folder.join("model.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let tensors = tensors.iter();
    tensors
        .map(|(name, tensor): (&String, &Tensor)| (name.clone(), flat(tensor)))
        .collect()
}

#[test]
fn models_are_written_with_the_names_that_transformers_reads() {
    for folder in classifiers() {
        let model = load(&folder);
        let saved = tempfile::tempdir().unwrap();
        model.save(saved.path()).unwrap();
        let what = folder.display();
        // No tensor more, no tensor less, none changed.
        assert!(tensors(saved.path()) == tensors(&folder), "{what}");
        let [before, after] = [&folder, &saved.path().to_owned()]
            .map(|folder| ModelConfig::read(folder).unwrap().to_json());
        for field in ["architectures", "model_type", "auto_map", "hidden_size"] {
            assert_eq!(before[field], after[field], "{what}");
        }
        if model.spec().task == Task::Classification {
            assert_eq!(before["id2label"], after["id2label"], "{what}");
        }
        assert_eq!(load(saved.path()).spec(), model.spec(), "{what}");
    }
}

#[test]
fn a_warm_start_for_other_labels_keeps_the_encoder() {
    for folder in classifiers() {
        let stored = load(&folder);
        let labels = ["no", "yes"].map(str::to_owned).to_vec();
        let spec = TaskSpec {
            task: Task::Classification,
            labels,
            ..stored.spec().clone()
        };
        let (model, report) = TextModel::load(&folder, &spec, 1, &Device::Cpu).unwrap();
        assert!(matches!(report.head, HeadOrigin::Replaced { .. }));
        let values = |model: &TextModel| -> BTreeMap<String, Vec<f32>> {
            let params = model.params().into_iter();
            let encoder = params.filter(|param| param.group() != ParamGroup::Head);
            let values = encoder.map(|param| (param.name().to_owned(), flat(param.value())));
            values.collect()
        };
        assert!(values(&model) == values(&stored), "{}", folder.display());
        let heads = |group| group == ParamGroup::Head;
        let new = model.params().into_iter().filter(|p| heads(p.group()));
        assert_eq!(new.count(), report.initialized.len());
        assert_eq!(model.head().params()[0].value().dims()[0], 2);
    }
}

/// Each command on a model of the hub, without training.
#[test]
fn classifiers_are_exported_verified_quantized_and_measured_without_training() {
    for source in classifiers() {
        let name = source.file_name().unwrap().to_str().unwrap().to_owned();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        rtune_testkit::tiny_model_of(&source, &path.join("model"));
        let is_regression = name.ends_with("regression");
        let rows = rtune_testkit::tiny_rows(32);
        std::fs::write(path.join("rows.csv"), rows).unwrap();
        let run = |command: &str| json(path, &command.split(' ').collect::<Vec<_>>());

        run("export --model model --output onnx");
        let verify = "verify --reference model --candidate onnx --data rows.csv";
        assert_eq!(run(verify)["holds"], true, "{name}");
        let quantize = "quantize --model onnx --calib rows.csv --output int8";
        let float = &run(quantize)["runtime"]["float"];
        assert_eq!(*float, serde_json::json!([]), "{name}");
        let metric = if is_regression { "mae" } else { "accuracy" };
        let value = |model: &str| {
            let evaluated = run(&format!("evaluate --model {model} --data rows.csv"));
            evaluated[metric].as_f64().unwrap()
        };
        let [checkpoint, exported, int8] = ["model", "onnx", "int8"].map(value);
        assert!((checkpoint - exported).abs() < 1e-6, "{name}");
        assert!(
            (checkpoint - int8).abs() < 0.2,
            "{name}: {checkpoint} {int8}"
        );
        let prediction = |model: &str| {
            let predicted = run(&format!("predict --model {model} a_good_film"));
            predicted["predictions"][0].clone()
        };
        let [checkpoint, exported] = ["model", "onnx"].map(prediction);
        if is_regression {
            assert!(checkpoint["score"].is_number(), "{checkpoint}");
        } else {
            assert_eq!(checkpoint["label"], exported["label"], "{name}");
            let labels = ["bad", "fair", "good"];
            assert!(labels.contains(&checkpoint["label"].as_str().unwrap()));
        }
    }
}

/// A pooling other than the family's is rtune's own, and no class of transformers reads it.
#[test]
fn rtunes_own_heads_name_the_encoder_only() {
    for folder in classifiers() {
        let stored = load(&folder);
        for (task, pooling) in [
            (stored.spec().task, Pooling::Mean),
            (Task::Ordinal, Pooling::Pooler),
        ] {
            let spec = TaskSpec {
                task,
                pooling,
                labels: ["bad", "fair", "good"].map(str::to_owned).to_vec(),
                ..stored.spec().clone()
            };
            let (model, _) = TextModel::load(&folder, &spec, 1, &Device::Cpu).unwrap();
            let saved = tempfile::tempdir().unwrap();
            model.save(saved.path()).unwrap();
            let config = ModelConfig::read(saved.path()).unwrap().to_json();
            let class = config["architectures"][0].as_str().unwrap();
            assert!(!class.contains("For"), "{class}");
            let names = tensors(saved.path());
            assert!(names.contains_key("head.weight"), "{:?}", names.keys());
            assert!(names.keys().all(|name| !name.contains("classifier.out")));
        }
    }
}
