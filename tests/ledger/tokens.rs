//! Tokens: made once, found by what they hash to, over by time or by word, and never forgotten.

use std::time::Duration;

use lazaret::desk::Role;
use lazaret::digest::Digest;
use lazaret::ledger::{Ledger, NewToken, TokenMade, TokenRevoked, TokenStanding};

use super::world::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn token(name: &str, text: &str, lasts: Option<Duration>) -> NewToken {
    NewToken {
        name: name.to_owned(),
        hash: Digest::of(text.as_bytes()),
        role: Role::Operator,
        made_by: "ann".to_owned(),
        lasts,
    }
}

async fn standing(ledger: &dyn Ledger, text: &str) -> Option<TokenStanding> {
    let found = ledger.token(&Digest::of(text.as_bytes())).await.unwrap();
    found.map(|token| token.standing)
}

pub async fn a_token_is_good_until_its_time_is_over(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(standing(ledger, "lzt_a").await, None);
    let made = ledger.add_token(&token("ci", "lzt_a", Some(DAY))).await.unwrap();
    assert_eq!(made, TokenMade::Made);
    let found = ledger.token(&Digest::of(b"lzt_a")).await.unwrap().unwrap();
    assert_eq!(
        (found.name.as_str(), found.role, found.standing, found.made_by.as_str()),
        ("ci", Role::Operator, TokenStanding::Good, "ann")
    );
    assert_eq!(found.expires.unwrap() - found.made, chrono::TimeDelta::days(1));
    assert_eq!((found.revoked, found.revoked_by), (None, None));
    let second = Duration::from_secs(1);
    assert_eq!(
        standing(&*world.later(DAY - 60 * second), "lzt_a").await,
        Some(TokenStanding::Good)
    );
    assert_eq!(
        standing(&*world.later(DAY + second), "lzt_a").await,
        Some(TokenStanding::Expired)
    );
    let forever = ledger.add_token(&token("backup", "lzt_b", None)).await.unwrap();
    assert_eq!(forever, TokenMade::Made);
    assert_eq!(
        standing(&*world.later(3650 * DAY), "lzt_b").await,
        Some(TokenStanding::Good)
    );
}

pub async fn a_token_is_revoked_once_and_stays_in_the_list(world: &dyn World) {
    let ledger = world.ledger();
    for (name, text) in [("b", "lzt_b"), ("a", "lzt_a")] {
        assert_eq!(
            ledger.add_token(&token(name, text, None)).await.unwrap(),
            TokenMade::Made
        );
    }
    assert_eq!(
        ledger.revoke_token("nobody", "bob").await.unwrap(),
        TokenRevoked::Unknown
    );
    // Whoever works beside it knows at once.
    let other = world.another().await;
    assert_eq!(standing(&*other, "lzt_a").await, Some(TokenStanding::Good));
    assert_eq!(ledger.revoke_token("a", "bob").await.unwrap(), TokenRevoked::Now);
    assert_eq!(standing(&*other, "lzt_a").await, Some(TokenStanding::Revoked));
    assert_eq!(ledger.revoke_token("a", "eve").await.unwrap(), TokenRevoked::Before);
    assert_eq!(standing(ledger, "lzt_b").await, Some(TokenStanding::Good));
    let list = ledger.tokens().await.unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|token| (token.name.as_str(), token.standing, token.revoked_by.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("b", TokenStanding::Good, None),
            ("a", TokenStanding::Revoked, Some("bob"))
        ]
    );
}

pub async fn a_name_is_one_tokens_for_ever(world: &dyn World) {
    let ledger = world.ledger();
    assert_eq!(
        ledger.add_token(&token("ci", "lzt_a", None)).await.unwrap(),
        TokenMade::Made
    );
    assert_eq!(ledger.revoke_token("ci", "bob").await.unwrap(), TokenRevoked::Now);
    let again = ledger.add_token(&token("ci", "lzt_b", None)).await.unwrap();
    assert_eq!(again, TokenMade::NameTaken);
    assert_eq!(standing(ledger, "lzt_b").await, None);
    assert_eq!(ledger.tokens().await.unwrap().len(), 1);
}
