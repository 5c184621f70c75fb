use crate::{NnError, Result};
use candle_core::D;

/// An axis of a tensor, counted from the first (0, 1, …) or from the last (−1, −2, …).
///
/// ```
/// use candle_core::D;
/// use rtune_nn::Axis;
///
/// assert_eq!(Axis::from(1).index(3)?, 1);
/// assert_eq!(Axis::from(D::Minus1).index(3)?, 2);
/// assert!(Axis::from(-4).index(3).is_err());
/// # Ok::<(), rtune_nn::NnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis(i64);

impl Axis {
    /// The number as ONNX writes it: from 0 for the first axis, from −1 for the last.
    pub fn number(self) -> i64 {
        self.0
    }

    /// The index of the axis in a tensor of `rank` dimensions.
    ///
    /// # Errors
    /// If the tensor has no such axis.
    pub fn index(self, rank: usize) -> Result<usize> {
        let index = match usize::try_from(self.0) {
            Ok(index) => Some(index),
            Err(_) => usize::try_from(self.0.unsigned_abs())
                .ok()
                .and_then(|back| rank.checked_sub(back)),
        };
        index.filter(|index| *index < rank).ok_or_else(|| {
            NnError::operation(format!("axis {} of a tensor of rank {rank}", self.0))
        })
    }
}

impl From<i32> for Axis {
    fn from(axis: i32) -> Self {
        Self(i64::from(axis))
    }
}

impl From<D> for Axis {
    fn from(axis: D) -> Self {
        match axis {
            D::Minus1 => Self(-1),
            D::Minus2 => Self(-2),
            D::Minus(back) => Self(-(back as i64)),
        }
    }
}

/// One dimension of [`Ops::reshape`](crate::Ops::reshape).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The input's dimension at this place.
    Keep,
    /// This size.
    Exact(usize),
    /// The size that follows from the number of elements; at most once.
    Infer,
}

/// The sizes that a list of extents gives for an input of shape `dims`.
///
/// # Errors
/// If [`Extent::Keep`] has no dimension to keep, [`Extent::Infer`] stands twice, or the elements do
/// not fill the shape.
pub(crate) fn resolve(dims: &[usize], shape: &[Extent]) -> Result<Vec<usize>> {
    let fail = || NnError::operation(format!("reshape {dims:?} to {shape:?}"));
    let total: usize = dims.iter().product();
    let mut inferred = None;
    let mut sizes = Vec::with_capacity(shape.len());
    for (index, extent) in shape.iter().enumerate() {
        sizes.push(match extent {
            Extent::Exact(size) => *size,
            Extent::Keep => *dims.get(index).ok_or_else(fail)?,
            Extent::Infer if inferred.replace(index).is_some() => return Err(fail()),
            Extent::Infer => 1,
        });
    }
    let rest: usize = sizes.iter().product();
    if let Some(index) = inferred {
        // With an empty input, any size would fit; ONNX takes 0.
        sizes[index] = total.checked_div(rest).unwrap_or(0);
    }
    if sizes.iter().product::<usize>() == total {
        Ok(sizes)
    } else {
        Err(fail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Extent::{Exact, Infer, Keep};

    #[test]
    fn extents_resolve_or_fail() -> Result<()> {
        let cases: [(&[usize], &[Extent], Option<&[usize]>); 9] = [
            (&[2, 3, 4], &[Keep, Infer], Some(&[2, 12])),
            (&[2, 3, 4], &[Infer], Some(&[24])),
            (&[2, 3, 4], &[Infer, Exact(6), Keep], Some(&[1, 6, 4])),
            (&[2, 3, 4], &[Exact(4), Exact(6)], Some(&[4, 6])),
            (&[0, 3], &[Exact(0), Infer], Some(&[0, 0])),
            (&[2, 3], &[Exact(4), Infer], None),
            (&[2, 3], &[Exact(7)], None),
            (&[2, 3], &[Infer, Infer], None),
            (&[6], &[Exact(6), Keep], None),
        ];
        for (dims, shape, expected) in cases {
            assert_eq!(
                resolve(dims, shape).ok().as_deref(),
                expected,
                "{dims:?} {shape:?}"
            );
        }
        Ok(())
    }

    #[test]
    fn axes_count_from_both_ends() {
        let cases = [
            (0, 3, Some(0)),
            (2, 3, Some(2)),
            (3, 3, None),
            (-1, 3, Some(2)),
            (-3, 3, Some(0)),
            (-4, 3, None),
            (0, 0, None),
        ];
        for (axis, rank, expected) in cases {
            assert_eq!(Axis::from(axis).index(rank).ok(), expected, "{axis} {rank}");
        }
        assert_eq!(Axis::from(D::Minus(3)), Axis::from(-3));
    }
}
