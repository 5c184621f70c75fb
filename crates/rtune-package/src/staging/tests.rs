use super::*;
use crate::TargetProblem;

/// Creates a folder `out` with files in it, and returns its parent.
fn output(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join("out").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    root
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn dropped_staging_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let staging = Staging::new(&root.path().join("out"), false, &[]).unwrap();
    std::fs::write(staging.path().join("a"), "1").unwrap();
    assert_eq!(names(root.path()).len(), 1);
    drop(staging);
    assert!(names(root.path()).is_empty());
}

#[test]
fn commit_moves_the_folder_and_marks_it() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("deep/out");
    let staging = Staging::new(&target, false, &[]).unwrap();
    std::fs::write(staging.path().join("a"), "1").unwrap();
    staging.commit(Kind::Model).unwrap();
    assert_eq!(names(&target), [layout::MARKER, "a"]);
    assert_eq!(
        Marker::read(&target).unwrap(),
        Some(Marker::new(Kind::Model, ["a"]))
    );
    assert_eq!(names(&root.path().join("deep")), ["out"]);
}

#[test]
fn replacement_is_complete() {
    let root = output(&[]);
    let target = root.path().join("out");
    for name in ["a", "b"] {
        let staging = Staging::new(&target, true, &[root.path()]).unwrap();
        std::fs::write(staging.path().join(name), "").unwrap();
        staging.commit(Kind::Onnx).unwrap();
        assert_eq!(names(&target), [layout::MARKER, name]);
    }
    assert_eq!(names(root.path()), ["out"]);
}

#[test]
fn leftovers_of_the_same_target_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("out");
    let stale = root.path().join(".rtune-partial-out-killed");
    let of_another = root.path().join(".rtune-partial-out-int8-killed");
    std::fs::create_dir(&stale).unwrap();
    std::fs::create_dir(&of_another).unwrap();
    let working = Staging::new(&target, false, &[]).unwrap();
    let _staging = Staging::new(&target, false, &[]).unwrap();
    assert!(!stale.exists() && working.path().is_dir() && of_another.is_dir());
}

#[test]
fn replaced_output_comes_back_after_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("out");
    let old = root.path().join(".rtune-old-out-killed");
    std::fs::create_dir_all(old.join("kept")).unwrap();
    assert!(Staging::new(&target, true, &[]).is_err());
    assert!(target.join("kept").is_dir() && !old.exists());
    // If a new output has taken its place, it is removed.
    std::fs::create_dir(&old).unwrap();
    assert!(Staging::new(&target, true, &[]).is_err());
    assert!(target.join("kept").is_dir() && !old.exists());
}

#[test]
fn only_earlier_outputs_are_replaced() {
    use TargetProblem::{Newer, NotOurs, Occupied};
    let marker = |entries: &str, format: u32| {
        format!(r#"{{"kind": "onnx", "format": {format}, "entries": [{entries}]}}"#)
    };
    // Files, the marker's text, the problem without and with permission to replace.
    let cases: [(&[&str], Option<String>, _, _); 9] = [
        (&["a"], None, Some(NotOurs), Some(NotOurs)),
        // Outputs of builds before the marker.
        (&["metrics.jsonl"], None, Some(Occupied), None),
        (&["metadata.json", "model.onnx"], None, Some(Occupied), None),
        (&["metrics.jsonl", "a"], None, Some(NotOurs), Some(NotOurs)),
        // A pretrained model that the user downloaded.
        (
            &["config.json", "model.safetensors", "tokenizer.json"],
            None,
            Some(NotOurs),
            Some(NotOurs),
        ),
        (&["a"], Some(marker(r#""a""#, 1)), Some(Occupied), None),
        (
            &["a", "b"],
            Some(marker(r#""a""#, 1)),
            Some(NotOurs),
            Some(NotOurs),
        ),
        (&["a"], Some(marker(r#""a""#, 2)), Some(Newer), Some(Newer)),
        (
            &["metadata.json"],
            Some("{}".to_owned()),
            Some(NotOurs),
            Some(NotOurs),
        ),
    ];
    for (files, marker, expected, expected_with_force) in cases {
        let root = output(files);
        let target = root.path().join("out");
        if let Some(text) = &marker {
            std::fs::write(target.join(layout::MARKER), text).unwrap();
        }
        let problem = |force| match Staging::check_target(&target, force, &[]) {
            Ok(()) => None,
            Err(PackageError::Target { problem, .. }) => Some(problem),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(problem(false), expected, "{files:?} {marker:?}");
        assert_eq!(problem(true), expected_with_force, "{files:?} {marker:?}");
    }
}

#[test]
fn output_that_holds_an_input_is_kept() {
    let root = output(&["metrics.jsonl"]);
    let target = root.path().join("out");
    let input = target.join("metrics.jsonl");
    let error = Staging::new(&target, true, &[&input]).unwrap_err();
    let problem = TargetProblem::HoldsInput;
    assert!(matches!(error, PackageError::Target { problem: found, .. } if found == problem));
}

#[test]
fn folder_of_a_running_process_is_busy() {
    let root = output(&["metrics.jsonl"]);
    let log = File::open(root.path().join("out/metrics.jsonl")).unwrap();
    log.lock().unwrap();
    let error = Staging::new(&root.path().join("out"), true, &[]).unwrap_err();
    let problem = TargetProblem::Busy;
    assert!(matches!(error, PackageError::Target { problem: found, .. } if found == problem));
}

#[test]
fn files_are_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("out");
    std::fs::write(&target, "mine").unwrap();
    let error = Staging::new(&target, true, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}: exists and is not a folder", target.display())
    );
}
