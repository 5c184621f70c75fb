//! The charts of a training run.

use crate::TrainingPage;
use crate::chart::{Chart, Form, PALETTE, Series, graded};
use rtune_task::{Decision, Metric, Task};

const BINS: usize = 15;
const SCORE_BINS: usize = 40;

/// Loss, learning rate and gradient norm by step, and cutpoints by step.
pub(crate) fn progress(page: &TrainingPage) -> Vec<Chart> {
    let of = |value: fn(&crate::StepPoint) -> f64| -> Vec<(f64, f64)> {
        let steps = page.steps.iter();
        steps.map(|log| (log.step as f64, value(log))).collect()
    };
    let training = Series::new(Form::Line, of(|log| log.loss)).named("training", PALETTE[0]);
    let validation = evaluations(page, |evaluation| Some(evaluation.metrics.loss));
    let validation = Series::new(Form::Dotted, validation).named("validation", PALETTE[1]);
    vec![
        Chart {
            y: "loss".to_owned(),
            series: vec![training, validation],
            ..by_step("Loss")
        },
        cutpoints(page),
        Chart {
            y: "learning rate".to_owned(),
            series: vec![Series::new(Form::Line, of(|log| log.learning_rate))],
            ..by_step("Learning rate")
        },
        Chart {
            y: "norm".to_owned(),
            note: "Mean over the steps of a log, before clipping.".to_owned(),
            series: vec![Series::new(Form::Line, of(|log| log.gradient_norm))],
            ..by_step("Gradient norm")
        },
    ]
}

fn by_step(title: &str) -> Chart {
    Chart {
        title: title.to_owned(),
        x: "step".to_owned(),
        ..Chart::default()
    }
}

fn evaluations(
    page: &TrainingPage,
    value: impl Fn(&crate::EvaluationPoint) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let all = page.evaluations.iter();
    all.filter_map(|evaluation| Some((evaluation.step as f64, value(evaluation)?)))
        .collect()
}

/// The cutpoints of an ordinal model by step, on the axis of the score.
fn cutpoints(page: &TrainingPage) -> Chart {
    let count = page.cutpoints.len();
    let series = (0..count).map(|index| {
        let points = evaluations(page, |e| e.cutpoints.get(index).copied());
        let name = match (page.labels.get(index), page.labels.get(index + 1)) {
            (Some(below), Some(above)) => format!("{below} | {above}"),
            _ => format!("{index} | {}", index + 1),
        };
        Series::new(Form::Dotted, points).named(name, graded(index, count))
    });
    Chart {
        y: "score".to_owned(),
        note: "Each cutpoint divides the scores of two neighboring classes. The last fit, after \
               the last step, is not in it."
            .to_owned(),
        series: series.collect(),
        ..by_step("Cutpoints")
    }
}

/// A chart of each metric on the validation rows, other than the loss.
pub(crate) fn metrics(page: &TrainingPage) -> Vec<Chart> {
    let all = Metric::of_task(page.task).filter(|metric| *metric != Metric::Loss);
    all.map(|metric| Chart {
        y: metric.name().to_owned(),
        note: match page.metric == Some(metric) {
            true => "Chooses the best model.".to_owned(),
            false => String::new(),
        },
        series: vec![Series::new(
            Form::Dotted,
            evaluations(page, |evaluation| evaluation.metrics.get(metric)),
        )],
        ..by_step(metric.name())
    })
    .collect()
}

/// The charts of the finished model's predictions.
pub(crate) fn outcome(page: &TrainingPage) -> Vec<Chart> {
    match page.task {
        Task::Ordinal => vec![scores(page), calibration(page)],
        Task::Classification => vec![calibration(page)],
        Task::Regression => vec![numbers(page)],
        Task::Embedding => Vec::new(),
    }
}

/// Histograms of the score, one for each class.
fn scores(page: &TrainingPage) -> Chart {
    let scores = || page.predictions.iter().map(|prediction| prediction.score);
    let low = scores().fold(f64::INFINITY, f64::min);
    let width = (scores().fold(f64::NEG_INFINITY, f64::max) - low) / SCORE_BINS as f64;
    let bin = |score: f64| match width > 0.0 {
        true => (((score - low) / width) as usize).min(SCORE_BINS - 1),
        false => 0,
    };
    let count = page.labels.len();
    let mut counts = vec![vec![0_usize; SCORE_BINS]; count];
    for (score, target) in scores().zip(&page.targets) {
        if let Some(of_class) = target.class().and_then(|class| counts.get_mut(class)) {
            of_class[bin(score)] += 1;
        }
    }
    let series = page.labels.iter().zip(&counts).enumerate();
    let series = series.filter(|(_, (_, counts))| counts.iter().any(|count| *count > 0));
    let series = series.map(|(class, (label, counts))| {
        let middle = |bin: usize| low + (bin as f64 + 0.5) * width;
        let points = counts.iter().enumerate();
        let points = points.map(|(bin, count)| (middle(bin), *count as f64));
        Series::new(Form::Line, points.collect()).named(label, graded(class, count))
    });
    Chart {
        title: "Scores of each class".to_owned(),
        note: "Vertical lines are the cutpoints.".to_owned(),
        x: "score".to_owned(),
        y: "rows".to_owned(),
        series: series.collect(),
        marks: page.cutpoints.clone(),
        ..Chart::default()
    }
}

/// The share of hits over the confidence of the most probable class, in the bins of the expected
/// calibration error.
fn calibration(page: &TrainingPage) -> Chart {
    let mut bins = [(0.0, 0.0, 0_usize); BINS];
    for (prediction, target) in page.predictions.iter().zip(&page.targets) {
        let class = Decision::Mode.class(&prediction.probabilities);
        let Some(confidence) = prediction.probabilities.get(class) else {
            continue;
        };
        let bin = (confidence * BINS as f64).ceil() as usize;
        let (confidences, hits, rows) = &mut bins[bin.clamp(1, BINS) - 1];
        *confidences += confidence;
        *hits += f64::from(u8::from(target.class() == Some(class)));
        *rows += 1;
    }
    let filled = bins.into_iter().filter(|(_, _, rows)| *rows > 0);
    let points = filled.map(|(confidences, hits, rows)| {
        let rows = rows as f64;
        (confidences / rows, hits / rows)
    });
    let points: Vec<_> = points.collect();
    let guide = match points.is_empty() {
        true => Vec::new(),
        false => vec![(0.0, 0.0), (1.0, 1.0)],
    };
    Chart {
        title: "Calibration".to_owned(),
        note: "Probabilities that are right lie on the diagonal.".to_owned(),
        x: "probability of the most probable class".to_owned(),
        y: "share of hits".to_owned(),
        series: vec![
            Series::new(Form::Guide, guide),
            Series::new(Form::Dotted, points),
        ],
        y_range: Some(-0.02..1.02),
        ..Chart::default()
    }
}

/// Predicted numbers over true ones.
fn numbers(page: &TrainingPage) -> Chart {
    let targets = page.targets.iter().map(|target| target.number());
    let scores = page.predictions.iter().map(|prediction| prediction.score);
    let points: Vec<_> = targets.clone().zip(scores).collect();
    let low = targets.clone().fold(f64::INFINITY, f64::min);
    let high = targets.fold(f64::NEG_INFINITY, f64::max);
    Chart {
        title: "Predicted and true numbers".to_owned(),
        note: "Predictions without error lie on the line.".to_owned(),
        x: "true".to_owned(),
        y: "predicted".to_owned(),
        series: vec![
            Series::new(Form::Guide, vec![(low, low), (high, high)]),
            Series::new(Form::Dots, points),
        ],
        ..Chart::default()
    }
}

/// A histogram of the number of tokens, for each split.
pub(crate) fn lengths(page: &TrainingPage) -> Vec<Chart> {
    let chart = |split: &crate::Split| {
        let longest = split.lengths.iter().copied().max().unwrap_or(0);
        let width = longest.div_ceil(24).max(1);
        let mut counts = vec![0_usize; longest / width + 1];
        for length in &split.lengths {
            counts[length / width] += 1;
        }
        let points = counts.iter().enumerate().map(|(bin, count)| {
            let middle = (bin * width) as f64 + 0.5 * (width - 1) as f64;
            (middle, *count as f64)
        });
        let points = match split.lengths.is_empty() {
            true => Vec::new(),
            false => points.collect(),
        };
        Chart {
            title: format!("Length of {} texts", split.name),
            note: match split.truncated {
                0 => String::new(),
                count => format!(
                    "{count} texts were longer than {} tokens.",
                    split.max_length
                ),
            },
            x: "tokens".to_owned(),
            y: "texts".to_owned(),
            series: vec![Series::new(Form::Bars, points)],
            ..Chart::default()
        }
    };
    page.splits.iter().map(chart).collect()
}
