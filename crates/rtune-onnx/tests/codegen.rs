//! `src/generated.rs` must equal the code that `proto/onnx.proto` generates. `RTUNE_BLESS=1 cargo
//! test --release -p rtune-onnx` writes it anew.

use rtune_testkit::blessing;
use std::path::Path;

const HEADER: &str = concat!(
    "// Generated from proto/onnx.proto; do not edit. ",
    "RTUNE_BLESS=1 cargo test --release -p rtune-onnx writes it anew.\n"
);

#[test]
fn generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = root.join("../../proto");
    let descriptors = protox::compile(["onnx.proto"], [&proto]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    let expected = format!(
        "{HEADER}{}",
        std::fs::read_to_string(out.path().join("onnx.rs")).unwrap()
    );
    let path = root.join("src/generated.rs");
    if blessing() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "src/generated.rs differs from proto/onnx.proto; set RTUNE_BLESS=1 to write it anew"
    );
}
