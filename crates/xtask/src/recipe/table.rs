//! The table, and the comparison of its rows.

use serde_json::Value;

/// The smallest share of the rows from which a class must be predicted.
const FREQUENT: f64 = 0.1;
/// The largest loss of accuracy beside a classification.
const TOLERANCE: f64 = 0.02;

/// A trained model.
pub(super) struct Cell {
    /// Kind, training rows, classes, seed.
    pub(super) set: (&'static str, usize, usize, u64),
    pub(super) task: String,
    /// On the test rows.
    pub(super) metrics: Value,
    /// The rule of the labels.
    pub(super) decision: String,
    /// The share of the training rows of each class.
    pub(super) frequencies: Vec<f64>,
}

impl Cell {
    fn get(&self, metric: &str) -> f64 {
        self.metrics[metric].as_f64().unwrap_or(f64::NAN)
    }

    /// The number of texts that were predicted as each class.
    fn predicted(&self) -> Vec<u64> {
        let count = |class: usize| {
            let rows = self.metrics["confusion"].as_object();
            let rows = rows.into_iter().flat_map(|rows| rows.values());
            rows.filter_map(|row| row[class.to_string()].as_u64()).sum()
        };
        (0..self.frequencies.len()).map(count).collect()
    }

    /// The frequent classes that are never predicted.
    fn forgotten(&self) -> Vec<usize> {
        let both = self.frequencies.iter().zip(self.predicted()).enumerate();
        both.filter(|(_, (share, count))| **share >= FREQUENT && *count == 0)
            .map(|(class, _)| class)
            .collect()
    }
}

/// Prints rows as they come, and compares the tasks at the end.
pub(super) struct Table {
    cells: Vec<Cell>,
}

impl Table {
    pub(super) fn new() -> Self {
        println!(
            "\n| set | rows | classes | seed | task | rule | accuracy | QWK | MAE | RPS | ECE \
             | loss | Spearman | classes predicted |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
        );
        Self { cells: Vec::new() }
    }

    pub(super) fn add(&mut self, cell: Cell) {
        let (kind, rows, classes, seed) = cell.set;
        let predicted = cell.predicted().iter().filter(|count| **count > 0).count();
        print!(
            "| {kind} | {rows} | {classes} | {seed} | {} | {} |",
            cell.task, cell.decision
        );
        for metric in ["accuracy", "qwk", "mae", "rps", "ece", "loss", "spearman"] {
            print!(" {:.3} |", cell.get(metric));
        }
        println!(" {predicted} of {classes} |");
        self.cells.push(cell);
    }

    /// Prints the differences of ordinal models from classifications, and what falls short.
    pub(super) fn finish(&self) {
        let of = |task: &'static str| self.cells.iter().filter(move |cell| cell.task == task);
        let pairs = of("ordinal").filter_map(|cell| {
            let mut others = of("classification");
            Some((cell, others.find(|other| other.set == cell.set)?))
        });
        println!("\nordinal minus classification, and what falls short:");
        for (ordinal, other) in pairs {
            let (kind, rows, classes, seed) = ordinal.set;
            let difference = |metric| ordinal.get(metric) - other.get(metric);
            let (accuracy, qwk) = (difference("accuracy"), difference("qwk"));
            let mut short = Vec::new();
            if accuracy < -TOLERANCE {
                short.push("accuracy".to_owned());
            }
            if qwk < 0.0 {
                short.push("QWK".to_owned());
            }
            let forgotten = ordinal.forgotten();
            if !forgotten.is_empty() {
                short.push(format!("never predicted: {forgotten:?}"));
            }
            println!(
                "{kind:<6} {rows:>6} rows {classes:>3} classes  seed {seed}  accuracy \
                 {accuracy:+.3}  QWK {qwk:+.3}  ECE {:+.3}  {}",
                difference("ece"),
                short.join(", ")
            );
        }
    }
}
