//! Sessions of operators who logged in: who it is, and until when. `[pure]`
//!
//! In memory: they end with the process, and a copied ledger or configuration holds none. The cookie's value is random and kept here as its
//! digest alone.

use std::collections::HashMap;
use std::time::Duration;

use super::account::Role;
use super::secret::Secret;
use crate::digest::Digest;

/// How long a session lasts without a request.
pub const IDLE: Duration = Duration::from_secs(3600);
/// How long it lasts at most.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Most sessions of one account; the one that was idle for longest goes.
const MOST_OF_ONE: usize = 16;

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Name of the account.
    pub who: String,
    /// What it may do, as it was when it logged in; the accounts are asked again.
    pub role: Role,
    /// What every form of this session carries.
    pub csrf: Secret,
    began: Duration,
    used: Duration,
}

/// Everybody who is logged in.
#[derive(Debug, Default)]
pub struct Sessions(HashMap<Digest, Session>);

impl Sessions {
    /// Somebody has logged in; `id` goes into the cookie.
    pub fn begin(&mut self, id: &Secret, who: &str, role: Role, csrf: Secret, now: Duration) {
        self.forget(now);
        let of_one = self.0.iter().filter(|(_, session)| session.who == who);
        let oldest = of_one
            .clone()
            .min_by_key(|(_, session)| session.used)
            .map(|(key, _)| *key);
        if of_one.count() >= MOST_OF_ONE
            && let Some(oldest) = oldest
        {
            self.0.remove(&oldest);
        }
        let session = Session {
            who: who.to_owned(),
            role,
            csrf,
            began: now,
            used: now,
        };
        self.0.insert(id.digest(), session);
    }

    /// Whose session a cookie is, if it still lasts; it lasts longer by that.
    pub fn of(&mut self, cookie: &str, now: Duration) -> Option<Session> {
        let session = self.0.get_mut(&Digest::of(cookie.as_bytes()))?;
        if session.is_over(now) {
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// Somebody has logged out.
    pub fn end(&mut self, cookie: &str) {
        self.0.remove(&Digest::of(cookie.as_bytes()));
    }

    /// Ends every session of an account.
    pub fn end_all_of(&mut self, who: &str) {
        self.0.retain(|_, session| session.who != who);
    }

    fn forget(&mut self, now: Duration) {
        self.0.retain(|_, session| !session.is_over(now));
    }
}

impl Session {
    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) > IDLE || now.saturating_sub(self.began) > LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn begin(sessions: &mut Sessions, who: &str, now: Duration) -> String {
        let id = Secret::new().unwrap();
        sessions.begin(&id, who, Role::Viewer, Secret::new().unwrap(), now);
        id.shown().to_owned()
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let mut sessions = Sessions::default();
        let cookie = begin(&mut sessions, "alice", Duration::ZERO);
        let mut now = Duration::ZERO;
        while now + 50 * MINUTE <= LONGEST {
            now += 50 * MINUTE;
            assert_eq!(sessions.of(&cookie, now).unwrap().who, "alice");
        }
        assert_eq!(sessions.of(&cookie, LONGEST + MINUTE), None);
        let idle = begin(&mut sessions, "alice", now);
        assert_eq!(sessions.of(&idle, now + IDLE + MINUTE), None);
    }

    #[test]
    fn forged_and_ended_cookies_are_nobodys() {
        let mut sessions = Sessions::default();
        let [one, other] = ["alice", "alice"].map(|who| begin(&mut sessions, who, MINUTE));
        for forged in ["", "alice", &one[1..], &format!("{one}=")] {
            assert_eq!(sessions.of(forged, MINUTE), None);
        }
        sessions.end(&one);
        assert!(sessions.of(&one, MINUTE).is_none() && sessions.of(&other, MINUTE).is_some());
        sessions.end_all_of("alice");
        assert_eq!(sessions.of(&other, MINUTE), None);
    }

    #[test]
    fn an_account_has_so_many_sessions_and_the_idle_one_goes() {
        let mut sessions = Sessions::default();
        let first = begin(&mut sessions, "alice", Duration::ZERO);
        let others: Vec<_> = (1..=MOST_OF_ONE as u32)
            .map(|n| begin(&mut sessions, "alice", n * MINUTE))
            .collect();
        let bob = begin(&mut sessions, "bob", MINUTE);
        let now = 17 * MINUTE;
        assert_eq!(sessions.of(&first, now), None);
        assert!(
            others
                .iter()
                .chain([&bob])
                .all(|cookie| sessions.of(cookie, now).is_some())
        );
    }
}
