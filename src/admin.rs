//! The listener: health and metrics over HTTP, and the supervisor's watchdog.
//!
//! In: [`Vitals`]. Out: answers. It has a thread and a runtime of its own and reads memory only, so that it answers while the worker's threads,
//! the ledger, the broker and the disk hang. Nothing is logged here: whoever reads the log may hang, too.

mod answers;
mod door;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::AdminAddress;
use crate::notify::Supervisor;
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

/// Whose vitals are shown: those of the worker that is at work.
#[derive(Debug)]
pub(crate) struct Shown(Mutex<Arc<Vitals>>);

impl Shown {
    fn vitals(&self) -> Arc<Vitals> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Admin {
    /// Listens from now on, and shows these vitals. Where there is no address, only the supervisor is told.
    ///
    /// # Errors
    /// An address that is taken or not this host's; a process that may have no more threads.
    pub fn open(address: AdminAddress, supervisor: Arc<Supervisor>, vitals: Arc<Vitals>) -> io::Result<Self> {
        let listener = match address {
            AdminAddress::Off => None,
            AdminAddress::At(address) => Some(listening(address)?),
        };
        let address = listener.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let shown = Arc::new(Shown(Mutex::new(vitals)));
        let (until_dropped, dropped) = oneshot::channel();
        let (started, start) = mpsc::channel();
        let own = Arc::clone(&shown);
        let live = move || match prepared(listener) {
            Ok((runtime, listener)) => {
                // Whoever opens it waits for this.
                let _ = started.send(Ok(()));
                runtime.block_on(async {
                    tokio::select! {
                        _ = dropped => {}
                        () = answer(listener, &own) => {}
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

    /// Shows these vitals from now on: another worker is at work.
    pub fn show(&self, vitals: &Arc<Vitals>) {
        *self.shown.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(vitals);
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
async fn answer(listener: Option<TcpListener>, shown: &Arc<Shown>) {
    if let Some(listener) = listener {
        door::keep(listener, answers::router(Arc::clone(shown)), shown).await;
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
