//! Saying what became of deliveries: many receipts, few frames.
//!
//! One `ack` with `multiple` costs the broker a third of what single ones cost. Workers finish out of order, so an ack is
//! held for a moment until all that came before it are done as well and one frame can cover them. Held acks that are
//! lost with the connection only make a message come again.

use super::link::ANSWER_WITHIN;
use futures::future::join_all;
use lapin::{
    Channel, ChannelStatus,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout, timeout_at},
};

/// How long frames are gathered.
const GATHER_FOR: Duration = Duration::from_millis(2);
/// How long an ack is held for those before it. Then it goes alone.
const HOLD_FOR: Duration = Duration::from_millis(25);
/// Below this prefetch nothing is held: the broker must hear soon that there is room again.
const HOLD_FROM_PREFETCH: u16 = 32;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Done with.
    Done,
    /// Not to be tried again.
    Dead,
    /// Not tried; somebody else may have it.
    Back,
}

/// Settles the deliveries of one channel. When this is dropped, what was said is told, and the channel closes.
pub(super) struct Settler {
    book: Arc<Book>,
    status: ChannelStatus,
}

impl Settler {
    pub(super) fn start(channel: Channel, prefetch: u16) -> Self {
        let hold_at_most = if prefetch < HOLD_FROM_PREFETCH { 1 } else { usize::from(prefetch / 2) };
        let book = Arc::new(Book { pages: Mutex::default(), news: Notify::new(), hold_at_most });
        let status = channel.status().clone();
        tokio::spawn(tell(Arc::clone(&book), channel));
        Self { book, status }
    }

    /// Notes a delivery. Must be called in the order of delivery, before anybody can settle it.
    pub(super) fn opened(&self, tag: u64) {
        self.book.pages().open.insert(tag);
    }

    /// From here on, whoever settles waits until the broker was told.
    pub(super) fn drain(&self) {
        self.book.pages().draining = true;
        self.book.news.notify_one();
    }

    /// `true` when the channel that the delivery came on is there to tell the broker.
    pub(super) async fn settle(&self, tag: u64, fate: Fate) -> bool {
        if !self.status.connected() {
            return false;
        }
        let told = self.book.pages().write(tag, fate);
        self.book.news.notify_one();
        match told {
            Note::Noted => true,
            Note::Wait(told) => told.await.unwrap_or(false),
            Note::Broken => false,
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.book.pages().closing = true;
        self.book.news.notify_one();
    }
}

/// What is known about the deliveries of one channel.
struct Book {
    pages: Mutex<Pages>,
    news: Notify,
    hold_at_most: usize,
}

#[derive(Default)]
struct Pages {
    /// Nothing was said about these. Those not yet taken from lapin are not among them, but their tags are higher.
    open: BTreeSet<u64>,
    /// Done with, the broker not told.
    done: BTreeSet<u64>,
    held_since: Option<Instant>,
    nacks: Vec<(u64, Fate)>,
    waiting: Vec<oneshot::Sender<bool>>,
    draining: bool,
    closing: bool,
    broken: bool,
}

enum Note {
    Noted,
    Wait(oneshot::Receiver<bool>),
    Broken,
}

/// What is to be told in one go.
#[derive(Default)]
struct Letter {
    nacks: Vec<(u64, Fate)>,
    /// Tags, and whether everything below is meant too.
    acks: Vec<(u64, bool)>,
    waiting: Vec<oneshot::Sender<bool>>,
    last: bool,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn write(&mut self, tag: u64, fate: Fate) -> Note {
        if self.broken {
            return Note::Broken;
        }
        self.open.remove(&tag);
        if fate == Fate::Done {
            self.done.insert(tag);
            self.held_since.get_or_insert_with(Instant::now);
        } else {
            self.nacks.push((tag, fate));
        }
        if fate == Fate::Done && !self.draining {
            return Note::Noted;
        }
        let (sender, told) = oneshot::channel();
        self.waiting.push(sender);
        Note::Wait(told)
    }

    /// Whether to tell now instead of gathering more.
    fn urgent(&self, hold_at_most: usize) -> bool {
        self.draining || self.closing || !self.nacks.is_empty() || self.done.len() >= hold_at_most
    }

    fn tear_out(&mut self, hold_at_most: usize, now: Instant) -> Letter {
        let forced = self.urgent(hold_at_most) || self.held_since.is_some_and(|since| now - since >= HOLD_FOR);
        // All that is below every open delivery can be covered by one ack.
        let above = self.open.first().map_or_else(BTreeSet::new, |lowest| self.done.split_off(lowest));
        let together = std::mem::replace(&mut self.done, above);
        let mut acks: Vec<_> = together.last().map(|tag| (*tag, together.len() > 1)).into_iter().collect();
        if forced {
            acks.extend(std::mem::take(&mut self.done).into_iter().map(|tag| (tag, false)));
        }
        if !acks.is_empty() {
            self.held_since = (!self.done.is_empty()).then_some(now);
        }
        Letter { nacks: std::mem::take(&mut self.nacks), acks, waiting: std::mem::take(&mut self.waiting), last: self.closing }
    }
}

/// Tells the broker, until the settler is dropped or the channel ends.
async fn tell(book: Arc<Book>, channel: Channel) {
    loop {
        let held_since = book.pages().held_since;
        match held_since {
            None => book.news.notified().await,
            Some(since) => drop(timeout_at(since + HOLD_FOR, book.news.notified()).await),
        }
        if !book.pages().urgent(book.hold_at_most) {
            tokio::time::sleep(GATHER_FOR).await;
        }
        let letter = book.pages().tear_out(book.hold_at_most, Instant::now());
        let sent = matches!(timeout(ANSWER_WITHIN, send(&channel, &letter)).await, Ok(Ok(())));
        for waiting in letter.waiting {
            let _ = waiting.send(sent);
        }
        if !sent {
            let mut pages = book.pages();
            pages.broken = true;
            // Whoever waits hears that nobody was told.
            pages.waiting.clear();
            return;
        }
        if letter.last {
            return;
        }
    }
}

async fn send(channel: &Channel, letter: &Letter) -> lapin::Result<()> {
    // First these: an ack that covers many must not cover them.
    for (tag, fate) in &letter.nacks {
        channel.basic_nack(*tag, BasicNackOptions { multiple: false, requeue: *fate == Fate::Back }).await?;
    }
    let acks = letter.acks.iter().map(|(tag, multiple)| channel.basic_ack(*tag, BasicAckOptions { multiple: *multiple }));
    join_all(acks).await.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(open: impl IntoIterator<Item = u64>, done: &[u64]) -> Pages {
        let mut pages = Pages { open: open.into_iter().collect(), ..Pages::default() };
        for tag in done {
            pages.write(*tag, Fate::Done);
        }
        pages
    }

    #[tokio::test]
    async fn one_ack_covers_only_what_lies_below_every_open_delivery() {
        let now = Instant::now();
        let mut pages = pages(1..=8, &[2, 3]);
        assert!(pages.tear_out(100, now).acks.is_empty(), "1 is still open");
        pages.write(1, Fate::Done);
        pages.write(6, Fate::Done);
        assert_eq!(pages.tear_out(100, now).acks, [(3, true)], "4 is still open");
        pages.write(4, Fate::Done);
        assert_eq!(pages.tear_out(100, now).acks, [(4, false)], "5 is still open");
        pages.write(5, Fate::Dead);
        let letter = pages.tear_out(100, now);
        assert_eq!((letter.nacks, letter.acks), (vec![(5, Fate::Dead)], vec![(6, false)]), "the dead one is told before");
        pages.write(8, Fate::Done);
        pages.write(7, Fate::Done);
        assert_eq!(pages.tear_out(100, now).acks, [(8, true)]);
        assert!(pages.held_since.is_none());
    }

    #[tokio::test]
    async fn a_slow_delivery_does_not_hold_the_others_for_long() {
        let mut pages = pages(1..=5, &[3, 5]);
        let now = Instant::now();
        assert!(pages.tear_out(3, now).acks.is_empty());
        assert_eq!(pages.tear_out(3, now + HOLD_FOR).acks, [(3, false), (5, false)]);
        pages.write(2, Fate::Done);
        pages.write(4, Fate::Done);
        assert!(pages.tear_out(3, now).acks.is_empty());
        pages.open.insert(6);
        pages.write(6, Fate::Done);
        assert_eq!(pages.tear_out(3, now).acks, [(2, false), (4, false), (6, false)], "as many as may be are held");
    }

    #[tokio::test]
    async fn while_draining_nothing_is_held_and_everybody_waits_to_hear() {
        let mut pages = pages(1..=3, &[3]);
        pages.draining = true;
        assert!(matches!(pages.write(2, Fate::Done), Note::Wait(_)));
        let letter = pages.tear_out(100, Instant::now());
        assert_eq!((letter.acks, letter.waiting.len()), (vec![(2, false), (3, false)], 1));
    }
}
