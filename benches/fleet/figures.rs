//! Figures, printed as a table; those that were promised are compared.

use std::time::Duration;

/// A table of figures, printed as it grows.
pub struct Figures {
    broken: usize,
}

impl Figures {
    /// Begins a table.
    pub fn of(title: &str) -> Self {
        println!("\n{title}");
        Self { broken: 0 }
    }

    /// A figure.
    pub fn show(&self, name: &str, value: impl ToString) {
        println!("  {name:<52} {:>14}", value.to_string());
    }

    /// A figure that was promised.
    pub fn promise(&mut self, name: &str, value: impl ToString, promise: &str, kept: bool) {
        let word = if kept { "kept" } else { "BROKEN" };
        println!("  {name:<52} {:>14}   {promise}: {word}", value.to_string());
        self.broken += usize::from(!kept);
    }

    /// A count that was promised.
    pub fn exactly(&mut self, name: &str, value: usize, wanted: usize) {
        self.promise(name, value, &wanted.to_string(), value == wanted);
    }

    /// How many promises are broken.
    pub fn broken(self) -> usize {
        self.broken
    }
}

/// The value that so many percent are not over; zero of nothing.
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has all; 0 where nobody has anything.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    match squares > 0.0 {
        true => sum * sum / (shares.len() as f64 * squares),
        false => 0.0,
    }
}

/// Seconds, for people.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
