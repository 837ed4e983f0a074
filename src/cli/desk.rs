//! `lazaret desk`: who may come to the operators' desk.

mod token;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Ending, Failure, show};
use crate::config::Config;
use crate::desk::{Accounts, PASSWORD, Role, Secret};

/// Who may come to the operators' desk.
///
/// They are in the file that desk.accounts of the configuration names, which is made where it is missing, and which a worker reads again when it
/// changes: whoever is removed is out within two seconds.
#[derive(Debug, Args)]
pub struct Desk {
    #[command(subcommand)]
    what: What,
    /// The worker's configuration.
    #[arg(long, value_name = "FILE", env = "LAZARET_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a person, or give one another password and role. Prints the password, which is kept nowhere.
    Add {
        /// Name, as audit trails will have it.
        name: String,
        /// What they may do.
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
        /// Read the password from standard input instead of making one.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove a person, whose sessions end.
    Remove {
        /// Whom.
        name: String,
    },
    /// Everybody, with roles.
    List,
    Token(token::Token),
}

impl Desk {
    pub(super) async fn run(self) -> Result<Ending, Failure> {
        let config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::of_environment()?,
        };
        match self.what {
            What::Add {
                name,
                role,
                password_stdin,
            } => {
                let (file, mut accounts) = accounts_of(config)?;
                add(&mut accounts, &file, &name, role, password_stdin)
            }
            What::Remove { name } => {
                let (file, mut accounts) = accounts_of(config)?;
                if accounts.accounts.remove(&name).is_none() {
                    return Err(Failure::Other(format!("{}: has no {name}", file.display())));
                }
                accounts.write(&file).map_err(Failure::other)?;
                Ok(Ending::Well)
            }
            What::List => list(&accounts_of(config)?.1),
            What::Token(token) => token.run(&config).await,
        }
    }
}

/// The file of accounts, and those that are in it by now.
fn accounts_of(config: Config) -> Result<(PathBuf, Accounts), Failure> {
    let file = config.desk.accounts.ok_or_else(|| {
        let words = "the configuration names no file of accounts; set desk.accounts to one";
        Failure::Usage(words.to_owned())
    })?;
    let accounts = match file.exists() {
        true => Accounts::read(&file).map_err(Failure::other)?,
        false => Accounts::default(),
    };
    Ok((file, accounts))
}

fn add(accounts: &mut Accounts, file: &Path, name: &str, role: Role, password_stdin: bool) -> Result<Ending, Failure> {
    let made = match password_stdin {
        true => None,
        false => Some(Secret::new().map_err(Failure::other)?),
    };
    let password = match &made {
        Some(made) => made.shown().to_owned(),
        None => read_password()?,
    };
    accounts.set(name, role, &password).map_err(usage)?;
    accounts.write(file).map_err(Failure::other)?;
    if let Some(made) = made {
        show::line(&made.shown())?;
    }
    Ok(Ending::Well)
}

/// The first line of standard input; never more than a password can have.
fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    let most = *PASSWORD.end() as u64 + 3;
    io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .map_err(Failure::other)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn list(accounts: &Accounts) -> Result<Ending, Failure> {
    let mut table = show::table(&["name", "role"]);
    for (name, account) in &accounts.accounts {
        table.add_row([name.as_str(), account.role.word()]);
    }
    show::print(&table)?;
    Ok(Ending::Well)
}

fn usage(error: crate::desk::AccountsError) -> Failure {
    Failure::Usage(error.to_string())
}
