//! A chart: one row of bars, as SVG within the page. `[pure]`
//!
//! In: what is counted, and how often it was, step by step. Out: markup with no script and no style of its own: the desk's style gives it colours, light and
//! dark. What it shows is said in words and numbers, too: nobody has to see it.

#![forbid(unsafe_code)]

use maud::{Markup, html};

use super::frame::columns;

/// The bars' field, in units of the picture.
const WIDE: u64 = 480;
const TALL: u64 = 80;
/// Below it: a line, and what its ends are.
const BELOW: u64 = 20;
/// Between two bars.
const GAP: u64 = 2;

/// What a chart shows.
pub(super) struct Chart<'a> {
    /// What is counted.
    pub(super) name: &'a str,
    /// What a step is: `an hour`.
    pub(super) each: &'a str,
    /// When each step began, as it is told; the oldest first.
    pub(super) steps: &'a [String],
    /// As many counts.
    pub(super) counts: &'a [u64],
}

/// A bar, in units of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bar {
    x: u64,
    width: u64,
    height: u64,
}

impl Chart<'_> {
    pub(super) fn drawn(&self) -> Markup {
        let bars = bars(self.counts);
        let seen = self.steps.iter().zip(self.counts).zip(&bars);
        let ends = self.steps.first().zip(self.steps.last());
        html! {
            figure .chart {
                figcaption { strong { (self.name) } ": " (self.told()) }
                svg role="img" viewBox={ "0 0 " (WIDE) " " (TALL + BELOW) } {
                    title { (self.name) }
                    desc { (self.told()) }
                    @for ((step, count), bar) in seen.filter(|(_, bar)| bar.height > 0) {
                        rect .bar x=(bar.x) y=(TALL - bar.height) width=(bar.width) height=(bar.height) {
                            title { (step) ": " (count) }
                        }
                    }
                    line .axis x1="0" y1=(TALL) x2=(WIDE) y2=(TALL) {}
                    @if let Some((first, last)) = ends {
                        text x="0" y=(TALL + BELOW - 4) { (first) }
                        text x=(WIDE) y=(TALL + BELOW - 4) text-anchor="end" { (last) }
                    }
                }
            }
        }
    }

    /// The same in words.
    fn told(&self) -> String {
        match total(self.counts) {
            0 => "none".to_owned(),
            total => format!("{total} in all, at most {} {}", highest(self.counts), self.each),
        }
    }
}

/// The numbers of charts with the same steps, a column for each.
pub(super) fn numbers(steps: &[String], series: &[(&str, Vec<u64>)]) -> Markup {
    let names: Vec<&str> = ["from (UTC)"]
        .into_iter()
        .chain(series.iter().map(|(name, _)| *name))
        .collect();
    html! {
        details {
            summary { "In numbers" }
            table {
                thead { tr { (columns(&names)) } }
                tbody {
                    @for (place, step) in steps.iter().enumerate() {
                        tr {
                            th scope="row" { (step) }
                            @for (_, counts) in series { td { (counts.get(place).copied().unwrap_or_default()) } }
                        }
                    }
                }
            }
        }
    }
}

fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count))
}

fn highest(counts: &[u64]) -> u64 {
    counts.iter().copied().max().unwrap_or_default()
}

/// A bar for each count, side by side; the highest takes the whole field.
fn bars(counts: &[u64]) -> Vec<Bar> {
    let (slots, most) = (counts.len().max(1) as u64, highest(counts));
    let bar = |(place, count): (usize, &u64)| {
        let begins = |place: u64| place * WIDE / slots;
        let (x, end) = (begins(place as u64), begins(place as u64 + 1));
        Bar {
            x,
            width: (end - x).saturating_sub(GAP).max(1),
            height: height(*count, most),
        }
    };
    counts.iter().enumerate().map(bar).collect()
}

/// What is not nothing can be seen.
fn height(count: u64, most: u64) -> u64 {
    let height = u128::from(count) * u128::from(TALL) / u128::from(most.max(1));
    let least = u64::from(count > 0);
    u64::try_from(height).unwrap_or(TALL).clamp(least, TALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(counts: &[u64]) -> Vec<u64> {
        bars(counts).iter().map(|bar| bar.height).collect()
    }

    fn drawn(counts: &[u64]) -> String {
        let steps: Vec<String> = (0..counts.len()).map(|step| format!("{step}:00")).collect();
        let chart = Chart {
            name: "memory <b>",
            each: "an hour",
            steps: &steps,
            counts,
        };
        chart.drawn().into_string()
    }

    #[test]
    fn bars_are_as_high_as_what_they_count() {
        assert_eq!(heights(&[0, 5, 10, 1]), [0, 40, 80, 8]);
        let page = drawn(&[0, 5, 10]);
        assert_eq!(page.matches("<rect").count(), 2);
        for part in [
            "<title>memory &lt;b&gt;</title><desc>15 in all, at most 10 an hour</desc>",
            "<rect class=\"bar\" x=\"160\" y=\"40\" width=\"158\" height=\"40\"><title>1:00: 5</title></rect>",
            "<rect class=\"bar\" x=\"320\" y=\"0\" width=\"158\" height=\"80\">",
            "role=\"img\" viewBox=\"0 0 480 100\"",
            "text-anchor=\"end\">2:00</text>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn where_there_was_nothing_there_is_no_bar() {
        for nothing in [&[][..], &[0], &[0; 24]] {
            let page = drawn(nothing);
            assert!(page.contains("<desc>none</desc>") && !page.contains("<rect"), "{page}");
        }
    }

    #[test]
    fn one_step_has_the_whole_field() {
        let bar = Bar {
            x: 0,
            width: WIDE - GAP,
            height: TALL,
        };
        assert_eq!(bars(&[7]), [bar]);
    }

    #[test]
    fn what_is_little_beside_much_is_seen_and_nothing_overflows() {
        assert_eq!(heights(&[u64::MAX, u64::MAX - 1, 1, 0]), [80, 79, 1, 0]);
        assert!(drawn(&[u64::MAX, u64::MAX]).contains(&format!("{} in all, at most {}", u64::MAX, u64::MAX)));
    }

    #[test]
    fn bars_stay_in_their_field_side_by_side() {
        for steps in [1, 2, 7, 24, 30, 31, 480, 1000] {
            let bars = bars(&vec![3; steps]);
            assert_eq!(bars.len(), steps);
            assert!(bars.iter().all(|bar| bar.x + bar.width <= WIDE), "{steps}");
            let apart = |pair: &[Bar]| pair[0].x + pair[0].width < pair[1].x;
            assert!(steps > 100 || bars.windows(2).all(apart), "{steps}");
        }
    }

    #[test]
    fn numbers_are_told_step_by_step() {
        let steps = ["1:00".to_owned(), "2:00".to_owned()];
        let page = numbers(&steps, &[("cpu", vec![1, 0]), ("wall", vec![u64::MAX, 3])]).into_string();
        assert!(
            page.contains("<th scope=\"col\">cpu</th><th scope=\"col\">wall</th>"),
            "{page}"
        );
        assert!(
            page.contains("<th scope=\"row\">1:00</th><td>1</td><td>18446744073709551615</td>"),
            "{page}"
        );
        assert!(
            page.contains("<th scope=\"row\">2:00</th><td>0</td><td>3</td>"),
            "{page}"
        );
    }
}
