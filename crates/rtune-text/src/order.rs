use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// Within so many batches, texts are sorted by length; as many as Hugging Face takes.
const GROUP: usize = 50;

/// Batches of indices in a random order, each of texts of similar length.
///
/// Texts are shuffled, cut into groups of 50 batches, sorted by length within a group, and the
/// batches are shuffled again, the one with the longest text first, so that a lack of memory shows
/// at once.
pub fn length_grouped(
    lengths: &[usize],
    batch_size: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<usize>> {
    let batch_size = batch_size.max(1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(epoch);
    let mut indices: Vec<usize> = (0..lengths.len()).collect();
    indices.shuffle(&mut random);
    // Small sets keep at least four groups, so that their batches do not become the same every
    // epoch.
    let group = batch_size * (lengths.len() / (batch_size * 4)).clamp(1, GROUP);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for group in indices.chunks_mut(group) {
        group.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
        batches.extend(group.chunks(batch_size).map(<[usize]>::to_vec));
    }
    batches.shuffle(&mut random);
    let longest = |batch: &Vec<usize>| batch.iter().map(|i| lengths[*i]).max().unwrap_or(0);
    if let Some(first) = (0..batches.len()).max_by_key(|i| longest(&batches[*i])) {
        batches.swap(0, first);
    }
    batches
}

/// Batches of indices, longest texts first: the order for evaluation, where only speed matters.
pub fn sorted_by_length(lengths: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let mut indices: Vec<usize> = (0..lengths.len()).collect();
    indices.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    indices
        .chunks(batch_size.max(1))
        .map(<[usize]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grouping_visits_all_once_and_depends_on_the_seed_alone() {
        let lengths: Vec<usize> = (0..1000).map(|i| (i * 7919) % 61 + 3).collect();
        let batches = length_grouped(&lengths, 8, 1, 0);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
        assert_eq!(batches, length_grouped(&lengths, 8, 1, 0));
        assert_ne!(batches, length_grouped(&lengths, 8, 1, 1));
        assert_ne!(batches, length_grouped(&lengths, 8, 2, 0));
        let padded: usize = batches
            .iter()
            .map(|b| b.len() * b.iter().map(|i| lengths[*i]).max().unwrap_or(0))
            .sum();
        let tokens: usize = lengths.iter().sum();
        assert!(
            padded * 100 < tokens * 112,
            "{padded} padded for {tokens} tokens"
        );
        assert_eq!(
            batches[0].iter().map(|i| lengths[*i]).max(),
            lengths.iter().copied().max()
        );
    }
}
