use crate::families;
use crate::golden::Golden;
use rtune_testkit::json;
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

#[test]
fn each_family_is_fine_tuned_exported_verified_quantized_and_measured() {
    for family in families() {
        let name = family.file_name().unwrap().to_str().unwrap().to_owned();
        let folder = workspace(&family);
        let path = folder.path();
        rtune_testkit::tiny_export(path);
        let metadata = std::fs::read_to_string(path.join("onnx/metadata.json")).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
        let mut expected = vec!["input_ids", "attention_mask"];
        if Golden::read(&family)
            .iter()
            .all(|golden| golden.types.is_some())
        {
            expected.push("token_type_ids");
        }
        assert_eq!(metadata["inputs"], serde_json::json!(expected), "{name}");

        let verify = "verify --reference run/final --candidate onnx --data test.csv";
        assert_eq!(run(path, verify)["holds"], true, "{name}");
        let quantize = "quantize --model onnx --calib train.csv --output int8";
        assert_eq!(
            run(path, quantize)["runtime"]["float"],
            serde_json::json!([]),
            "{name}"
        );
        // Parameters that layers share are stored once.
        let bytes = |model: &str| run(path, &format!("inspect {model}"))["weights_bytes"].as_u64();
        let [float, int8] = ["onnx", "int8"].map(|model| bytes(model).unwrap());
        let parameters = std::fs::metadata(path.join("run/final/model.safetensors"));
        assert!(float < parameters.unwrap().len() + 4096, "{name}: {float}");
        assert!(3 * int8 < 2 * float, "{name}: {int8} of {float}");
        let bare = "verify --reference onnx/model.onnx --candidate onnx --data test.csv";
        assert_eq!(run(path, bare)["holds"], true, "{name}");
        let qwk = |model: &str| {
            let evaluated = run(path, &format!("evaluate --model {model} --data test.csv"));
            evaluated["qwk"]
                .as_f64()
                .unwrap_or_else(|| panic!("{name}: {evaluated}"))
        };
        let [trained, exported, int8] = ["run/final", "onnx", "int8"].map(qwk);
        assert!(
            (trained - exported).abs() < 1e-9,
            "{name}: {trained} {exported}"
        );
        assert!((trained - int8).abs() < 0.2, "{name}: {trained} {int8}");
        let label = |model: &str| {
            let predicted = run(path, &format!("predict --model {model} a_good_film"));
            predicted["predictions"][0]["label"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(label("run/final"), label("onnx"), "{name}");
        label("int8");
    }
}
