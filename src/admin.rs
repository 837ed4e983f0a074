//! The listener: health, metrics and the operators' pages over HTTP, and the supervisor's watchdog.
//!
//! In: [`Vitals`]. Out: answers. It has a thread and a runtime of its own and reads memory only, so that it answers while the worker's threads,
//! the ledger, the broker and the disk hang. Nothing is logged here: whoever reads the log may hang, too.

mod answers;
mod door;
mod standing;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use standing::Readyz;

use crate::config::AdminAddress;
use crate::desk::{Desk, Proxied};
use crate::ledger::Ledger;
use crate::notify::Supervisor;
use crate::pipeline::Worker;
use crate::specimens::Specimens;
use crate::vitals::Vitals;

/// How often the supervisor is told where something has changed.
const TELL: Duration = Duration::from_secs(1);

/// The listener; ends when it is dropped.
#[derive(Debug)]
pub struct Admin {
    shown: Arc<Shown>,
    address: Option<SocketAddr>,
    _until_dropped: oneshot::Sender<()>,
}

/// The operators' pages.
#[derive(Debug)]
pub struct Pages {
    /// File of the accounts.
    pub accounts: PathBuf,
    /// Whether a proxy stands before the listener.
    pub proxied: Proxied,
    /// Where pages are made: not on the thread of the listener, for they wait for the ledger.
    pub runtime: Handle,
}

/// Whose vitals are shown, and whose ledger is asked: those of the worker that is at work.
#[derive(Debug)]
pub(crate) struct Shown(Mutex<(Arc<Vitals>, Option<Work>)>);

/// What pages ask and act on.
#[derive(Clone)]
pub struct Work {
    /// The fleet's memory.
    pub ledger: Arc<dyn Ledger>,
    /// The bytes of what was held.
    pub specimens: Arc<Specimens>,
    /// Where specimens are tried again.
    pub worker: Arc<Worker>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl Shown {
    pub(crate) fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.lock().0)
    }

    /// Nothing before the worker has opened its ledger.
    pub(crate) fn work(&self) -> Option<Work> {
        self.lock().1.clone()
    }

    fn lock(&self) -> MutexGuard<'_, (Arc<Vitals>, Option<Work>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admin {
    /// Listens from now on, and shows these vitals. Where there is no address, only the supervisor is told.
    ///
    /// # Errors
    /// An address that is taken or not this host's; a process that may have no more threads.
    pub fn open(
        address: AdminAddress,
        pages: Option<Pages>,
        supervisor: Arc<Supervisor>,
        vitals: Arc<Vitals>,
    ) -> io::Result<Self> {
        let listener = match address {
            AdminAddress::Off => None,
            AdminAddress::At(address) => Some(listening(address)?),
        };
        let address = listener.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let shown = Arc::new(Shown(Mutex::new((vitals, None))));
        let (until_dropped, dropped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let own = Arc::clone(&shown);
        let desk = pages.map(|pages| Desk::new(pages.accounts, pages.proxied, pages.runtime, Arc::clone(&shown)));
        let live = move || match prepared(listener) {
            Ok((runtime, listener)) => {
                // Whoever opens it waits for this.
                let _ = started.send(Ok(()));
                runtime.block_on(async {
                    tokio::select! {
                        _ = dropped => {}
                        () = answer(listener, desk.as_ref(), &own) => {}
                        () = tell(&supervisor, &own) => {}
                    }
                });
            }
            Err(error) => drop(started.send(Err(error))),
        };
        thread::Builder::new().name("health".to_owned()).spawn(live)?;
        start.recv().map_err(io::Error::other)??;
        Ok(Self {
            shown,
            address,
            _until_dropped: until_dropped,
        })
    }

    /// Shows these vitals from now on, and asks this ledger: another worker is at work.
    pub fn show(&self, vitals: &Arc<Vitals>, work: Work) {
        *self.shown.lock() = (Arc::clone(vitals), Some(work));
    }

    /// Where it listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

fn listening(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A runtime of its own, and the listener on it.
fn prepared(listener: Option<std::net::TcpListener>) -> io::Result<(Runtime, Option<TcpListener>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        listener.map(TcpListener::from_std).transpose()?
    };
    Ok((runtime, listener))
}

/// Answers for ever.
async fn answer(listener: Option<TcpListener>, desk: Option<&Arc<Desk>>, shown: &Arc<Shown>) {
    if let Some(listener) = listener {
        door::keep(listener, answers::router(Arc::clone(shown), desk), shown).await;
    }
    std::future::pending().await
}

/// Tells the supervisor that the process lives, for as long as it does, and whether it takes work.
async fn tell(supervisor: &Supervisor, shown: &Shown) {
    let mut look = interval(supervisor.kick_every().map_or(TELL, |every| every.min(TELL)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut said = String::new();
    loop {
        look.tick().await;
        let facts = shown.vitals().facts();
        if facts.death().is_none() && supervisor.kick_every().is_some() {
            supervisor.say("WATCHDOG=1");
        }
        let status = match facts.obstacles().first() {
            None => "takes work".to_owned(),
            Some(obstacle) => format!("takes no work: {}: {}", obstacle.cause.word(), obstacle.why),
        };
        // One line is one message.
        let status = format!("STATUS={}", status.replace('\n', " "));
        if said != status {
            supervisor.say(&status);
            said = status;
        }
    }
}
