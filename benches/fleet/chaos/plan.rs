//! What is sent: photos of several tenants, bad files, copies, bombs, invalid jobs, and some jobs twice.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use super::super::client::{Answer, Wish};
use super::super::figures::Figures;
use super::super::uploads::{BOMB, PHOTO, digest, fixture, variant};

/// Bad files.
const BAD: [&str; 3] = ["malformed/truncated.jpg", "malformed/bad_crc.png", "malformed/text.jpg"];
/// Popular photos, of which there are many copies.
const POPULAR: usize = 20;

/// What of a plan its scenario chooses.
pub struct Mix {
    /// Jobs, a twentieth of them bombs, and a twentieth sent twice.
    pub jobs: usize,
    /// Tenants that send them.
    pub tenants: usize,
    /// Different bombs, of which there are copies too.
    pub bombs: usize,
}

/// A plan.
pub struct Plan {
    /// Messages, in their order.
    pub wishes: Vec<Wish>,
    /// Jobs: some are sent twice.
    pub ids: BTreeSet<String>,
    /// Digests of good photos.
    pub innocents: BTreeSet<String>,
    /// Digests of bombs.
    pub bombs: BTreeSet<String>,
}

impl Plan {
    /// Writes the uploads, too.
    pub fn new(uploads: &Path, mix: &Mix) -> Self {
        let mut plan = Self {
            wishes: Vec::with_capacity(mix.jobs),
            ids: BTreeSet::new(),
            innocents: BTreeSet::new(),
            bombs: BTreeSet::new(),
        };
        let upload = |key: &str, bytes: &[u8]| fs::write(uploads.join(key), bytes).unwrap();
        let (photo, bomb) = (fixture(PHOTO), fixture(BOMB));
        for number in 0..POPULAR {
            plan.photo(uploads, &format!("popular-{number}.jpg"), &variant(&photo, number));
        }
        for number in 0..mix.bombs {
            let bomb = variant(&bomb, number);
            upload(&format!("bomb-{number}.tiff"), &bomb);
            plan.bombs.insert(digest(&bomb));
        }
        for (number, name) in BAD.iter().enumerate() {
            upload(&format!("bad-{number}"), &fixture(name));
        }
        for number in 0..mix.jobs {
            // Not the tenants that a number of a kind falls on: each sends of everything.
            let tenant = format!("t{}", (number / 100 + number) % mix.tenants);
            let wish = |kind: &str, key: &str| Wish::new(format!("{kind}-{number}"), &tenant, key);
            let wish = match number % 100 {
                0..55 => {
                    let key = format!("photo-{number}.jpg");
                    plan.photo(uploads, &key, &variant(&photo, POPULAR + number));
                    wish("good", &key)
                }
                55..70 => wish("good", &format!("popular-{}.jpg", number % POPULAR)),
                70..85 => wish("bad", &format!("bad-{}", number % BAD.len())),
                85..90 => wish(
                    "bomb",
                    &format!("bomb-{}.tiff", (number / 100 * 5 + number % 5) % mix.bombs),
                ),
                90..95 => Wish {
                    width: 0,
                    ..wish("invalid", "popular-0.jpg")
                },
                _ => plan.wishes[number - 50].clone(),
            };
            plan.ids.insert(wish.job.clone());
            plan.wishes.push(wish);
        }
        plan
    }

    fn photo(&mut self, uploads: &Path, key: &str, bytes: &[u8]) {
        fs::write(uploads.join(key), bytes).unwrap();
        self.innocents.insert(digest(bytes));
    }

    /// Jobs whose verdict is not that of their kind. A bomb may also have been convicted for workers that were killed with it.
    fn wrong<'a>(&self, answers: &'a HashMap<String, Answer>) -> impl Iterator<Item = String> + 'a {
        let fits = |job: &str, verdict: &str| match job.split_once('-') {
            Some(("good", _)) => verdict == "converted",
            Some(("bad", _)) => verdict.starts_with("rejected"),
            Some(("bomb", _)) => verdict.starts_with("quarantined"),
            Some(("invalid", _)) => verdict == "rejected invalid-job",
            _ => false,
        };
        answers.iter().flat_map(move |(job, answer)| {
            let wrong = answer.verdicts.iter().filter(move |verdict| !fits(job, verdict));
            wrong.map(move |verdict| format!("{job}: {verdict}"))
        })
    }

    /// Holds what was told against what was sent: every job has one verdict, that of its upload.
    pub fn judge(&self, figures: &mut Figures, answers: &HashMap<String, Answer>) {
        let events: usize = answers.values().map(|answer| answer.events).sum();
        let unanswered = self.ids.iter().filter(|id| !answers.contains_key(*id)).count();
        figures.show("jobs, messages", format!("{}, {}", self.ids.len(), self.wishes.len()));
        figures.show(
            "events, of them duplicates",
            format!("{events}, {}", events - answers.len()),
        );
        figures.exactly("jobs without an event", unanswered, 0);
        let torn = answers.values().filter(|answer| answer.ids.len() != 1).count();
        figures.exactly("jobs with more than one event id", torn, 0);
        let torn = answers.values().filter(|answer| answer.verdicts.len() != 1).count();
        figures.exactly("jobs with more than one verdict", torn, 0);
        let wrong: Vec<_> = self.wrong(answers).collect();
        figures.exactly("jobs with another verdict than their upload's", wrong.len(), 0);
        for line in wrong.iter().take(5) {
            println!("    {line}");
        }
    }
}
