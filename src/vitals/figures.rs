//! Figures that only grow, without a lock: whoever counts never waits for whoever reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many so far.
    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by one of the words of a closed vocabulary: each is there from the start, at zero.
#[derive(Debug)]
pub struct Family {
    words: &'static [&'static str],
    counts: Vec<Counter>,
}

impl Family {
    /// Nothing counted yet.
    pub fn of(words: &'static [&'static str]) -> Self {
        Self {
            words,
            counts: words.iter().map(|_| Counter::default()).collect(),
        }
    }

    /// One more of a word. A word of no such vocabulary is counted nowhere: a test holds vocabularies against their types.
    pub fn one(&self, word: &str) {
        self.more(word, 1);
    }

    /// So many more of a word.
    pub fn more(&self, word: &str, more: u64) {
        let index = self.words.iter().position(|known| *known == word);
        if let Some(count) = index.and_then(|index| self.counts.get(index)) {
            count.add(more);
        }
    }

    /// Every word and its count.
    pub fn so_far(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.words.iter().copied().zip(self.counts.iter().map(Counter::so_far))
    }
}

/// What a histogram counts in, and tells in the base unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Counted in milliseconds, told in seconds.
    Milliseconds,
    /// Bytes.
    Bytes,
}

impl Scale {
    /// A value in the base unit.
    pub fn told(self, value: u64) -> f64 {
        match self {
            Self::Milliseconds => value as f64 / 1000.0,
            Self::Bytes => value as f64,
        }
    }
}

/// How often values were within bounds.
#[derive(Debug)]
pub struct Histogram {
    /// In what it counts.
    pub scale: Scale,
    bounds: &'static [u64],
    /// One more than bounds: the last one is what is over all of them.
    counts: Vec<Counter>,
    sum: Counter,
}

impl Histogram {
    /// Nothing seen yet; bounds in rising order.
    pub fn of(scale: Scale, bounds: &'static [u64]) -> Self {
        Self {
            scale,
            bounds,
            counts: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Counter::default(),
        }
    }

    /// A value was seen.
    pub fn saw(&self, value: u64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(index) {
            count.one();
        }
        self.sum.add(value);
    }

    /// How many values were at most each bound, and how many there were.
    pub fn at_most(&self) -> (Vec<(u64, u64)>, u64) {
        let mut so_far = 0;
        let counts = self.counts.iter().map(Counter::so_far);
        let mut sums = counts.map(|count| {
            so_far += count;
            so_far
        });
        let bounded = self.bounds.iter().copied().zip(sums.by_ref()).collect();
        (bounded, sums.next().unwrap_or(0))
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.so_far()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_at_most_each_bound() {
        let histogram = Histogram::of(Scale::Milliseconds, &[10, 100]);
        for value in [0, 10, 11, 100, 101, 7000] {
            histogram.saw(value);
        }
        assert_eq!(histogram.at_most(), (vec![(10, 2), (100, 4)], 6));
        assert_eq!(histogram.sum(), 7222);
        assert!((histogram.scale.told(7222) - 7.222).abs() < 1e-9);
    }

    #[test]
    fn a_family_has_its_words_from_the_start() {
        let family = Family::of(&["good", "bad"]);
        family.one("bad");
        family.one("ugly");
        assert_eq!(family.so_far().collect::<Vec<_>>(), [("good", 0), ("bad", 1)]);
    }
}
