//! The rows that are held out of the training rows.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;

/// Shuffles the positions of rows with `seed` and splits them in two, the second with `held_out` of
/// them, or all if there are fewer. If all rows have a class, each class gives its share, and keeps
/// at least one row; then there may be fewer as well.
pub(crate) fn hold_out(
    classes: &[Option<usize>],
    held_out: usize,
    seed: u64,
) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let Some(classes) = classes.iter().copied().collect::<Option<Vec<usize>>>() else {
        let second = order.split_off(order.len().saturating_sub(held_out));
        return (order, second);
    };
    let mut shares = shares(&classes, held_out);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for row in order.into_iter().rev() {
        let share = &mut shares[classes[row]];
        match share.checked_sub(1) {
            None => first.push(row),
            Some(less) => {
                *share = less;
                second.push(row);
            }
        }
    }
    first.reverse();
    second.reverse();
    (first, second)
}

/// Divides a number of rows among the classes by their sizes, the largest remainders rounded up. No
/// class gives its last row.
fn shares(classes: &[usize], total: usize) -> Vec<usize> {
    let count = classes.iter().max().map_or(0, |largest| largest + 1);
    let mut sizes = vec![0_usize; count];
    for class in classes {
        sizes[*class] += 1;
    }
    let (total, rows) = (total.min(classes.len()) as u128, classes.len() as u128);
    let exact = |size: &usize| *size as u128 * total;
    let spare = |size: &usize| size.saturating_sub(1);
    let mut shares: Vec<usize> = sizes
        .iter()
        .map(|size| spare(size).min((exact(size) / rows) as usize))
        .collect();
    let mut by_remainder: Vec<usize> = (0..count).collect();
    by_remainder.sort_by_key(|class| Reverse(exact(&sizes[*class]) % rows));
    let mut missing = (total as usize).saturating_sub(shares.iter().sum());
    while missing > 0 {
        let before = missing;
        for class in &by_remainder {
            if missing > 0 && shares[*class] < spare(&sizes[*class]) {
                shares[*class] += 1;
                missing -= 1;
            }
        }
        if missing == before {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of both parts, sorted.
    fn parts(classes: &[usize], held_out: usize) -> (Vec<usize>, Vec<usize>) {
        let of: Vec<_> = classes.iter().copied().map(Some).collect();
        let (first, second) = hold_out(&of, held_out, 1);
        let mut all = [&first[..], &second[..]].concat();
        all.sort_unstable();
        assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
        let classes = |rows: Vec<usize>| {
            let mut classes: Vec<usize> = rows.into_iter().map(|row| classes[row]).collect();
            classes.sort_unstable();
            classes
        };
        (classes(first), classes(second))
    }

    #[test]
    fn each_class_gives_its_share() {
        let classes: Vec<usize> = [vec![0; 50], vec![1; 30], vec![2; 20]].concat();
        let (_, second) = parts(&classes, 10);
        assert_eq!(second, [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]);
        // Shares of 1.5, 0.9 and 0.6 rows.
        assert_eq!(parts(&classes, 3).1, [0, 1, 2]);
    }

    #[test]
    fn no_class_gives_its_only_row() {
        let classes: Vec<usize> = [vec![0; 18], vec![1], vec![3]].concat();
        for held_out in 0..30 {
            let (first, second) = parts(&classes, held_out);
            assert!(first.contains(&1) && first.contains(&3) && first.contains(&0));
            assert_eq!(second.len(), held_out.min(17));
        }
        assert_eq!(parts(&[0, 1], 1), (vec![0, 1], vec![]));
        assert_eq!(parts(&[], 1), (vec![], vec![]));
    }

    #[test]
    fn rows_without_class_are_split_by_number() {
        let (first, second) = hold_out(&[None; 100], 10, 1);
        assert_eq!((first.len(), second.len()), (90, 10));
        assert_ne!(hold_out(&[None; 100], 10, 2), (first, second));
        assert_eq!(hold_out(&[None; 2], 5, 1).1.len(), 2);
    }
}
