//! Makes train, validation and test rows for ordinal regression from the film reviews.
//!
//! Source: the ground truth of Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for
//! Sentiment Analysis of Social Media Text", ICWSM 2014 (MIT license): an id, the mean rating from
//! -4 to 4, and a sentence on each line.

use anyhow::{Context as _, Result, anyhow};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::path::Path;

/// The label is the number of these that the rating exceeds.
const EDGES: [f64; 4] = [-2.0, -0.7, 0.7, 2.0];
/// Number of validation rows, and of test rows.
const HELD_OUT: usize = 1000;
const SEED: u64 = 20141;
const EXPECTED_ROWS: usize = 10_603;

struct Row {
    text: String,
    label: usize,
    rating: f64,
}

/// Writes the three files, unless they are all there.
pub(crate) fn make(ratings: &Path, target: &Path) -> Result<()> {
    let names = ["train.csv", "validation.csv", "test.csv"];
    if names.iter().all(|name| target.join(name).is_file()) {
        println!("reviews: in the cache, {}", target.display());
        return Ok(());
    }
    let source = ratings.join("movieReviewSnippets_GroundTruth.txt");
    let text = std::fs::read_to_string(&source).with_context(|| source.display().to_string())?;
    let mut rows = parse(&text).with_context(|| source.display().to_string())?;
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let test = rows.split_off(rows.len() - HELD_OUT);
    let validation = rows.split_off(rows.len() - HELD_OUT);
    std::fs::create_dir_all(target)?;
    for (name, rows) in names.iter().zip([rows, validation, test]) {
        let partial = target.join(format!("{name}.partial"));
        write(&partial, &rows)?;
        std::fs::rename(&partial, target.join(name))?;
        println!(
            "reviews: {} rows in {}",
            rows.len(),
            target.join(name).display()
        );
    }
    Ok(())
}

/// Parses the ratings; of equal sentences, the first is kept.
fn parse(text: &str) -> Result<Vec<Row>> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, rating, sentence] = fields.as_slice() else {
            return Err(anyhow!(
                "line {}: {} fields, expected 3",
                index + 1,
                fields.len()
            ));
        };
        let rating: f64 = rating
            .parse()
            .with_context(|| format!("line {}: rating `{rating}`", index + 1))?;
        let text = sentence.trim().replace("&amp;", "&");
        if seen.insert(text.clone()) {
            let label = EDGES.iter().filter(|edge| rating > **edge).count();
            rows.push(Row {
                text,
                label,
                rating,
            });
        }
    }
    if rows.len() != EXPECTED_ROWS {
        return Err(anyhow!(
            "{} different sentences, expected {EXPECTED_ROWS}",
            rows.len()
        ));
    }
    Ok(rows)
}

fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(["text", "label", "rating"])?;
    for row in rows {
        writer.write_record([
            row.text.as_str(),
            &row.label.to_string(),
            &format!("{:.4}", row.rating),
        ])?;
    }
    Ok(writer.flush()?)
}
