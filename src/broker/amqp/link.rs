//! The connection for consuming: one task keeps it up, and rebuilds everything on any error.
//!
//! Each connection is an epoch. A message of an epoch that is over is nobody's here: the broker delivers it again. The client's own
//! recovery is not used: it hides that the same message arrives again while its first run goes on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as Incoming;
use lapin::options::{
    BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Event};
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};

use super::dial::{ANSWER, Server, hang_up};
use super::properties;
use super::verify::verify;
use super::{Unacknowledged, delivery};
use crate::broker::{Attention, BrokerError, Delivery, Intake, Lane, topology};

/// First pause before a lost connection is opened again; doubled each time it fails.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often the channel is looked at: after the broker closed one, its consumers may wait for ever.
const LOOK: Duration = Duration::from_secs(1);
/// How long consumers may take to be cancelled.
const CANCEL: Duration = Duration::from_secs(5);
/// Unacknowledged messages of a sideline: it is one tenant among many.
const SIDELINE_PREFETCH: u16 = 8;
/// Unacknowledged messages of a lane beside the usual ones, while a flood moves aside: a confirm takes as long as a write to the broker's
/// disk, whatever their number.
const WIDE_PREFETCH: u16 = 512;

/// Most messages that the broker leaves unacknowledged with one worker: two lanes, the suspects, every sideline.
pub(super) fn most_held(prefetch: u16) -> u32 {
    2 * (u32::from(prefetch) + u32::from(WIDE_PREFETCH))
        + 1
        + u32::from(topology::SIDELINES) * u32::from(SIDELINE_PREFETCH)
}

/// What is to be consumed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    lanes: bool,
    attention: Attention,
}

/// A consumer of a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    queue: String,
    prefetch: u16,
    sideline: Option<u8>,
    /// Beside the usual one.
    wide: bool,
}

/// The link to the broker, from the side of those who take messages.
pub(super) struct Link {
    server: Arc<Server>,
    wanted: watch::Sender<Wanted>,
    /// Whether a connection stands.
    connected: watch::Sender<bool>,
    /// Why none stands, where one was tried.
    lost: std::sync::Mutex<Option<String>>,
    /// How many queues are consumed now.
    consumed: watch::Sender<usize>,
    incoming: Mutex<mpsc::UnboundedReceiver<Delivery>>,
    sender: mpsc::UnboundedSender<Delivery>,
    epoch: AtomicU64,
    told: Notify,
    closing: watch::Sender<bool>,
}

/// A consumer that is there.
struct Consumed {
    tag: String,
    /// Set before it is cancelled on purpose.
    on_purpose: Arc<AtomicBool>,
    forwards: JoinHandle<()>,
}

/// One connection's state.
struct Session<'a> {
    link: &'a Arc<Link>,
    channel: Channel,
    epoch: u64,
    consumed: BTreeMap<Source, Consumed>,
    /// Names of queues whose consumers ended, and why.
    ended: mpsc::UnboundedSender<String>,
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Arc<Self> {
        let (sender, incoming) = mpsc::unbounded_channel();
        Arc::new(Self {
            server,
            wanted: watch::channel(Wanted::default()).0,
            connected: watch::channel(false).0,
            lost: std::sync::Mutex::default(),
            consumed: watch::channel(0).0,
            incoming: Mutex::new(incoming),
            sender,
            epoch: AtomicU64::new(0),
            told: Notify::new(),
            closing: watch::channel(false).0,
        })
    }

    /// Waits until a connection stands, to a broker that is as it should be.
    pub(super) async fn reached(&self) {
        let _ = self.connected.subscribe().wait_for(|connected| *connected).await;
    }

    /// Why no connection stands; `None` where one does.
    pub(super) fn why_not(&self) -> Option<String> {
        let lost = || self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tried = |why: Option<String>| why.unwrap_or_else(|| "not connected yet".to_owned());
        (!*self.connected.borrow()).then(|| tried(lost()))
    }

    /// Waits until something is consumed.
    pub(super) async fn up(&self) {
        // The sender lives as long as the link.
        let _ = self.consumed.subscribe().wait_for(|count| *count > 0).await;
    }

    /// The next message that is still this worker's.
    pub(super) async fn next(&self) -> Option<Delivery> {
        self.wanted
            .send_if_modified(|wanted| !std::mem::replace(&mut wanted.lanes, true));
        let mut incoming = self.incoming.lock().await;
        loop {
            let delivery = incoming.recv().await?;
            if delivery.unacknowledged().is_some_and(|it| self.holds(it)) {
                return Some(delivery);
            }
        }
    }

    /// What to consume from now on.
    pub(super) fn attend(&self, attention: Attention) {
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.attention != attention;
            wanted.attention = attention;
            changed
        });
    }

    /// Cancels every consumer, and gives back what was delivered and not taken.
    pub(super) async fn rest(&self) {
        self.wanted.send_if_modified(|wanted| {
            let changed = wanted.lanes;
            wanted.lanes = false;
            changed
        });
        let mut consumed = self.consumed.subscribe();
        let _ = tokio::time::timeout(CANCEL, consumed.wait_for(|count| *count == 0)).await;
        let mut incoming = self.incoming.lock().await;
        while let Ok(delivery) = incoming.try_recv() {
            if let Some(unacknowledged) = delivery.unacknowledged() {
                let _ = self.give_back(unacknowledged).await;
            }
        }
    }

    pub(super) fn holds(&self, unacknowledged: &Unacknowledged) -> bool {
        unacknowledged.epoch == self.epoch.load(Ordering::SeqCst) && unacknowledged.acker.usable()
    }

    /// Requeues a message. Returns to the head of its queue: for what is to be run as soon as possible, and nothing else.
    pub(super) async fn give_back(&self, unacknowledged: &Unacknowledged) -> Result<(), BrokerError> {
        let requeue = BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        };
        // One that is not held any more is back already.
        let nack = unacknowledged.acker.nack(requeue);
        self.server.within(ANSWER, nack).await.map(drop)
    }

    pub(super) async fn told(&self) {
        self.told.notified().await;
    }

    /// Ends the connection in order: its channels and what listens to them end with it.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Keeps the connection up until it is closed.
    pub(super) async fn keep_up(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let stood = AtomicBool::new(false);
            let ended = self.one_connection(&stood).await;
            if *self.closing.borrow() {
                return;
            }
            // From here on nothing of that connection is held.
            self.epoch.fetch_add(1, Ordering::SeqCst);
            self.connected.send_replace(false);
            self.consumed.send_replace(0);
            if stood.load(Ordering::SeqCst) {
                pause = FIRST_PAUSE;
            }
            let Err(error) = ended;
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.problem.clone());
            tracing::error!(%error, again_in_ms = pause.as_millis() as u64, "not consuming");
            // Not all workers at once.
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn one_connection(self: &Arc<Self>, stood: &AtomicBool) -> Result<std::convert::Infallible, BrokerError> {
        let connection = self.server.dial("consumer").await?;
        let mut closing = self.closing.subscribe();
        let ended = tokio::select! {
            ended = self.consume(&connection, stood) => ended,
            _ = closing.wait_for(|closing| *closing) => Err(self.server.error("closed")),
        };
        hang_up(connection);
        ended
    }

    async fn consume(
        self: &Arc<Self>,
        connection: &Connection,
        stood: &AtomicBool,
    ) -> Result<std::convert::Infallible, BrokerError> {
        let mut events = Box::pin(connection.events_listener());
        verify(&self.server, connection).await?;
        self.listen(connection).await?;
        let (ended, mut endings) = mpsc::unbounded_channel();
        let mut session = Session {
            link: self,
            channel: self.server.channel(connection).await?,
            epoch: self.epoch.load(Ordering::SeqCst),
            consumed: BTreeMap::new(),
            ended,
        };
        let mut wanted = self.wanted.subscribe();
        let mut look = interval(LOOK);
        tracing::info!(broker = self.server.place, "connected");
        self.connected.send_replace(true);
        loop {
            let want = wanted.borrow_and_update().clone();
            session.reconcile(&want).await?;
            if !session.consumed.is_empty() {
                stood.store(true, Ordering::SeqCst);
            }
            self.consumed.send_replace(session.consumed.len());
            // A sender of `wanted` lives as long as the link.
            loop {
                tokio::select! {
                    _ = wanted.changed() => break,
                    Some(why) = endings.recv() => return Err(self.server.error(why)),
                    event = events.next() => match event {
                        // What ends a channel is not the connection's end: a refused look at the topology, say.
                        Some(Event::Error(error)) if !error.is_amqp_soft_error() => return Err(self.server.error(error)),
                        None => return Err(self.server.error("the connection is lost")),
                        Some(_) => {}
                    },
                    _ = look.tick() => {
                        if !session.channel.status().connected() || !connection.status().connected() {
                            return Err(self.server.error("the broker closed the channel"));
                        }
                    }
                }
            }
        }
    }

    /// Listens to what the fleet is told. The queue is this connection's own and goes with it.
    async fn listen(self: &Arc<Self>, connection: &Connection) -> Result<(), BrokerError> {
        let channel = self.server.channel(connection).await?;
        let options = QueueDeclareOptions::exclusive().auto_delete();
        // Never the same twice: a lost connection's may be there for a while yet.
        let name = format!("{}.{:08x}", topology::CONTROL, fastrand::u32(..));
        let declare = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        self.server.within(ANSWER, declare).await?;
        let bind = channel.queue_bind(
            name.as_str().into(),
            topology::CONTROL.into(),
            "".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        self.server.within(ANSWER, bind).await?;
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consume = channel.basic_consume(name.as_str().into(), "".into(), options, FieldTable::default());
        let mut told = self.server.within(ANSWER, consume).await?;
        let link = Arc::clone(self);
        tokio::spawn(async move {
            // The channel lives as long as it is listened to. What was missed is read from the ledger: it is asked every second.
            let _channel = channel;
            while let Some(Ok(_)) = told.next().await {
                link.told.notify_one();
            }
        });
        // Whatever was told while nobody listened.
        self.told.notify_one();
        Ok(())
    }
}

impl Session<'_> {
    /// Consumes what is wanted, and cancels what is not.
    async fn reconcile(&mut self, wanted: &Wanted) -> Result<(), BrokerError> {
        let sources = self.sources(wanted);
        let surplus: Vec<Source> = self
            .consumed
            .keys()
            .filter(|source| !sources.contains(*source))
            .cloned()
            .collect();
        for source in surplus {
            self.cancel(&source).await?;
        }
        for source in sources {
            if !self.consumed.contains_key(&source) {
                self.consume(source).await?;
            }
        }
        Ok(())
    }

    /// The consumers that are wanted.
    fn sources(&self, wanted: &Wanted) -> BTreeSet<Source> {
        if !wanted.lanes {
            return BTreeSet::new();
        }
        let of_lane = |lane, prefetch| Source {
            queue: topology::lane_queue(lane),
            prefetch,
            sideline: None,
            wide: false,
        };
        let usual = self.link.server.prefetch;
        let mut sources = BTreeSet::from([
            of_lane(Lane::Interactive, usual),
            of_lane(Lane::Bulk, usual),
            of_lane(Lane::Suspect, 1),
        ]);
        if wanted.attention.lanes == Intake::Wide {
            // Beside the usual ones: the number of a consumer that stands cannot be changed.
            sources.extend([Lane::Interactive, Lane::Bulk].map(|lane| Source {
                wide: true,
                ..of_lane(lane, WIDE_PREFETCH)
            }));
        }
        sources.extend(wanted.attention.sidelines.iter().map(|line| Source {
            queue: topology::side_queue(*line),
            prefetch: SIDELINE_PREFETCH,
            sideline: Some(*line),
            wide: false,
        }));
        sources
    }

    async fn consume(&mut self, source: Source) -> Result<(), BrokerError> {
        let server = &self.link.server;
        let Source {
            queue,
            prefetch,
            sideline,
            wide,
        } = source.clone();
        // Holds for the next consumer of the channel.
        let qos = self.channel.basic_qos(prefetch, BasicQosOptions::default());
        server.within(ANSWER, qos).await?;
        let beside = if wide { " wide" } else { "" };
        let tag = format!("{} {queue}{beside}", server.name);
        let consume = self.channel.basic_consume(
            queue.as_str().into(),
            tag.as_str().into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = server.within(ANSWER, consume).await?;
        let on_purpose = Arc::new(AtomicBool::new(false));
        let (ended, sender) = (self.ended.clone(), self.link.sender.clone());
        let (epoch, expected) = (self.epoch, Arc::clone(&on_purpose));
        let forwards = tokio::spawn(async move {
            let why = loop {
                match consumer.next().await {
                    Some(Ok(incoming)) => forward(&sender, incoming, epoch, sideline),
                    Some(Err(error)) => break error.to_string(),
                    None => break "the broker cancelled the consumer: was the queue deleted?".to_owned(),
                }
            };
            if !expected.load(Ordering::SeqCst) {
                let _ = ended.send(format!("queue {queue}: {why}"));
            }
        });
        let consumed = Consumed {
            tag,
            on_purpose,
            forwards,
        };
        self.consumed.insert(source, consumed);
        Ok(())
    }

    async fn cancel(&mut self, source: &Source) -> Result<(), BrokerError> {
        let Some(consumed) = self.consumed.remove(source) else {
            return Ok(());
        };
        consumed.on_purpose.store(true, Ordering::SeqCst);
        let cancel = self
            .channel
            .basic_cancel(consumed.tag.as_str().into(), BasicCancelOptions::default());
        self.link.server.within(ANSWER, cancel).await?;
        // What was delivered before is forwarded first.
        let _ = tokio::time::timeout(CANCEL, consumed.forwards).await;
        Ok(())
    }
}

fn forward(sender: &mpsc::UnboundedSender<Delivery>, incoming: Incoming, epoch: u64, sideline: Option<u8>) {
    let envelope = properties::envelope(&incoming.properties, incoming.routing_key.as_str(), sideline);
    let unacknowledged = Unacknowledged {
        epoch,
        acker: incoming.acker,
        message_id: incoming.properties.message_id().clone(),
    };
    // Nobody receives when the worker is stopping: the message comes again.
    let _ = sender.send(delivery(incoming.data, envelope, unacknowledged));
}
