//! What follows from an answer, or from none: done, tried again, given up. `[pure]`
//!
//! Five tries within about ten minutes. A receiver that says when to come again is listened to, within bounds. 410 means that nobody is there any
//! more: that delivery is given up at once, and the next one tries again, because only the configuration says that an address is not used any more.

use std::time::Duration;

use super::post::Answer;

/// Pauses between tries.
pub(super) const PAUSES: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(420),
];
/// Share of a pause by which it is longer or shorter: a fleet does not come back as one.
const JITTER: f64 = 0.2;
/// Longest pause that a receiver can ask for.
const ASKED: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// Nothing: it has arrived.
    Done,
    /// Try again after a pause.
    Again(Duration),
    /// It will not arrive.
    GiveUp,
}

/// What follows after so many tries, the last of which had this answer. `chance` is from 0 to 1.
pub(super) fn after(tries: usize, answer: &Answer, chance: f64) -> Next {
    let asked = match answer {
        Answer::Taken(_) => return Next::Done,
        Answer::Refused { status: 410, .. } => return Next::GiveUp,
        Answer::Refused { wait, .. } => *wait,
        Answer::Nothing(_) => None,
    };
    let Some(pause) = tries.checked_sub(1).and_then(|pause| PAUSES.get(pause)) else {
        return Next::GiveUp;
    };
    let pause = pause.mul_f64(1.0 + JITTER * (2.0 * chance.clamp(0.0, 1.0) - 1.0));
    Next::Again(asked.map_or(pause, |asked| pause.max(asked.min(ASKED))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, wait: Option<u64>) -> Answer {
        Answer::Refused {
            status,
            wait: wait.map(Duration::from_secs),
            said: String::new(),
        }
    }

    fn nothing() -> Answer {
        Answer::Nothing("no answer".to_owned())
    }

    #[test]
    fn five_tries_in_about_ten_minutes_and_no_more() {
        let mut pauses = Duration::ZERO;
        for tries in 1..=PAUSES.len() {
            let Next::Again(pause) = after(tries, &nothing(), 0.5) else {
                panic!("{tries}");
            };
            assert_eq!(pause, PAUSES[tries - 1]);
            pauses += pause;
        }
        assert_eq!(after(5, &nothing(), 0.5), Next::GiveUp);
        assert_eq!(after(6, &nothing(), 0.5), Next::GiveUp);
        assert!(
            (Duration::from_secs(540)..=Duration::from_secs(660)).contains(&pauses),
            "{pauses:?}"
        );
    }

    #[test]
    fn pauses_differ_by_a_fifth_each_way() {
        let pause = |chance| after(2, &nothing(), chance);
        assert_eq!(pause(0.0), Next::Again(Duration::from_secs(24)));
        assert_eq!(pause(1.0), Next::Again(Duration::from_secs(36)));
        assert_eq!(pause(f64::INFINITY), pause(1.0));
    }

    #[test]
    fn every_answer_leads_somewhere() {
        for (status, wait, next) in [
            (500, None, Next::Again(PAUSES[0])),
            (404, None, Next::Again(PAUSES[0])),
            (302, None, Next::Again(PAUSES[0])),
            (429, Some(60), Next::Again(Duration::from_secs(60))),
            (503, Some(1), Next::Again(PAUSES[0])),
            (503, Some(u64::MAX), Next::Again(ASKED)),
            (410, None, Next::GiveUp),
            (410, Some(9), Next::GiveUp),
        ] {
            assert_eq!(after(1, &refused(status, wait), 0.5), next, "{status}");
        }
        assert_eq!(after(5, &Answer::Taken(204), 0.5), Next::Done);
    }
}
