//! Times counted in buckets that are as narrow as 1/128 of the time: percentiles to less than one in a hundred, from a
//! nanosecond to hours, in constant memory.

/// Counts of times.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// Buckets for each power of two.
const PARTS: u64 = 128;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
/// Times beyond are counted as the last bucket.
const BITS_MAX: u32 = 44;

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one time.
    pub fn record(&mut self, nanos: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.max) = (0, 0);
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The time that `part` of all (0 to 1) do not exceed, to within a bucket.
    #[must_use]
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    pub fn at(&self, part: f64) -> u64 {
        let rank = ((self.total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper(index).min(self.max);
            }
        }
        self.max
    }
}

/// Below `PARTS` each nanosecond has its own; above, each power of two is cut in `PARTS`.
fn bucket(nanos: u64) -> usize {
    let nanos = nanos.min((1 << BITS_MAX) - 1);
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    usize::try_from(u64::from(shift) * PARTS + (nanos >> shift)).unwrap_or(usize::MAX)
}

/// The longest time in a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / PARTS).saturating_sub(1);
    ((index - shift * PARTS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_its_bucket_and_no_bucket_is_wide() {
        let mut last = 0;
        for nanos in (0..5000).chain((13..44).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 77])) {
            let index = bucket(nanos);
            assert!(index >= last, "{nanos}");
            last = index;
            assert!(upper(index) >= nanos, "{nanos}");
            assert!(index == 0 || upper(index - 1) < nanos, "{nanos}");
            assert!(upper(index) - nanos <= nanos / PARTS, "{nanos}");
        }
    }

    #[test]
    fn percentiles() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|micros| histogram.record(micros * 1000));
        for (part, expect) in [(0.5, 500_000), (0.99, 990_000), (1.0, 1_000_000)] {
            let found = histogram.at(part);
            assert!(found >= expect && found <= expect + expect / PARTS, "{part}: {found}");
        }
        histogram.clear();
        assert_eq!((histogram.at(0.5), histogram.total()), (0, 0));
    }
}
