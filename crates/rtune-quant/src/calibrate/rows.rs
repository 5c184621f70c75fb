//! Which rows of a tensor belong to tokens.

use rtune_graph::Dim;
use std::ops::Range;

/// How the rows of a tensor relate to the tokens of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// One row per token, in the order of the mask: rows of padding are left out.
    PerToken,
    /// All rows count.
    All,
}

impl Rows {
    /// Decides from shapes as inference knows them, never from sizes at run time: a tensor follows
    /// the mask if its dimensions before the last are those of the mask, as in
    /// `[batch, sequence, width]`, or their product, as in `[batch*sequence, width]`.
    ///
    /// In a graph whose dimensions do not follow, or whose flat dimension is a plain number, all
    /// rows count: padding then widens ranges at most, and no token's value is lost.
    pub(crate) fn of(mask: Option<&[Dim]>, tensor: Option<&[Dim]>) -> Self {
        let (Some(mask), Some([leading @ .., _])) = (mask, tensor) else {
            return Self::All;
        };
        let is_known = |dim: &Dim| *dim != Dim::Unknown;
        let same = leading == mask && mask.iter().all(is_known);
        let flat = Dim::product(mask);
        let is_flat = matches!(&flat, Dim::Symbolic(_)) && *leading == [flat];
        if same || is_flat {
            Self::PerToken
        } else {
            Self::All
        }
    }
}

/// The runs of tokens between padding.
pub(crate) fn token_runs(mask: &[bool]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = None;
    for (index, is_token) in mask.iter().chain([&false]).enumerate() {
        match (is_token, start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                runs.push(from..index);
                start = None;
            }
            _ => {}
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_the_mask_by_dimension_and_not_by_number() {
        let [batch, sequence] = ["batch", "sequence"].map(Dim::symbol);
        let flat = Dim::symbol("batch*sequence");
        let mask = [batch.clone(), sequence.clone()];
        let width = Dim::Fixed(8);
        for (tensor, expected) in [
            (vec![flat, width.clone()], Rows::PerToken),
            (
                vec![batch.clone(), sequence.clone(), width.clone()],
                Rows::PerToken,
            ),
            (
                vec![sequence.clone(), batch.clone(), width.clone()],
                Rows::All,
            ),
            (vec![batch, width.clone()], Rows::All),
            (vec![Dim::Unknown, width.clone()], Rows::All),
            (vec![Dim::Unknown, Dim::Unknown, width.clone()], Rows::All),
            (vec![], Rows::All),
        ] {
            assert_eq!(Rows::of(Some(&mask), Some(&tensor)), expected, "{tensor:?}");
            assert_eq!(Rows::of(None, Some(&tensor)), Rows::All, "{tensor:?}");
        }
        assert_eq!(Rows::of(Some(&mask), None), Rows::All);

        // Of plain numbers, only the same shape counts: 12 rows may be anything.
        let mask = [Dim::Fixed(2), Dim::Fixed(6)];
        let flat = [Dim::Fixed(12), width.clone()];
        assert_eq!(Rows::of(Some(&mask), Some(&flat)), Rows::All);
        let grid = [Dim::Fixed(2), Dim::Fixed(6), width];
        assert_eq!(Rows::of(Some(&mask), Some(&grid)), Rows::PerToken);
    }

    #[test]
    fn runs_leave_padding_out() {
        let mask = |text: &str| text.chars().map(|c| c == '1').collect::<Vec<_>>();
        assert_eq!(token_runs(&mask("1100101")), [0..2, 4..5, 6..7]);
        assert_eq!(token_runs(&mask("00")), Vec::<Range<usize>>::new());
        assert_eq!(token_runs(&[]), Vec::<Range<usize>>::new());
    }
}
