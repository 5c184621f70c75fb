//! The course of a run on the tiny fixture: its updates, the best model, and the report.

#![expect(
    clippy::unwrap_used,
    reason = "a failure in a test's own work is the test's failure"
)]

use candle_core::Device;
use rtune_interrupt::Interrupt;
use rtune_task::Task;
use rtune_testkit::{FINETUNE, json, rtune, tiny_rows, tiny_workspace};
use rtune_train::{Event, RunRequest, TrainError, run};
use serde_json::Value;
use std::path::Path;

fn numbers(values: &Value, pointer: &str) -> Vec<f64> {
    let number = |value: &Value| value.pointer(pointer).unwrap().as_f64().unwrap();
    values.as_array().unwrap().iter().map(number).collect()
}

/// Sets the dropout of the tiny model to 0.
fn without_dropout(folder: &Path) {
    let path = folder.join("model/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for field in ["hidden_dropout_prob", "attention_probs_dropout_prob"] {
        config[field] = 0.0.into();
    }
    std::fs::write(path, config.to_string()).unwrap();
}

/// The lines of the log of a run.
fn log(folder: &Path, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(run).join("metrics.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// With a low learning rate the labels stay the same while the loss falls.
#[test]
fn of_evaluations_with_the_same_metric_the_one_of_the_lowest_loss_is_the_best() {
    let folder = tiny_workspace();
    let flags = [
        "--max-steps",
        "8",
        "--eval-steps",
        "2",
        "--learning-rate",
        "1e-5",
        "--metric-for-best-model",
        "accuracy",
        "--decision",
        "mode",
        "--head-start-rows",
        "0",
        // The loss still improves, so the run goes on.
        "--early-stopping-patience",
        "1",
    ];
    let report = json(folder.path(), &[&FINETUNE[..], &flags].concat());
    let history = &report["history"];
    assert_eq!(numbers(history, "/step"), [2.0, 4.0, 6.0, 8.0]);
    let accuracy = numbers(history, "/metrics/accuracy");
    assert!(
        accuracy.iter().all(|value| *value == accuracy[0]),
        "{accuracy:?}"
    );
    let losses = numbers(history, "/metrics/loss");
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    assert_eq!(
        (
            &report["best_step"],
            &report["best_metric"],
            &report["best_value"]
        ),
        (&8.into(), &"accuracy".into(), &accuracy[0].into())
    );
    assert_eq!(report["validation"]["loss"], losses[3]);
    let evaluations = log(folder.path(), "run");
    let evaluations = evaluations
        .iter()
        .filter(|line| line["kind"] == "evaluation");
    let logged: Vec<&Value> = evaluations.map(|line| &line["metrics"]["loss"]).collect();
    assert_eq!(logged.len(), 4);
    assert!(
        logged
            .iter()
            .zip(&losses)
            .all(|(logged, loss)| *logged == loss)
    );
}

/// Nine rows as one batch, and as batches of eight and one.
#[test]
fn an_update_over_the_same_rows_is_the_same_update() {
    let folder = tiny_workspace();
    let folder = folder.path();
    without_dropout(folder);
    std::fs::write(folder.join("nine.csv"), tiny_rows(9)).unwrap();
    let first_line = |run: &'static str, more: &[&'static str]| {
        let rows = ["--train", "nine.csv", "--labels", "0,1,2", "--output", run];
        let model = ["finetune", "--model", "model", "--validation", "test.csv"];
        let length = [
            "--max-length",
            "24",
            "--max-steps",
            "2",
            "--logging-steps",
            "1",
        ];
        json(folder, &[&model[..], &rows, &length, more].concat());
        log(folder, run).swap_remove(0)
    };
    let weights = ["--class-weights", "1,5,0.5"];
    for (whole, parts, more) in [("a", "b", &[][..]), ("c", "d", &weights)] {
        let whole = first_line(whole, &[&["--train-batch-size", "9"], more].concat());
        let accumulated = [
            "--train-batch-size",
            "8",
            "--gradient-accumulation-steps",
            "2",
        ];
        let parts = first_line(parts, &[&accumulated, more].concat());
        for field in ["loss", "gradient_norm"] {
            let [whole, parts] = [&whole, &parts].map(|line| line[field].as_f64().unwrap());
            assert!((whole - parts).abs() < 1e-5, "{field}: {whole} and {parts}");
        }
    }
}

/// Writes rows whose number follows from a word: `offset`, or up to `range` above it.
fn write_numbers(folder: &Path, (offset, range): (f64, f64)) {
    for (name, count) in [("train.csv", 96), ("test.csv", 32)] {
        let rows = tiny_rows(count);
        let rows = rows.lines().enumerate().map(|(index, line)| match index {
            0 => format!("{line}\n"),
            _ => {
                let (text, _) = line.rsplit_once(',').unwrap();
                let level = [0.0, 0.2, 0.8, 1.0][(index - 1) % 4];
                format!("{text},{}\n", offset + range * level)
            }
        });
        std::fs::write(folder.join(name), rows.collect::<String>()).unwrap();
    }
}

const REGRESSION: [&str; 8] = [
    "--task",
    "regression",
    "--learning-rate",
    "3e-3",
    "--train-batch-size",
    "8",
    "--num-train-epochs",
    "6",
];

fn number(report: &Value, pointer: &str) -> f64 {
    let value = report.pointer(pointer).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no {pointer} in {report}"))
}

/// One learning rate serves numbers of any size, and every command gives them in their own unit.
#[test]
fn a_regression_learns_numbers_of_any_unit() {
    for (offset, range) in [
        (0.0, 1.0),
        (0.0, 100.0),
        (1e6, 100.0),
        (-5e-6, 1e-6),
        (1e20, 1e20),
    ] {
        let folder = tiny_workspace();
        let folder = folder.path();
        write_numbers(folder, (offset, range));
        let logged = ["--logging-steps", "5"];
        let report = json(folder, &[&FINETUNE[..], &REGRESSION, &logged].concat());
        let what = format!("{offset} + {range}: {report}");
        let mae = number(&report, "/validation/mae");
        let baseline = number(&report, "/baseline/0/value");
        assert!((baseline - 0.4 * range).abs() < 0.01 * range, "{what}");
        assert!(
            mae < 0.5 * baseline && report["baseline"][0]["beaten"] == true,
            "{what}"
        );
        assert!(
            (number(&report, "/targets/mean") - offset - 0.5 * range).abs()
                < 1e-9 * (range + offset.abs())
        );
        // The logged loss is in the unit of the numbers, too: about their variance at the start.
        let first = number(&log(folder, "run")[0], "/loss");
        let variance = number(&report, "/baseline/1/value");
        assert!(
            first > 0.05 * variance && first < 3.0 * variance,
            "{first}, {what}"
        );
        json(folder, &["export", "--model", "run", "--output", "onnx"]);
        // The largest number is a 32-bit float here.
        let step = f64::from((offset.abs() + range) as f32) * 1.2e-7;
        for model in ["run", "onnx"] {
            let measured = json(
                folder,
                &["evaluate", "--model", model, "--data", "test.csv"],
            );
            let error = (number(&measured, "/mae") - mae).abs();
            assert!(error < 1e-3 * range + step, "{model}: {error}, {what}");
            let predicted = json(
                folder,
                &["predict", "--model", model, "the film was very great"],
            );
            let score = number(&predicted, "/predictions/0/score");
            assert!(
                (score - offset - range).abs() < 0.5 * range,
                "{model}: {score}, {what}"
            );
        }
        let config = std::fs::read(folder.join("run/final/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let metadata = std::fs::read(folder.join("onnx/metadata.json")).unwrap();
        let metadata: Value = serde_json::from_slice(&metadata).unwrap();
        for stored in [&config["rtune"]["targets"], &metadata["targets"]] {
            assert_eq!(*stored, report["targets"]);
        }
    }
}

/// A new head starts at the mean, so that even a run that learns nothing is as good as it.
#[test]
fn a_regression_that_learns_nothing_says_so() {
    let folder = tiny_workspace();
    let folder = folder.path();
    write_numbers(folder, (20.0, 60.0));
    let short = [
        "--task",
        "regression",
        "--max-steps",
        "1",
        "--learning-rate",
        "1e-9",
    ];
    let output = rtune(folder, &[&FINETUNE[..], &short, &["--json"]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report, "/baseline/0/value"), 24.0);
    assert!(
        (number(&report, "/validation/mae") - 24.0).abs() < 2.0,
        "{report}"
    );
    let beaten = report["baseline"][0]["beaten"].as_bool().unwrap();
    let warning = "warning: mae on the validation rows is ";
    assert_eq!(message.contains(warning), !beaten, "{message}");

    // One number for all rows.
    write_numbers(folder, (7.0, 0.0));
    let output = rtune(folder, &[&FINETUNE[..], &REGRESSION, &["--force"]].concat());
    assert_eq!(output.status.code(), Some(0));
    let message = String::from_utf8(output.stderr).unwrap();
    let warning = "warning: the answer 7 is right for all validation rows, so mae on them cannot";
    assert!(message.contains(warning), "{message}");
    let predicted = json(
        folder,
        &["predict", "--model", "run", "the film was very great"],
    );
    assert!(
        (number(&predicted, "/predictions/0/score") - 7.0).abs() < 0.1,
        "{predicted}"
    );
}

#[test]
fn a_classifier_that_learns_nothing_says_so() {
    let folder = tiny_workspace();
    let folder = folder.path();
    let short = [
        "--task",
        "classification",
        "--max-steps",
        "1",
        "--learning-rate",
        "1e-9",
    ];
    let output = rtune(folder, &[&FINETUNE[..], &short, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["baseline"][0]["answer"], "0");
    assert_eq!(number(&report, "/baseline/0/value"), 0.5);
    assert_eq!(report["baseline"][0]["beaten"], false);
    let message = String::from_utf8(output.stderr).unwrap();
    let warning = "no better than 0.5000, that of the answer `0` for every text";
    assert!(message.contains(warning), "{message}");
    let trained = json(
        folder,
        &[&FINETUNE[..], &REGRESSION[2..], &["--force"]].concat(),
    );
    let beaten = |baseline: &Value| baseline["beaten"] == true;
    assert!(
        trained["baseline"].as_array().unwrap().iter().all(beaten),
        "{trained}"
    );
    assert_eq!(trained["baseline"][1]["constant"], "median_class");
    let measured = json(
        folder,
        &["evaluate", "--model", "run", "--data", "test.csv"],
    );
    assert_eq!(measured["baseline"][0]["value"], 0.5);
    assert_eq!(measured["baseline"][1]["model"], measured["mae"]);
    for metrics in [&trained["validation"], &measured] {
        let (recall, confusion) = (&metrics["recall"], &metrics["confusion"]);
        let hits = confusion["2"]["2"].as_f64().unwrap();
        assert_eq!(recall["2"].as_f64().unwrap(), hits / 8.0, "{metrics}");
    }
    let history = trained["history"].as_array().unwrap();
    assert_eq!(history.len(), 6);
    assert!(
        history
            .iter()
            .all(|line| line["metrics"]["confusion"] == serde_json::json!({}))
    );
}

/// The head of a checkpoint is the same function in the units of other targets.
#[test]
fn a_fine_tuned_regression_starts_as_it_is() {
    let folder = tiny_workspace();
    let folder = folder.path();
    write_numbers(folder, (0.0, 100.0));
    json(folder, &[&FINETUNE[..], &REGRESSION].concat());
    write_numbers(folder, (-40.0, 70.0));
    let before = json(
        folder,
        &["evaluate", "--model", "run", "--data", "test.csv"],
    );
    let rows = [
        "--train",
        "train.csv",
        "--validation",
        "test.csv",
        "--max-length",
        "24",
    ];
    let start = [
        "finetune",
        "--model",
        "run",
        "--output",
        "again",
        "--task",
        "regression",
    ];
    let nothing = ["--max-steps", "1", "--learning-rate", "1e-12"];
    let report = json(folder, &[&start[..], &rows, &nothing].concat());
    for metric in ["mae", "loss"] {
        let [before, after] = [&before[metric], &report["validation"][metric]];
        let [before, after] = [before, after].map(|value| value.as_f64().unwrap());
        assert!(
            (after / before - 1.0).abs() < 1e-5,
            "{metric}: {before}, now {after}"
        );
    }
}

/// Numbers of another size are of another unit, in which the old head would start far away.
#[test]
fn a_fine_tuned_regression_learns_numbers_of_another_unit() {
    let folder = tiny_workspace();
    let folder = folder.path();
    write_numbers(folder, (0.0, 100.0));
    json(folder, &[&FINETUNE[..], &REGRESSION].concat());
    write_numbers(folder, (0.0, 1.0));
    let files = ["--train", "train.csv", "--validation", "test.csv"];
    let again = ["finetune", "--model", "run", "--output", "again", "--json"];
    let length = ["--max-length", "24"];
    let output = rtune(folder, &[&again[..], &files, &length, &REGRESSION].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    let note = "so it is replaced by a new one: targets of mean 50 and";
    assert!(message.contains(note), "{message}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mae = number(&report, "/validation/mae");
    assert!(mae < 0.2, "{report}");
}

#[test]
fn a_regression_resumes_to_the_same_bytes() {
    let folder = tiny_workspace();
    let folder = folder.path();
    write_numbers(folder, (0.0, 100.0));
    let files = [
        "final/model.safetensors",
        "final/config.json",
        "metrics.jsonl",
    ];
    let finish = |output: &str, patience: usize| {
        let mut request = RunRequest::new(
            folder.join("model"),
            folder.join("train.csv"),
            folder.join(output),
        );
        request.validation = Some(folder.join("test.csv"));
        request.task = Task::Regression;
        request.max_length = 24;
        request.settings.max_steps = Some(7);
        request.settings.eval_steps = Some(2);
        request.settings.train_batch_size = 8;
        let mut ignored = |_: &Event<'_>| {};
        for pieces in 1..100 {
            let interrupt = Interrupt::after(patience);
            match run(&request, &Device::Cpu, None, &mut ignored, &interrupt) {
                Ok(report) => return (pieces, report),
                Err(TrainError::Interrupted { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the run makes no progress")
    };
    let (_, whole) = finish("whole", usize::MAX);
    for patience in [3, 4, 5] {
        let output = format!("pieces{patience}");
        let (pieces, report) = finish(&output, patience);
        assert!(pieces > 1);
        for file in files {
            let of = |run: &str| std::fs::read(folder.join(run).join(file)).unwrap();
            assert!(
                of("whole") == of(&output),
                "{file}, interrupted after {patience}"
            );
        }
        assert_eq!(
            (report.history, report.baseline),
            (whole.history.clone(), whole.baseline.clone())
        );
    }
}

fn entries(folder: &Path, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(name)).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Runs of each task, the choices of reports, and what is in them.
#[test]
fn a_run_leaves_the_reports_that_are_asked_for() {
    let folder = tiny_workspace();
    let folder = folder.path();
    let run = |output: &'static str, more: &[&str]| {
        let flags = [
            "--train-batch-size",
            "8",
            "--max-steps",
            "4",
            "--eval-steps",
            "2",
        ];
        let mut arguments = [&FINETUNE[..], &flags, more].concat();
        let place = arguments.iter().position(|flag| *flag == "run").unwrap();
        arguments[place] = output;
        let done = rtune(folder, &arguments);
        let message = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{message}");
        assert!(!message.contains("warning: no "), "{message}");
    };
    let page = |run: &str| std::fs::read_to_string(folder.join(run).join("report.html")).unwrap();
    run("all", &["--test", "test.csv"]);
    let html = page("all");
    for part in [
        "<h1>all</h1>",
        "<h3>Cutpoints</h3>",
        "<h3>Scores of each class</h3>",
        "<h2>Confusion matrix</h2>",
        "<h2>Finished model on the test rows</h2>",
        "<td>test.csv</td>",
        "<code>training_data_sha256</code>",
        "<dt>best model</dt>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let events = entries(folder, "all/tensorboard");
    assert!(
        events.len() == 1 && events[0].starts_with("events.out.tfevents."),
        "{events:?}"
    );
    let bytes = std::fs::read(folder.join("all/tensorboard").join(&events[0])).unwrap();
    for tag in ["train/loss", "train/learning_rate", "eval/qwk", "test/qwk"] {
        assert!(
            bytes.windows(tag.len()).any(|part| part == tag.as_bytes()),
            "{tag}"
        );
    }
    run("none", &["--report-to", "none"]);
    let bare = [".rtune.json", "checkpoints", "final", "metrics.jsonl"];
    assert_eq!(entries(folder, "none"), bare);
    run("page", &["--report-to", "html", "--task", "classification"]);
    assert!(page("page").contains("<h3>Calibration</h3>"));
    assert_eq!(entries(folder, "page/tensorboard"), [""; 0]);
    run(
        "events",
        &["--report-to", "tensorboard", "--task", "regression"],
    );
    assert!(!folder.join("events/report.html").exists());
    assert_eq!(entries(folder, "events/tensorboard").len(), 1);
    // A report that cannot be written does not end a run.
    std::fs::create_dir_all(folder.join("run/report.html/mine")).unwrap();
    let arguments = [&FINETUNE[..], &["--max-steps", "2"]].concat();
    let refused = rtune(folder, &arguments);
    assert_eq!(refused.status.code(), Some(2));
}
