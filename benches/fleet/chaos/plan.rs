//! What is sent: photos of several tenants, bad files, copies, bombs, invalid jobs, and some jobs twice.

use std::collections::{BTreeSet, HashMap};

use super::super::client::{Answer, Wish};
use super::super::field::Field;
use super::super::uploads::{BOMB, PHOTO, digest, fixture, variant};

/// Bad files.
const BAD: [&str; 3] = ["malformed/truncated.jpg", "malformed/bad_crc.png", "malformed/text.jpg"];
/// Popular photos, of which there are many copies.
const POPULAR: usize = 20;
/// Bombs, of which there are copies too.
const BOMBS: usize = 3;

/// A plan.
pub struct Plan {
    /// Messages, in their order.
    pub wishes: Vec<Wish>,
    /// Jobs: some are sent twice.
    pub ids: BTreeSet<String>,
    /// Digests of good photos.
    pub innocents: BTreeSet<String>,
    /// How many bombs there are.
    pub bombs: usize,
}

impl Plan {
    /// Writes the uploads too.
    pub fn new(field: &Field, jobs: usize) -> Self {
        let mut plan = Self {
            wishes: Vec::with_capacity(jobs),
            ids: BTreeSet::new(),
            innocents: BTreeSet::new(),
            bombs: BOMBS,
        };
        let (photo, bomb) = (fixture(PHOTO), fixture(BOMB));
        for number in 0..POPULAR {
            plan.photo(field, &format!("popular-{number}.jpg"), &variant(&photo, number));
        }
        for number in 0..BOMBS {
            field.upload(&format!("bomb-{number}.tiff"), &variant(&bomb, number));
        }
        for (number, name) in BAD.iter().enumerate() {
            field.upload(&format!("bad-{number}"), &fixture(name));
        }
        for number in 0..jobs {
            let tenant = format!("t{}", number % 11);
            let wish = |kind: &str, key: &str| Wish::new(format!("{kind}-{number}"), &tenant, key);
            let wish = match number % 100 {
                0..55 => {
                    let key = format!("photo-{number}.jpg");
                    plan.photo(field, &key, &variant(&photo, POPULAR + number));
                    wish("good", &key)
                }
                55..70 => wish("good", &format!("popular-{}.jpg", number % POPULAR)),
                70..85 => wish("bad", &format!("bad-{}", number % BAD.len())),
                85..90 => wish("bomb", &format!("bomb-{}.tiff", number % BOMBS)),
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

    fn photo(&mut self, field: &Field, key: &str, bytes: &[u8]) {
        field.upload(key, bytes);
        self.innocents.insert(digest(bytes));
    }

    /// Jobs whose verdict is not that of their kind. A bomb may also have been convicted for workers that were killed with it.
    pub fn wrong<'a>(&self, answers: &'a HashMap<String, Answer>) -> impl Iterator<Item = String> + 'a {
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
}
