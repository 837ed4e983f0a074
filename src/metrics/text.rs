//! The exposition format, as far as it is needed: HELP, TYPE, samples; counters, gauges, histograms.

use std::fmt::{Display, Write};

use crate::vitals::Histogram;

/// What was written so far.
#[derive(Default)]
pub(super) struct Text(String);

/// A metric whose samples follow.
pub(super) struct Samples<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// A label's name and value.
type Label<'a> = (&'static str, &'a str);

impl Text {
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        self.metric(name, "counter", help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Samples<'_> {
        self.metric(name, "gauge", help)
    }

    pub(super) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        let Samples { text, .. } = self.metric(name, "histogram", help);
        let (bounded, all) = histogram.at_most();
        let told = |value| histogram.scale.told(value);
        for (bound, count) in bounded {
            line(
                text,
                &format!("{name}_bucket"),
                &[("le", &told(bound).to_string())],
                count,
            );
        }
        line(text, &format!("{name}_bucket"), &[("le", "+Inf")], all);
        line(text, &format!("{name}_sum"), &[], told(histogram.sum()));
        line(text, &format!("{name}_count"), &[], all);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) -> Samples<'_> {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Samples {
            text: &mut self.0,
            name,
        }
    }
}

impl Samples<'_> {
    /// A sample of the metric.
    pub(super) fn of(&mut self, labels: &[Label], value: impl Display) {
        line(self.text, self.name, labels, value);
    }
}

fn line(text: &mut String, name: &str, labels: &[Label], value: impl Display) {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    };
    let _ = writeln!(text, "{name}{labels} {value}");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
