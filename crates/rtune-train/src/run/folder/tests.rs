use super::*;
use crate::CheckpointProblem;

const CHECKPOINT: &str = "checkpoints/step-00000005/a";

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn ignore(_: &Event<'_>) {}

fn accept(_: &Checkpoints) -> Result<bool, TrainError> {
    Ok(true)
}

fn refuse(_: &Checkpoints) -> Result<bool, TrainError> {
    Err(TrainError::Checkpoint {
        path: "step-00000005".into(),
        problem: CheckpointProblem::OtherRun(vec!["seed 42 (now 7)".to_owned()]),
    })
}

/// Opens the folder with `force`, archives the run in it, and writes a checkpoint.
fn replace(folder: &Path) -> RunFolder {
    let mut run = RunFolder::open(folder, true, &[]).unwrap();
    run.begin(&refuse, &mut ignore).unwrap();
    write(folder, CHECKPOINT, "new");
    run
}

#[test]
fn a_run_without_output_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/run");
    let mut run = RunFolder::open(&path, false, &[]).unwrap();
    run.begin(&accept, &mut ignore).unwrap();
    assert_eq!(names(&path), [".rtune.json", "metrics.jsonl"]);
    run.close().unwrap();
    assert_eq!(names(folder.path()), [""; 0]);

    // The caller's event files are removed with it.
    let mut run = RunFolder::open(&path, false, &[]).unwrap();
    run.begin(&accept, &mut ignore).unwrap();
    write(&path, "tensorboard/events", "");
    run.close().unwrap();
    assert_eq!(names(folder.path()), [""; 0]);

    // Files of the user stay.
    write(folder.path(), "run/metrics.jsonl", "");
    let run = RunFolder::open(&folder.path().join("run"), false, &[]).unwrap();
    write(folder.path(), "run/notes.txt", "mine");
    drop(run);
    assert_eq!(
        names(&folder.path().join("run")),
        ["metrics.jsonl", "notes.txt"]
    );
}

#[test]
fn a_folder_is_opened_only_if_it_is_vacant_or_an_interrupted_run() {
    let of_run = "{\"kind\":\"step\",\"step\":1}\n";
    // Files, force, the beginning of the problem.
    let cases: [(&[(&str, &str)], bool, Option<&str>); 11] = [
        (&[], false, None),
        (&[(CHECKPOINT, "")], false, None),
        (&[("metrics.jsonl", of_run), ("notes.txt", "")], false, None),
        (&[("metrics.jsonl", "")], false, None),
        (
            &[("metrics.jsonl", "{\"ki"), (".rtune.json", "{}")],
            false,
            None,
        ),
        (
            &[("notes.txt", "")],
            true,
            Some("run: is not an empty folder, and holds no run"),
        ),
        (
            &[("metrics.jsonl", ""), ("notes.txt", "")],
            true,
            Some("run: is not an empty folder, and holds no run"),
        ),
        (
            &[("metrics.jsonl", of_run), ("final/model.safetensors", "")],
            false,
            Some("run: holds a finished run, whose model is in final/"),
        ),
        (
            &[("metrics.jsonl", of_run), ("final/model.safetensors", "")],
            true,
            None,
        ),
        (
            &[("metrics.jsonl", of_run), ("final/mine", "")],
            true,
            Some("run/final/mine: is none of rtune's"),
        ),
        (
            &[(CHECKPOINT, ""), ("checkpoints/mine", "")],
            true,
            Some("run/checkpoints/mine: is none of rtune's"),
        ),
    ];
    for (files, force, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        for (file, text) in files {
            write(&path, file, text);
        }
        let found = RunFolder::open(&path, force, &[]).map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(_), None) => {}
            (Err(message), Some(expected)) => {
                let message = message.replace(&format!("{}/", folder.path().display()), "");
                assert!(message.starts_with(expected), "{files:?}: {message}");
            }
            (found, expected) => panic!("{files:?}: {:?}, {expected:?}", found.err()),
        }
    }
}

#[test]
fn an_input_in_the_folder_and_a_second_process_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "final/model.safetensors", "");
    write(path, "metrics.jsonl", "{\"kind\":\"step\",\"step\":1}\n");
    let input = path.join("final");
    let error = RunFolder::open(path, true, &[&input]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds an input of this command")
    );

    let run = RunFolder::open(path, true, &[]).unwrap();
    let error = RunFolder::open(path, true, &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("another rtune is at work in this folder")
    );
    drop(run);
    RunFolder::open(path, true, &[]).unwrap();
}

#[test]
fn a_replaced_run_is_restored_unless_its_successor_has_output() {
    for (file, text) in [("final/model.safetensors", "old"), (CHECKPOINT, "old")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, file, text);
        write(path, "metrics.jsonl", "{\"kind\":\"step\",\"step\":1}\n");

        // Diverged: its checkpoints are removed.
        let run = replace(path);
        run.abandon().unwrap();
        run.close().unwrap();
        assert_eq!(read(path, file), "old");
        assert_eq!(archived_runs(path), [""; 0].map(PathBuf::from));

        // Interrupted: both are kept.
        replace(path).close().unwrap();
        assert_eq!(read(path, CHECKPOINT), "new");
        assert_eq!(archived_runs(path).len(), 1);

        // Complete: the old one is removed.
        let mut run = RunFolder::open(path, true, &[]).unwrap();
        run.begin(&accept, &mut ignore).unwrap();
        let result = run.result().unwrap();
        write(result.path(), "model.safetensors", "new");
        run.commit(result).unwrap();
        run.close().unwrap();
        assert_eq!(read(path, "final/model.safetensors"), "new");
        assert_eq!(
            names(path),
            [".rtune.json", "checkpoints", "final", "metrics.jsonl"]
        );
    }
}

#[test]
fn a_killed_successor_without_output_is_removed_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, ".rtune-previous-1/final/model.safetensors", "old");
    write(path, ".rtune-previous-1/metrics.jsonl", "old");
    write(path, "metrics.jsonl", "");
    let error = RunFolder::open(path, false, &[]).unwrap_err();
    assert!(
        error.to_string().contains("holds a finished run"),
        "{error}"
    );
    assert_eq!(read(path, "final/model.safetensors"), "old");
    assert_eq!(read(path, "metrics.jsonl"), "old");
}

#[test]
fn an_archived_run_that_can_be_resumed_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, CHECKPOINT, "old");
    replace(path).close().unwrap();
    // The command of the old run again: it refuses the new checkpoints and accepts the old ones.
    let of_old = |checkpoints: &Checkpoints| {
        let current = Checkpoints::new(path.join(layout::CHECKPOINTS));
        if format!("{checkpoints:?}") == format!("{current:?}") {
            refuse(checkpoints)
        } else {
            Ok(true)
        }
    };
    let mut reasons = Vec::new();
    let mut callback = |event: &Event<'_>| {
        if let Event::Archived { reason } = event {
            reasons.push(reason.to_string());
        }
    };
    let mut run = RunFolder::open(path, true, &[]).unwrap();
    run.begin(&of_old, &mut callback).unwrap();
    assert_eq!(
        reasons,
        ["step-00000005: belongs to a run with seed 42 (now 7)"]
    );
    assert_eq!(read(path, CHECKPOINT), "old");
    let archived = archived_runs(path);
    assert_eq!(archived.len(), 1);
    assert_eq!(read(&archived[0], CHECKPOINT), "new");
}
