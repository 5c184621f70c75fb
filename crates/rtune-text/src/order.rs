use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroUsize;

/// Number of batches that are sorted by length together; the same as Hugging Face's.
const GROUP: usize = 50;

/// Returns batches of indices in random order, each of texts of similar length.
///
/// Texts are shuffled, cut into groups of 50 batches, and sorted by length within a group. Then the
/// batches are shuffled, and the one with the longest text is moved to the front, so that a lack of
/// memory shows at once. Equal arguments give equal batches.
pub fn length_grouped(
    lengths: &[usize],
    batch_size: NonZeroUsize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let batch_size = batch_size.get();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch);
    let mut indices: Vec<usize> = (0..lengths.len()).collect();
    indices.shuffle(&mut random);
    // Small sets keep at least four groups, so that their batches differ between epochs.
    let group = batch_size * (lengths.len() / (batch_size * 4)).clamp(1, GROUP);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for group in indices.chunks_mut(group) {
        group.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
        batches.extend(group.chunks(batch_size).map(<[usize]>::to_vec));
    }
    batches.shuffle(&mut random);
    let longest = |batch: &Vec<usize>| batch.iter().map(|i| lengths[*i]).max();
    if let Some(first) = (0..batches.len()).max_by_key(|i| longest(&batches[*i])) {
        batches.swap(0, first);
    }
    batches
}

/// Returns batches of indices with the longest texts first. This is the order for evaluation,
/// which needs no randomness and pads least this way.
pub fn sorted_by_length(lengths: &[usize], batch_size: NonZeroUsize) -> Vec<Vec<usize>> {
    let mut indices: Vec<usize> = (0..lengths.len()).collect();
    indices.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let batches = indices.chunks(batch_size.get());
    batches.map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(size: usize) -> NonZeroUsize {
        NonZeroUsize::new(size).unwrap()
    }

    fn lengths() -> Vec<usize> {
        (0..1000).map(|i| (i * 7919) % 61 + 3).collect()
    }

    fn sorted(batches: &[Vec<usize>]) -> Vec<usize> {
        let mut all = batches.concat();
        all.sort_unstable();
        all
    }

    fn longest(batch: &[usize], lengths: &[usize]) -> usize {
        batch.iter().map(|i| lengths[*i]).max().unwrap()
    }

    #[test]
    fn grouping_visits_every_text_once() {
        for (count, batch) in [(1000, 8), (1, 8), (7, 8), (9, 8), (10, 1)] {
            let batches = length_grouped(&lengths()[..count], size(batch), 1, 0);
            assert_eq!(sorted(&batches), (0..count).collect::<Vec<_>>());
            assert!(batches.iter().all(|b| (1..=batch).contains(&b.len())));
        }
        assert_eq!(length_grouped(&[], size(8), 1, 0), [[0; 0]; 0]);
    }

    #[test]
    fn grouping_depends_on_seed_and_epoch_alone() {
        let group = |seed, epoch| length_grouped(&lengths(), size(8), seed, epoch);
        assert_eq!(group(1, 0), group(1, 0));
        assert_ne!(group(1, 0), group(1, 1));
        assert_ne!(group(1, 0), group(2, 0));
    }

    #[test]
    fn grouping_saves_padding() {
        let lengths = lengths();
        let batches = length_grouped(&lengths, size(8), 1, 0);
        let rows = batches.iter().map(|b| b.len() * longest(b, &lengths));
        let (padded, tokens): (usize, usize) = (rows.sum(), lengths.iter().sum());
        assert!(padded * 100 < tokens * 112, "{padded} for {tokens} tokens");
    }

    #[test]
    fn the_first_batch_holds_the_longest_text() {
        let lengths = lengths();
        for seed in 0..5 {
            let batches = length_grouped(&lengths, size(8), seed, 0);
            assert_eq!(longest(&batches[0], &lengths), 63);
        }
    }

    #[test]
    fn sorting_puts_the_longest_first_and_keeps_the_order_of_equals() {
        let batches = sorted_by_length(&[3, 5, 3, 9, 5], size(2));
        assert_eq!(batches, [vec![3, 1], vec![4, 0], vec![2]]);
    }
}
