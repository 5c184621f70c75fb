//! Inputs to compare on, and the choice of shapes.

use rtune_runtime::{Feed, NamedTensor};

/// The inputs of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// One tensor for each input of the models.
    pub inputs: Vec<NamedTensor>,
}

impl Case {
    /// Returns the inputs as a session takes them.
    pub fn feeds(&self) -> Vec<Feed<'_>> {
        self.inputs.iter().map(NamedTensor::feed).collect()
    }

    /// Returns the dimensions of the first input, which name the case in reports.
    pub fn shape(&self) -> &[usize] {
        self.inputs.first().map_or(&[], |input| &input.dims)
    }
}

/// One row of a batch of sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A sequence of the data, by its index.
    Sequence(usize),
    /// The first token of the data, alone.
    OneToken,
    /// As many tokens as the model takes: those of the data, one sequence after the other.
    Longest,
}

/// Chooses batches of sequences whose shapes are likely to find a fault: one token alone, one
/// sequence alone, two with one at the length limit, and then all of the data in `batches`.
///
/// The smallest shapes find constants that were folded for one shape; the ragged pair finds masks
/// that are ignored.
///
/// ```
/// use rtune_verify::{Row, choose};
///
/// let batches = choose(vec![vec![2, 0, 1]]);
/// assert_eq!(batches[0], [Row::OneToken]);
/// assert_eq!(batches[2], [Row::Longest, Row::Sequence(0)]);
/// assert_eq!(batches[3], [2, 0, 1].map(Row::Sequence));
/// ```
pub fn choose(batches: Vec<Vec<usize>>) -> Vec<Vec<Row>> {
    let mut chosen = vec![
        vec![Row::OneToken],
        vec![Row::Sequence(0)],
        vec![Row::Longest, Row::Sequence(0)],
    ];
    let rows = |batch: Vec<usize>| batch.into_iter().map(Row::Sequence).collect();
    chosen.extend(batches.into_iter().map(rows));
    chosen
}

/// Returns the shapes of the cases, each once, in ascending order.
pub(crate) fn shapes(cases: &[Case]) -> Vec<Vec<usize>> {
    let mut shapes: Vec<_> = cases.iter().map(|case| case.shape().to_vec()).collect();
    shapes.sort_unstable();
    shapes.dedup();
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_is_compared_and_small_shapes_come_first() {
        let chosen = choose(vec![vec![1, 3], vec![0, 2]]);
        let mut seen: Vec<_> = chosen[3..].iter().flatten().copied().collect();
        seen.sort_by_key(|row| match row {
            Row::Sequence(index) => *index,
            _ => usize::MAX,
        });
        assert_eq!(seen, [0, 1, 2, 3].map(Row::Sequence));
        assert!(chosen[..3].iter().map(Vec::len).is_sorted());
    }

    #[test]
    fn shapes_are_listed_once_in_order() {
        let case = |dims: &[usize]| Case {
            inputs: vec![NamedTensor::i64(
                "ids",
                dims,
                vec![0; dims.iter().product()],
            )],
        };
        let cases = [case(&[2, 3]), case(&[1, 1]), case(&[2, 3])];
        assert_eq!(shapes(&cases), [vec![1, 1], vec![2, 3]]);
        assert_eq!(cases[0].feeds()[0].name(), "ids");
    }
}
