use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Shuffles under `seed` and parts the items in two, the second with `held_out` of them.
pub fn split<T>(mut items: Vec<T>, held_out: usize, seed: u64) -> (Vec<T>, Vec<T>) {
    items.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let second = items.split_off(items.len().saturating_sub(held_out));
    (items, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_without_loss() {
        let (train, test) = split((0..100).collect(), 10, 1);
        assert_eq!((train.len(), test.len()), (90, 10));
        let mut all = [train.clone(), test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
        assert_eq!(train, split((0..100).collect(), 10, 1).0);
    }
}
