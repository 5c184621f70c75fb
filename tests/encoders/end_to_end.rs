//! Each family through all stages, by the command line; the table in README.md is the result.

use crate::golden::Golden;
use crate::{families, hidden_states};
use rtune_task::{Pooling, Task};
use rtune_testkit::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Runs a command and returns its result.
fn run(folder: &Path, command: &str) -> serde_json::Value {
    json(folder, &command.split(' ').collect::<Vec<_>>())
}

/// Copies a fixture as `model`, beside training and test rows.
fn workspace(family: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    rtune_testkit::tiny_model_of(family, &folder.path().join("model"));
    std::fs::write(
        folder.path().join("train.csv"),
        rtune_testkit::tiny_rows(96),
    )
    .unwrap();
    std::fs::write(folder.path().join("test.csv"), rtune_testkit::tiny_rows(32)).unwrap();
    folder
}

/// A stage: its name in the table, and its check, which panics if the stage does not work.
type Stage = (&'static str, fn(&Path, &Path));

/// The stages, each of which takes the fixture of a family and a folder with what the stages before
/// it have left there.
const STAGES: [Stage; 4] = [
    ("load", load),
    ("train", train),
    ("export", export),
    ("int8", int8),
];

/// The encoder gives the goldens of the reference implementation.
fn load(family: &Path, _: &Path) {
    let model = crate::load(family, Task::Ordinal, Pooling::Mean).unwrap();
    for golden in Golden::read(family) {
        let found = hidden_states(&model, &golden.padded());
        let [expected, found] = golden.compared(&found, false);
        rtune_testkit::assert_close("hidden states", &expected, &found, 1e-5);
    }
}

/// The model learns its rows.
fn train(_: &Path, folder: &Path) {
    rtune_testkit::tiny_export(folder);
    let evaluated = evaluate(folder, "run/final");
    assert!(evaluated > 0.5, "{evaluated}");
}

/// The ONNX model has the inputs of the family, and answers as the checkpoint does.
fn export(family: &Path, folder: &Path) {
    let metadata = std::fs::read_to_string(folder.join("onnx/metadata.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let mut expected = vec!["input_ids", "attention_mask"];
    if Golden::read(family)
        .iter()
        .all(|golden| golden.types.is_some())
    {
        expected.push("token_type_ids");
    }
    assert_eq!(metadata["inputs"], serde_json::json!(expected));
    let verify = "verify --reference run/final --candidate onnx --data test.csv";
    assert_eq!(run(folder, verify)["holds"], true);
    let bare = "verify --reference onnx/model.onnx --candidate onnx --data test.csv";
    assert_eq!(run(folder, bare)["holds"], true);
    let [trained, exported] = ["run/final", "onnx"].map(|model| evaluate(folder, model));
    assert!((trained - exported).abs() < 1e-9, "{trained} {exported}");
    assert_eq!(label(folder, "run/final"), label(folder, "onnx"));
    // Parameters that layers share are stored once.
    let parameters = std::fs::metadata(folder.join("run/final/model.safetensors"));
    let bytes = bytes(folder, "onnx");
    assert!(bytes < parameters.unwrap().len() + 4096, "{bytes}");
}

/// All products run as integers, in less memory, and answer nearly as before.
fn int8(_: &Path, folder: &Path) {
    let quantize = "quantize --model onnx --calib train.csv --output int8";
    let report = run(folder, quantize);
    assert_eq!(report["runtime"]["float"], serde_json::json!([]));
    let [float, int8] = ["onnx", "int8"].map(|model| bytes(folder, model));
    assert!(3 * int8 < 2 * float, "{int8} of {float}");
    let [float, int8] = ["onnx", "int8"].map(|model| evaluate(folder, model));
    assert!((float - int8).abs() < 0.2, "{float} {int8}");
    label(folder, "int8");
}

fn bytes(folder: &Path, model: &str) -> u64 {
    let inspected = run(folder, &format!("inspect {model}"));
    inspected["weights_bytes"].as_u64().unwrap()
}

fn evaluate(folder: &Path, model: &str) -> f64 {
    let evaluated = run(folder, &format!("evaluate --model {model} --data test.csv"));
    evaluated["qwk"]
        .as_f64()
        .unwrap_or_else(|| panic!("{evaluated}"))
}

fn label(folder: &Path, model: &str) -> String {
    let predicted = run(folder, &format!("predict --model {model} a_good_film"));
    let label = predicted["predictions"][0]["label"].as_str();
    label.unwrap().to_owned()
}

/// The rows of the table. A stage after one that failed is not reached.
fn matrix() -> String {
    let names: Vec<&str> = STAGES.iter().map(|(name, _)| *name).collect();
    let mut table = format!(
        "| `model_type` | {} |\n|---{}|\n",
        names.join(" | "),
        "|---".repeat(names.len())
    );
    for family in families() {
        let folder = workspace(&family);
        let mut works = true;
        let cells = STAGES.map(|(_, check)| {
            works =
                works && catch_unwind(AssertUnwindSafe(|| check(&family, folder.path()))).is_ok();
            if works { "yes" } else { "no" }
        });
        let name = family.file_name().unwrap().to_string_lossy().into_owned();
        table += &format!("| `{name}` | {} |\n", cells.join(" | "));
    }
    table
}

#[test]
fn matrix_of_families_and_stages_is_that_of_the_readme() {
    const BEGIN: &str = "<!-- made by `cargo xtask matrix` -->\n";
    const END: &str = "<!-- end of the table -->\n";
    let readme = std::fs::read_to_string(rtune_testkit::root().join("README.md")).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let found = matrix();
    assert!(!found.contains(" no "), "{found}");
    rtune_testkit::golden("README.md", &[before, BEGIN, &found, END, after].concat());
}
