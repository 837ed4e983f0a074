//! Connections: how many there may be, and for how long.
//!
//! In: a listener and a router. Out: answers, one a connection. Whoever connects and says nothing, or asks and does not read, holds a
//! connection until its time is over or a newer one needs its place: nobody can keep others out.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Shown;

/// Most connections at once; the oldest makes room. Far below the usual limit on descriptors, which children need too.
const MOST: usize = 128;
/// Longest time until the headers of a request have come.
const HEADERS: Duration = Duration::from_secs(5);
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(10);
/// Most bytes of a request's line and headers.
const REQUEST: usize = 16 << 10;
/// Pause where no connection can be had: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(20);

/// Connections from the oldest to the newest.
#[derive(Default)]
struct Open(VecDeque<AbortHandle>);

/// What became of making room.
#[must_use]
enum Room {
    /// There was some.
    Enough,
    /// The oldest connection was closed.
    Made,
}

/// Answers whoever connects, for ever.
pub(super) async fn keep(listener: TcpListener, router: Router, shown: &Shown) {
    let mut open = Open::default();
    loop {
        let accepted = listener.accept().await;
        let most = match &accepted {
            Ok(_) => MOST,
            Err(_) => 1,
        };
        if let Room::Made = open.make_room(most) {
            shown.vitals().tally.evicted.one();
        }
        match accepted {
            Ok((stream, _)) => open
                .0
                .push_back(tokio::spawn(serve(stream, router.clone())).abort_handle()),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

impl Open {
    /// Forgets what has ended, and closes the oldest connection where there are as many as there may be.
    fn make_room(&mut self, most: usize) -> Room {
        self.0.retain(|connection| !connection.is_finished());
        let oldest = match self.0.len() >= most {
            true => self.0.pop_front(),
            false => None,
        };
        match oldest {
            Some(oldest) => {
                oldest.abort();
                Room::Made
            }
            None => Room::Enough,
        }
    }
}

/// One request, one answer. What goes wrong here is the other side's doing.
async fn serve(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(false)
        .max_buf_size(REQUEST)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = timeout(LIFE, connection).await;
}
