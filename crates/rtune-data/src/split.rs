use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Shuffles items with `seed` and splits them in two, the second with `held_out` of them, or all if
/// there are fewer.
pub fn split<T>(mut items: Vec<T>, held_out: usize, seed: u64) -> (Vec<T>, Vec<T>) {
    items.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let second = items.split_off(items.len().saturating_sub(held_out));
    (items, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_part() {
        let (train, test) = split((0..100).collect(), 10, 1);
        assert_eq!((train.len(), test.len()), (90, 10));
        let mut all = [train, test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides() {
        let parts = |seed| split((0..100).collect::<Vec<_>>(), 10, seed);
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn no_more_is_held_out_than_there_is() {
        let (train, test) = split(vec![1, 2], 5, 1);
        assert_eq!((train.len(), test.len()), (0, 2));
        let (train, test) = split(vec![1, 2], 0, 1);
        assert_eq!((train.len(), test.len()), (2, 0));
    }
}
