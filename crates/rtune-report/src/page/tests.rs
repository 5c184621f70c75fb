use super::*;
use rtune_task::{Link, OrdinalScale};

fn labels() -> Vec<String> {
    ["bad", "fair", "<b>good</b>"].map(String::from).to_vec()
}

/// A run of three classes with one mistake.
fn page() -> TrainingPage {
    let scale = OrdinalScale::new(vec![-1.0, 1.0], Link::Logit);
    let logits = [-3.0, -2.5, 0.1, 0.0, 3.0, 0.2];
    let predict = |logit| Prediction::from_logits(Task::Ordinal, Some(&scale), &[logit]);
    let predictions: Vec<_> = logits.map(|logit| predict(logit).unwrap()).into();
    let targets: Vec<_> = [0, 0, 1, 1, 2, 2].map(Target::Class).into();
    let metrics = Metrics::compute(&predictions, &targets, Decision::Median, &labels()).unwrap();
    let split = |name: &str| Split {
        name: name.to_owned(),
        source: format!("{name}.csv"),
        lengths: vec![3, 9, 9, 4, 5, 128],
        truncated: 1,
        max_length: 128,
        targets: targets.clone(),
    };
    TrainingPage {
        title: "run".to_owned(),
        summary: vec![("model".to_owned(), "run/final".to_owned())],
        labels: labels(),
        decision: Decision::Median,
        cutpoints: vec![-1.0, 1.0],
        metric: Some(Metric::Qwk),
        steps: (1..9)
            .map(|step| StepPoint {
                step,
                loss: 1.0 / step as f64,
                learning_rate: 1e-4,
                gradient_norm: 1.0,
            })
            .collect(),
        evaluations: [4, 8]
            .map(|step| EvaluationPoint {
                step,
                metrics: metrics.clone(),
                cutpoints: vec![-0.5, 0.5],
            })
            .into(),
        splits: vec![split("training"), split("validation")],
        rated: "validation".to_owned(),
        predictions,
        targets,
        metrics: Some(metrics),
        mistakes: vec![Mistake {
            line: Some(7),
            text: "<script>alert(1)</script> & a \"quote\"".to_owned(),
            label: "bad".to_owned(),
            predicted: "fair".to_owned(),
            confidence: 0.912_34,
        }],
        settings: vec![("seed".to_owned(), "42".to_owned())],
        ..TrainingPage::default()
    }
}

fn titles(html: &str) -> Vec<&str> {
    let parts = html.split("<h3>").skip(1);
    parts
        .map(|part| part.split("</h3>").next().unwrap())
        .collect()
}

#[test]
fn the_page_has_all_parts_and_needs_nothing_else() {
    let html = page().html().unwrap();
    let expected = [
        "Loss",
        "Cutpoints",
        "Learning rate",
        "Gradient norm",
        "accuracy",
        "mae",
        "macro_mae",
        "qwk",
        "off_by_one",
        "rps",
        "ece",
        "spearman",
        "Scores of each class",
        "Calibration",
        "Length of training texts",
        "Length of validation texts",
    ];
    assert_eq!(titles(&html), expected);
    for part in [
        "Chooses the best model.",
        "<dt>model</dt><dd>run&#x2f;final</dd>",
        "<td>bad</td><td>fair</td><td class=\"n\">0.912</td>",
        "1 (16.7 %)",
        "<dt><code>seed</code></dt><dd><code>42</code></dd>",
        "decision rule <code>median</code>",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    for other in ["<script", "src=", "@import", "http-equiv"] {
        assert!(!html.contains(other), "{other}");
    }
    let links = html.matches("http").count() - html.matches("http://www.w3.org/2000/svg").count();
    assert_eq!(links, 0);
}

#[test]
fn texts_and_labels_are_not_markup() {
    let html = page().html().unwrap();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt; &amp; a &quot;quote&quot;"));
    assert!(html.contains("&lt;b&gt;good&lt;&#x2f;b&gt;") && !html.contains("<b>good"));
}

#[test]
fn parts_without_values_are_left_out() {
    let html = TrainingPage::default().html().unwrap();
    assert!(!html.contains("<h2>") && !html.contains("<svg"), "{html}");
    // Nothing was evaluated, and the classes have no rows.
    let page = TrainingPage {
        evaluations: Vec::new(),
        predictions: Vec::new(),
        targets: Vec::new(),
        metrics: None,
        mistakes: Vec::new(),
        ..page()
    };
    let html = page.html().unwrap();
    let expected = [
        "Loss",
        "Learning rate",
        "Gradient norm",
        "Length of training texts",
        "Length of validation texts",
    ];
    assert_eq!(titles(&html), expected);
    assert!(!html.contains("Confusion"), "{html}");
}

#[test]
fn each_task_has_charts_of_its_own() {
    let page = |task, predictions: Vec<Prediction>, targets: Vec<Target>| TrainingPage {
        task,
        predictions,
        targets,
        cutpoints: Vec::new(),
        evaluations: Vec::new(),
        splits: Vec::new(),
        steps: Vec::new(),
        ..page()
    };
    let numbers =
        [1.0, 2.0].map(|x| Prediction::from_logits(Task::Regression, None, &[x]).unwrap());
    let targets = vec![Target::Number(1.5), Target::Number(2.5)];
    let html = page(Task::Regression, numbers.into(), targets)
        .html()
        .unwrap();
    assert_eq!(titles(&html), ["Predicted and true numbers"]);
    assert!(
        html.contains("largest errors") && !html.contains("decision rule"),
        "{html}"
    );
    let classes = Prediction::from_logits(Task::Classification, None, &[0.1, 2.0, 0.3]).unwrap();
    let html = page(Task::Classification, vec![classes], vec![Target::Class(1)]);
    assert_eq!(titles(&html.html().unwrap()), ["Calibration"]);
}

#[test]
fn equal_scores_and_one_row_are_drawn() {
    let mut page = page();
    page.predictions.truncate(1);
    page.targets.truncate(1);
    assert!(page.html().unwrap().contains("Scores of each class"));
}

#[test]
fn predictions_must_be_those_of_the_targets() {
    let mut page = page();
    page.targets.pop();
    let error = page.html().unwrap_err().to_string();
    assert_eq!(error, "validation: 6 predictions for 5 targets");
}
