//! The provider itself: keys, cards, and the trouble that they make. Knows nothing of the engine.

use super::{
    behaviour::{Behaviour, BehaviourError, Mood},
    book::{Book, BookError, ChargePage, Totals},
    book_write::{NewOperation, Write, Written},
    intents,
    notices::{self, Notify},
    operation::{ChargeRow, Operation, OperationId, OperationRequest, OperationStatus},
    push,
    rules::{self, Trouble},
};
use crate::{
    domain::{
        attempt::AttemptKind,
        id::{Entropy, PaymentIntentId},
        payment_intent::{IntentUse, NewIntent, PaymentIntent},
    },
    ports::clock::Clock,
};
use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a caller that gets no answer is left waiting before the connection is cut.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// How often customers are looked after.
const BEAT: Duration = Duration::from_millis(200);
/// How many calls may be in hand at once; more are refused.
const MAX_IN_FLIGHT: usize = 4096;
/// What a caller that was refused for no fault of its card is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the provider says.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The operation as it stands.
    Done(Box<Operation>),
    /// Nothing under this reference and key.
    NotFound,
    /// Not executed; come again.
    Refused(Duration),
    /// The key was used for another request.
    KeyReused,
    /// This part of the request is out of bounds; nothing was executed.
    Invalid(&'static str),
    /// Something broke. It may have been executed.
    Failed,
    /// No answer: the connection breaks.
    Cut,
}

/// The sandbox provider.
pub struct SandboxService {
    book: Book,
    behaviour: RwLock<Behaviour>,
    in_flight: Semaphore,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    public_url: String,
}

impl SandboxService {
    /// Opens the book at `path`, or begins one. `public_url` is how a browser reaches the sandbox's pages.
    pub async fn open(path: &Path, public_url: &str, clock: Arc<dyn Clock>, entropy: Arc<Entropy>) -> Result<Arc<Self>, BookError> {
        Ok(Arc::new(Self {
            book: Book::open(path).await?,
            behaviour: RwLock::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            clock,
            entropy,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }))
    }

    /// Executes a request, or says again what came of it. May take up to a minute when the card or the behaviour says
    /// so: a caller brings its own timeout, and may drop the call at any time.
    pub async fn execute(&self, request: OperationRequest) -> Reply {
        if let Err(part) = request.check() {
            return Reply::Invalid(part);
        }
        self.behaved(self.perform(request)).await
    }

    /// What became of the request with this key.
    pub async fn look_up(&self, reference: &str, key: &str) -> Reply {
        let search = async {
            match self.book.by_key(key).await {
                Ok(found) => found
                    .filter(|operation| operation.reference == reference)
                    .map_or(Reply::NotFound, |operation| Reply::Done(Box::new(operation))),
                Err(error) => failed(&error),
            }
        };
        self.behaved(search).await
    }

    /// The charges made for a reference, oldest first, at most 100.
    pub async fn charges_by_reference(&self, reference: &str) -> Result<Vec<ChargeRow>, BookError> {
        Ok(self.book.charges_by_reference(reference).await?.into_iter().map(ChargeRow::from).collect())
    }

    /// A page of the book's charges, newest first. `limit` is 1 to 100.
    pub async fn charges(&self, limit: u32, after: Option<OperationId>) -> Result<ChargePage, BookError> {
        self.book.charges(limit.clamp(1, 100), after).await
    }

    /// The whole book, summed.
    pub async fn totals(&self) -> Result<Totals, BookError> {
        self.book.totals().await
    }

    /// Authorises money before there is anything to pay for. `Err`: the card's no, as a decline code.
    pub async fn authorize_intent(&self, new: NewIntent) -> Result<Result<PaymentIntent, &'static str>, BookError> {
        if let Some(refusal) = intents::refusal(new.amount, new.currency, &new.token) {
            return Ok(Err(refusal));
        }
        let nonce = i64::try_from(self.entropy.next_u64() >> 1).unwrap_or(i64::MAX);
        let kept = self.book.keep_intent(new, nonce, self.clock.now()).await?;
        kept.shown().map(Ok).ok_or(BookError::Corrupt("an intent's id"))
    }

    /// An intent of an account's.
    pub async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, BookError> {
        let found = self.book.intent(id).await?.filter(|intent| intent.new.account == account);
        Ok(found.and_then(|intent| intent.shown()))
    }

    /// A charge, for the page where a person answers for it.
    pub async fn charge(&self, id: OperationId) -> Result<Option<Operation>, BookError> {
        if id.kind == AttemptKind::Charge { self.book.by_id(id).await } else { Ok(None) }
    }

    /// A person's word on a pending charge; the charge as it stands then, whoever was first. `None`: no such charge.
    pub async fn act(&self, id: OperationId, approve: bool) -> Result<Option<Operation>, BookError> {
        Ok(match self.book.write(Write::Act { charge: id, approve }).await? {
            Written::Fresh(charge) | Written::Replayed(charge) => Some(charge),
            Written::KeyReused | Written::Missing => None,
        })
    }

    /// How it misbehaves now.
    pub fn behaviour(&self) -> Behaviour {
        *self.behaviour.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it how to misbehave from now on.
    pub fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), BehaviourError> {
        behaviour.check()?;
        *self.behaviour.write().unwrap_or_else(PoisonError::into_inner) = behaviour;
        Ok(())
    }

    /// Where a person answers for a charge, while it is pending and somebody is to answer there.
    pub fn action_url(&self, charge: &Operation) -> Option<String> {
        let is_asked = charge.status == OperationStatus::Pending && push::has_page(charge);
        is_asked.then(|| format!("{}/sandbox/actions/{}", self.public_url, charge.id))
    }

    /// Lets customers answer on their phones when their time has come, and tells what came of it, until `stop`.
    pub async fn run(self: Arc<Self>, notify: Option<Notify>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(BEAT)).await.is_some() {
            if let Err(error) = self.book.answer_due(self.clock.now()).await {
                tracing::error!(%error, "the sandbox could not use its book");
            }
            if let Some(notify) = &notify
                && let Err(error) = notices::round(&self.book, notify, self.clock.now()).await
            {
                tracing::error!(%error, "the sandbox could not use its book");
            }
        }
    }

    async fn behaved(&self, work: impl Future<Output = Reply>) -> Reply {
        let Ok(_place) = self.in_flight.try_acquire() else { return Reply::Refused(RETRY_AFTER) };
        let (reply, latency) = match self.behaviour().draw(&self.entropy) {
            Mood::Outage => return silence().await,
            Mood::Refuse => return Reply::Refused(RETRY_AFTER),
            Mood::Error(latency) => (Reply::Failed, latency),
            Mood::Well(latency) => (work.await, latency),
            Mood::LoseAnswer(latency) => {
                work.await;
                (Reply::Cut, latency)
            }
        };
        // Late, not slow to act: what a caller that gave up waiting must reckon with.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        reply
    }

    async fn perform(&self, request: OperationRequest) -> Reply {
        let new = NewOperation {
            hash: request.hash(),
            nonce: i64::try_from(self.entropy.next_u64() >> 1).unwrap_or(i64::MAX),
            created_at: self.clock.now(),
            request,
        };
        if new.request.kind != AttemptKind::Charge {
            return self.written(Write::Change(Box::new(new)), Trouble::None).await;
        }
        if let Some(how) = new.request.push.clone().filter(|_| rules::is_payable(new.request.amount)) {
            return told(self.book.push(&new, &how).await);
        }
        if let Some(wanted) = new.request.intent.clone() {
            return self.take(new, &wanted).await;
        }
        let (trouble, verdict) = rules::charge(&new.request);
        match self.turned_away(trouble, &new.request.idempotency_key).await {
            Ok(None) => self.written(Write::Charge(Box::new(new), verdict), trouble).await,
            Ok(Some(Reply::Cut)) => silence().await,
            Ok(Some(reply)) => reply,
            Err(error) => failed(&error),
        }
    }

    /// Charges what was authorised before. The card makes the same trouble on the way as if it were charged now.
    async fn take(&self, new: NewOperation, wanted: &IntentUse) -> Reply {
        let trouble = match self.book.intent(&wanted.id).await {
            Ok(intent) => intent.map_or(Trouble::None, |intent| intent.charge(&new.request).0),
            Err(error) => return failed(&error),
        };
        match self.turned_away(trouble, &new.request.idempotency_key).await {
            Ok(None) => answered(self.book.take_intent(&new, wanted).await, trouble).await,
            Ok(Some(Reply::Cut)) => silence().await,
            Ok(Some(reply)) => reply,
            Err(error) => failed(&error),
        }
    }

    /// What a request meets before it is executed, if anything.
    async fn turned_away(&self, trouble: Trouble, key: &str) -> Result<Option<Reply>, BookError> {
        let (times, reply) = match trouble {
            Trouble::None | Trouble::LoseFirstAnswer | Trouble::Slow(_) => return Ok(None),
            Trouble::Never => return Ok(Some(Reply::Cut)),
            Trouble::RefuseFirst(times) => (i64::from(times), Reply::Refused(Duration::ZERO)),
            Trouble::LoseFirstRequest => (1, Reply::Cut),
        };
        let turned_away = self.book.count_try(key).await? <= times;
        Ok(turned_away.then_some(reply))
    }

    async fn written(&self, write: Write, trouble: Trouble) -> Reply {
        answered(self.book.write(write).await, trouble).await
    }
}

/// What was written, told with the trouble that its card makes.
async fn answered(written: Result<Written, BookError>, trouble: Trouble) -> Reply {
    match (written, trouble) {
        (Ok(Written::Fresh(_)), Trouble::LoseFirstAnswer) => silence().await,
        (Ok(Written::Fresh(operation)), Trouble::Slow(late)) => {
            tokio::time::sleep(late).await;
            Reply::Done(Box::new(operation))
        }
        (written, _) => told(written),
    }
}

fn told(written: Result<Written, BookError>) -> Reply {
    match written {
        Ok(Written::Fresh(operation) | Written::Replayed(operation)) => Reply::Done(Box::new(operation)),
        Ok(Written::KeyReused) => Reply::KeyReused,
        Ok(Written::Missing) => Reply::NotFound,
        Err(error) => failed(&error),
    }
}

/// Leaves the caller waiting: most give up first.
async fn silence() -> Reply {
    tokio::time::sleep(MAX_SILENCE).await;
    Reply::Cut
}

fn failed(error: &BookError) -> Reply {
    tracing::error!(%error, "the sandbox could not use its book");
    Reply::Failed
}

/// Whether a status of this kind of operation is a yes that stays a yes.
pub(super) const fn is_approved(kind: AttemptKind, status: OperationStatus) -> bool {
    match kind {
        // Given back later is still taken then.
        AttemptKind::Charge => matches!(status, OperationStatus::Captured | OperationStatus::Refunded | OperationStatus::Authorized),
        AttemptKind::Capture => matches!(status, OperationStatus::Captured),
        AttemptKind::Void => matches!(status, OperationStatus::Voided),
        AttemptKind::Refund => matches!(status, OperationStatus::Refunded),
    }
}
