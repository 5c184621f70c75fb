//! The made sets: product reviews of graded phrases, and film reviews cut into classes.

use anyhow::{Context as _, Result};
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Rows of a test file.
pub(super) const TEST_ROWS: usize = 2000;

/// Words of ten grades, from the worst to the best.
const GRADES: [[&str; 4]; 10] = [
    ["atrocious", "disgraceful", "abysmal", "appalling"],
    ["terrible", "awful", "dreadful", "horrible"],
    ["bad", "poor", "lousy", "weak"],
    ["disappointing", "flawed", "underwhelming", "mediocre"],
    ["passable", "so-so", "tolerable", "unremarkable"],
    ["okay", "decent", "acceptable", "adequate"],
    ["good", "nice", "solid", "pleasing"],
    ["very good", "great", "impressive", "delightful"],
    ["excellent", "wonderful", "superb", "fantastic"],
    ["perfect", "flawless", "outstanding", "magnificent"],
];

const ASPECTS: [&str; 20] = [
    "battery",
    "screen",
    "sound",
    "delivery",
    "packaging",
    "manual",
    "price",
    "design",
    "keyboard",
    "camera",
    "strap",
    "case",
    "service",
    "zipper",
    "handle",
    "motor",
    "finish",
    "fabric",
    "cable",
    "app",
];

/// Remarks of reviews that carry no grade.
const ASIDES: [&str; 10] = [
    "bought it in March",
    "it came on a Tuesday",
    "my sister has the same one",
    "this is for the blue version",
    "I use it at work",
    "we ordered two of them",
    "it replaces an older model",
    "the box was opened once",
    "I am 1.80 m tall",
    "it stands in the kitchen",
];

/// A kind of set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Classes of equal frequency, each with its own range of grades: nearly separable.
    Clear,
    /// Classes whose frequencies grow from first to last, as those of stars do; grades vary within
    /// a review and across the borders of classes, and 3 % of the labels are random.
    Noisy,
    /// The film reviews of `cargo xtask fetch`, cut into classes of equal frequency by their mean
    /// ratings.
    Film,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Clear, Self::Noisy, Self::Film];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Noisy => "noisy",
            Self::Film => "film",
        }
    }
}

/// A row: a text and its class.
pub(super) type Row = (String, usize);

/// Makes `rows` rows for training, and the test rows, which are the same for any number of rows.
/// None if there are not enough film reviews.
pub(super) fn make(
    kind: Kind,
    rows: usize,
    classes: usize,
    seed: u64,
) -> Result<Option<[Vec<Row>; 2]>> {
    if kind == Kind::Film {
        return film(rows, classes);
    }
    let stream = |stream, count| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        (0..count)
            .map(|_| review(kind, classes, &mut random))
            .collect()
    };
    Ok(Some([stream(1, rows), stream(2, TEST_ROWS)]))
}

/// Writes rows as CSV.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let mut writer = csv::Writer::from_path(path).with_context(|| path.display().to_string())?;
    writer.write_record(["text", "label"])?;
    for (text, class) in rows {
        writer.write_record([text.as_str(), &class.to_string()])?;
    }
    Ok(writer.flush()?)
}

/// The share of rows below each class, and 1 at the end.
fn edges(kind: Kind, classes: usize) -> Vec<f64> {
    let weight = |class: usize| match kind {
        Kind::Noisy => (class + 1) as f64,
        Kind::Clear | Kind::Film => 1.0,
    };
    let total: f64 = (0..classes).map(weight).sum();
    let below = |class: usize| (0..class).map(weight).sum::<f64>() / total;
    (0..=classes).map(below).collect()
}

fn review(kind: Kind, classes: usize, random: &mut ChaCha8Rng) -> Row {
    let share: f64 = random.random();
    let edges = edges(kind, classes);
    let class = edges[1..classes]
        .iter()
        .filter(|edge| share >= **edge)
        .count();
    let (quality, spread) = match kind {
        // Within the middle three fifths of the range of the class.
        Kind::Clear => {
            let within = 0.2 + 0.6 * random.random::<f64>();
            ((class as f64 + within) / classes as f64, 0.01)
        }
        // Each class has an equal range of quality, whatever its frequency.
        Kind::Noisy | Kind::Film => {
            let within = (share - edges[class]) / (edges[class + 1] - edges[class]);
            ((class as f64 + within) / classes as f64, 0.1)
        }
    };
    let label = match kind == Kind::Noisy && random.random_bool(0.03) {
        true => random.random_range(0..classes),
        false => class,
    };
    (text(quality, spread, random), label)
}

/// A review of two to four aspects, whose grades are within `spread` of `quality`, 0 to 1, on
/// average.
fn text(quality: f64, spread: f64, random: &mut ChaCha8Rng) -> String {
    let count = random.random_range(2..=4);
    let mut phrases: Vec<String> = (0..count)
        .map(|_| {
            // The sum of two uniform numbers is near enough to a normal one.
            let error = spread * 1.5 * (random.random::<f64>() + random.random::<f64>() - 1.0);
            let grade = ((quality + error) * 10.0).floor().clamp(0.0, 9.0) as usize;
            phrase(grade, random)
        })
        .collect();
    if random.random_bool(0.5) {
        let place = random.random_range(0..=phrases.len());
        phrases.insert(place, pick(&ASIDES, random).to_owned());
    }
    phrases.join(pick(&[", ", ". ", "; "], random))
}

fn phrase(grade: usize, random: &mut ChaCha8Rng) -> String {
    let (word, aspect) = (pick(&GRADES[grade], random), pick(&ASPECTS, random));
    match random.random_range(0..5) {
        0 => format!("the {aspect} is {word}"),
        1 => format!("{word} {aspect}"),
        2 => format!("I find the {aspect} {word}"),
        3 => format!("the {aspect} turned out {word}"),
        _ => format!("{aspect}: {word}"),
    }
}

fn pick(words: &[&'static str], random: &mut ChaCha8Rng) -> &'static str {
    words.choose(random).copied().unwrap_or_default()
}

/// The first film reviews for training, and all test rows.
fn film(rows: usize, classes: usize) -> Result<Option<[Vec<Row>; 2]>> {
    let folder = rtune_testkit::fetched_reviews();
    let train = ratings(&folder.join("train.csv"))?;
    if train.len() < rows {
        return Ok(None);
    }
    let mut sorted: Vec<f64> = train.iter().map(|(_, rating)| *rating).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = |class: usize| sorted[class * sorted.len() / classes];
    let cuts: Vec<f64> = (1..classes).map(cut).collect();
    let label =
        |(text, rating): (String, f64)| (text, cuts.iter().filter(|cut| rating >= **cut).count());
    let test = ratings(&folder.join("test.csv"))?;
    Ok(Some([
        train.into_iter().take(rows).map(label).collect(),
        test.into_iter().map(label).collect(),
    ]))
}

/// The texts of a file with their mean ratings.
fn ratings(path: &Path) -> Result<Vec<(String, f64)>> {
    let shown = || format!("{}, which `cargo xtask fetch` makes", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(shown)?;
    let rows = reader.records().map(|row| {
        let row = row?;
        Ok((row[0].to_owned(), row[2].parse()?))
    });
    rows.collect::<Result<_>>().with_context(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind, rows: usize, classes: usize) -> [Vec<Row>; 2] {
        make(kind, rows, classes, 7).unwrap().unwrap()
    }

    #[test]
    fn sets_depend_on_the_seed_alone_and_share_their_test_rows() {
        for kind in [Kind::Clear, Kind::Noisy] {
            let [few, test] = made(kind, 100, 5);
            let [many, same] = made(kind, 300, 5);
            assert_eq!((&many[..100], same), (&few[..], test));
            assert_ne!(make(kind, 100, 5, 8).unwrap().unwrap()[0], few);
        }
    }

    #[test]
    fn frequencies_are_equal_or_grow() {
        for classes in [2, 3, 5, 10] {
            for kind in [Kind::Clear, Kind::Noisy] {
                let [rows, _] = made(kind, 20_000, classes);
                for class in 0..classes {
                    let count = rows.iter().filter(|row| row.1 == class).count();
                    let expected = match kind {
                        Kind::Noisy => {
                            let total = classes * (classes + 1) / 2;
                            0.97 * (class + 1) as f64 / total as f64 + 0.03 / classes as f64
                        }
                        _ => 1.0 / classes as f64,
                    };
                    let found = count as f64 / rows.len() as f64;
                    assert!(
                        (found - expected).abs() < 0.015,
                        "{kind:?} {class}: {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_best_class_is_praised() {
        let [rows, _] = made(Kind::Clear, 200, 10);
        let is_praise = |text: &str| GRADES[9].iter().any(|word| text.contains(word));
        for (text, class) in rows {
            // `flawed` is no part of `flawless`; no word of another grade contains one of these.
            assert_eq!(is_praise(&text), class == 9, "{text}");
        }
    }
}
