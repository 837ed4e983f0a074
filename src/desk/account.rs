//! Accounts of operators: names, roles, and what passwords hash to.
//!
//! In a file beside the configuration and not in the ledger: whoever must find out why the ledger is silent can still log in. Passwords are
//! hashed by argon2id. The file is its owner's alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};

/// Longest file.
const LONGEST: u64 = 1 << 20;
/// Shortest and longest password, in bytes: a longer one would only cost time.
pub const PASSWORD: std::ops::RangeInclusive<usize> = 12..=256;
/// What a password is compared with where there is no such account, so that it takes as long: no password hashes to it.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Decide, too.
    Operator,
}

impl Role {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

/// All accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Accounts {
    /// People, by name.
    pub accounts: BTreeMap<String, Account>,
}

/// One person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What it may do.
    pub role: Role,
    /// The hash of its password, as a PHC string.
    pub password: String,
}

/// What is wrong with the file, or with what is to be written to it.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// It cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others than its owner may read it, or its text makes no sense.
    #[error("{}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what helps.
        problem: String,
    },
    /// A name or a password that cannot be one.
    #[error("{0}")]
    Refused(String),
}

impl Accounts {
    /// Reads a file. Blocks.
    pub fn read(path: &Path) -> Result<Self, AccountsError> {
        let io = |error| AccountsError::Io {
            path: path.to_owned(),
            error,
        };
        let wrong = |problem: String| AccountsError::Wrong {
            path: path.to_owned(),
            problem,
        };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(wrong("others than its owner may read it; chmod 600".to_owned()));
        }
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(io)?;
        if text.len() as u64 > LONGEST {
            return Err(wrong(format!("is longer than {LONGEST} bytes")));
        }
        toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))
    }

    /// Writes a file, whole, mode 0600. Blocks.
    pub fn write(&self, path: &Path) -> Result<(), AccountsError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let written = || {
            let text = toml::to_string(self).map_err(io::Error::other)?;
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        written().map_err(|error| AccountsError::Io {
            path: path.to_owned(),
            error,
        })
    }

    /// Adds an account, or gives one another role and password. Blocks for as long as a password takes to hash.
    pub fn set(&mut self, name: &str, role: Role, password: &str) -> Result<(), AccountsError> {
        check_name(name)?;
        if !PASSWORD.contains(&password.len()) {
            let (least, most) = (PASSWORD.start(), PASSWORD.end());
            return Err(AccountsError::Refused(format!(
                "a password has {least} to {most} bytes, this one {}",
                password.len()
            )));
        }
        let hash = Argon2::default()
            .hash_password(password.as_bytes())
            .map_err(|error| AccountsError::Refused(format!("the password cannot be hashed: {error}")))?;
        let password = hash.to_string();
        self.accounts.insert(name.to_owned(), Account { role, password });
        Ok(())
    }

    /// The role behind a name and a password. Blocks; takes as long where there is no such name.
    #[must_use]
    pub fn role_of(&self, name: &str, password: &str) -> Option<Role> {
        let account = self.accounts.get(name);
        let hash = account.map_or(NOBODYS, |account| &account.password);
        let hash = PasswordHash::new(hash).ok()?;
        let fits =
            PASSWORD.contains(&password.len()) && Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
        account.filter(|_| fits).map(|account| account.role)
    }
}

/// A name is a word: it stands in audit trails and logs.
///
/// # Errors
/// One that is empty, longer than 64 characters, or has others than letters, digits and `. - _ @`.
pub fn check_name(name: &str) -> Result<(), AccountsError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    if (1..=64).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(AccountsError::Refused(
        "a name has 1 to 64 letters, digits, and . - _ @".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: &str = "correct horse battery";

    #[test]
    fn a_password_opens_its_own_account_and_no_other() {
        let mut accounts = Accounts::default();
        accounts.set("alice", Role::Operator, PASS).unwrap();
        assert_eq!(accounts.role_of("alice", PASS), Some(Role::Operator));
        for (name, password) in [
            ("alice", "correct horse batterx"),
            ("alice", ""),
            ("bob", PASS),
            ("", PASS),
        ] {
            assert_eq!(accounts.role_of(name, password), None, "{name} {password}");
        }
        assert!(
            accounts.accounts["alice"]
                .password
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
    }

    #[test]
    fn the_hash_of_nobody_is_one_that_costs_as_much() {
        let hash = PasswordHash::new(NOBODYS).unwrap();
        assert!(Argon2::default().verify_password(PASS.as_bytes(), &hash).is_err());
        let mut accounts = Accounts::default();
        accounts.set("alice", Role::Viewer, PASS).unwrap();
        let parameters = |text: &str| text.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parameters(NOBODYS), parameters(&accounts.accounts["alice"].password));
    }

    #[test]
    fn a_file_is_its_owners_alone_and_survives_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let mut accounts = Accounts::default();
        accounts.set("alice", Role::Operator, PASS).unwrap();
        accounts.write(&path).unwrap();
        assert_eq!(Accounts::read(&path).unwrap(), accounts);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).unwrap().contains(PASS));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Accounts::read(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "[accounts.alice]\nrole = \"root\"\npassword = \"x\"\n").unwrap();
        assert!(
            Accounts::read(&path)
                .unwrap_err()
                .to_string()
                .contains("unknown variant")
        );
    }

    #[test]
    fn names_and_passwords_that_cannot_be_are_refused() {
        let mut accounts = Accounts::default();
        for name in ["", "a b", "a\nb", "<b>", &"a".repeat(65)] {
            assert!(accounts.set(name, Role::Viewer, PASS).is_err(), "{name:?}");
        }
        assert!(accounts.set("alice", Role::Viewer, "short").is_err());
        assert!(accounts.set("alice", Role::Viewer, &"x".repeat(257)).is_err());
        assert_eq!(accounts, Accounts::default());
    }
}
