use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Hashes ids, of which every append looks up several, at a fraction of the cost of the standard hasher.
///
/// A UUID is two words, a stream id some more. Each word of a pair is mixed with a secret of the map, and both are
/// multiplied to 128 bits whose halves are folded: every bit of the id reaches every bit of the hash. The secrets are random, because ids
/// may come from outside and must not be able to aim at one bucket.
#[derive(Clone, Debug)]
pub(crate) struct IdHash {
    secrets: [u64; 2],
}

impl Default for IdHash {
    fn default() -> Self {
        let random = RandomState::new();
        Self { secrets: [random.hash_one(0_u8), random.hash_one(1_u8)] }
    }
}

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { secrets: self.secrets, hash: 0 }
    }
}

/// The hasher of [`IdHash`].
#[derive(Debug)]
pub(crate) struct IdHasher {
    secrets: [u64; 2],
    hash: u64,
}

impl IdHasher {
    fn mix(&mut self, first: u64, second: u64) {
        let product = u128::from(first ^ self.secrets[0] ^ self.hash) * u128::from(second ^ self.secrets[1]);
        let [low, high] = halves(product);
        self.hash = low ^ high;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(16) {
            let mut words = [0_u8; 16];
            words[..chunk.len()].copy_from_slice(chunk);
            let [first, second] = halves(u128::from_le_bytes(words));
            self.mix(first, second);
        }
    }

    /// The length that precedes an array of bytes: the same for every id, and left out.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
fn halves(word: u128) -> [u64; 2] {
    [word as u64, (word >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use cqrs_core::store::StreamId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn neighbouring_ids_have_different_hashes_in_their_upper_and_lower_bits() {
        let hash = IdHash::default();
        let hashes: Vec<u64> = (0..10_000_u128).map(|n| hash.hash_one(Uuid::from_u128(n << 60))).collect();
        let whole: HashSet<u64> = hashes.iter().copied().collect();
        assert_eq!(whole.len(), 10_000);
        for shift in [0, 48] {
            let buckets: HashSet<u64> = hashes.iter().map(|hash| (hash >> shift) & 0xffff).collect();
            assert!(buckets.len() > 8_000, "{} of 10,000 differ at bit {shift}", buckets.len());
        }
    }

    #[test]
    fn neighbouring_stream_ids_have_different_hashes() {
        let hash = IdHash::default();
        let hashes: HashSet<u64> = (0..10_000)
            .map(|n| hash.hash_one(StreamId::new(format!("account-of-a-customer-{n}")).unwrap()) & 0xf_ffff)
            .collect();
        assert!(hashes.len() > 9_800, "{} of 10,000 differ", hashes.len());
    }

    #[test]
    fn equal_ids_have_equal_hashes() {
        let hash = IdHash::default();
        let id = Uuid::new_v4();
        assert_eq!(hash.hash_one(id), hash.hash_one(id));
    }
}
