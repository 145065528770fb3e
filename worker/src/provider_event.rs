//! One event that a provider told us: read, held against the attempt that it is about, and settled like an answer.

use crate::{
    WorkerContext, follow,
    lane::{Done, StepError, caught},
};
use boxoffice_common::{
    adapters::provider_events::{AskError, EventSource, note_end},
    domain::{
        attempt::Outcome,
        checkout::Checkout,
        dispute::{self, ToldDispute},
        id::ProviderEventId,
        provider_event::{
            About, EventAccount, EventStatus, FeeVerdict, MAX_TRIES, OF_NO_USE, ProviderEvent, Told, ToldFee, ToldMoney, Verdict, Word,
            is_being_answered, judge, judge_fee,
        },
        settle::Settlement,
    },
    failpoint,
    ports::{
        queue::Work,
        store::{Moved, Settled, StoreError},
    },
    retry,
};
use std::time::Duration;

/// Not a lease that anybody has: a provider's word needs none.
const NO_LEASE: &str = "provider event";
/// How long whoever asks the provider just now is given to record its answer, in steps: nothing is lost if he is dead.
const PATIENCE: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// Works on the event, if nobody has.
pub(crate) async fn run(context: &WorkerContext, work: &Work) -> Result<Done, StepError> {
    let id = ProviderEventId::parse(work.id.as_str()).map_err(|error| StepError::Malformed(error.to_string()))?;
    let Some(event) = context.store.provider_event(&id).await?.filter(|event| event.status == EventStatus::Pending) else {
        return Ok(Done::Finished);
    };
    let (status, note) = match decided(context, &event, work.trace.as_deref()).await? {
        End::Now(status, note) => (status, note),
        End::Later(note) | End::Counted(note, _) if event.tries >= MAX_TRIES => (EventStatus::NeedsReview, note),
        End::Counted(_, wait) => return Ok(Done::Again(wait)),
        End::Later(note) => {
            let wait = retry::EVENTS.wait(event.tries.saturating_add(1), None);
            return Ok(if context.store.put_event_off(&id, wait, note).await? { Done::Again(wait) } else { Done::Finished });
        }
    };
    failpoint::cross("event.before_close").await?;
    if !context.store.close_event(&id, status, note).await? {
        return Ok(Done::Finished);
    }
    note_end(&id, &event.provider, &event.account, status, note);
    Ok(Done::Finished)
}

enum End {
    Now(EventStatus, &'static str),
    Later(&'static str),
    /// Later, and the row says so already.
    Counted(&'static str, Duration),
}

const MOVED_NOTE: &str = "it moved its checkout";
const MOVED: End = End::Now(EventStatus::Done, MOVED_NOTE);
const NOT_THERE: End = End::Now(EventStatus::Ignored, "there is no such checkout");

/// Decides, and says later of what no other try can be hoped to mend: a row that cannot be read, or our bug. An event has no lease of which
/// take-overs would count, so each try of it counts here, until a person has to look.
async fn decided(context: &WorkerContext, event: &ProviderEvent, trace: Option<&str>) -> Result<End, StepError> {
    let error = match caught(decide(context, event, trace)).await {
        Ok(end) => return Ok(end),
        Err(error) => error,
    };
    let note = match &error {
        StepError::Store(StoreError::Corrupt(_)) => "our own row about it cannot be read",
        StepError::Store(StoreError::Inconsistent(_)) => "it cannot be settled",
        StepError::Panicked => "the work on it panics",
        StepError::Store(StoreError::Unavailable(_)) | StepError::Queue(_) | StepError::Told(_) | StepError::Malformed(_) => {
            return Err(error);
        }
    };
    tracing::error!(event = %event.id, tries = event.tries, %error, "an event cannot be worked on");
    Ok(End::Later(note))
}

async fn decide(context: &WorkerContext, event: &ProviderEvent, trace: Option<&str>) -> Result<End, StepError> {
    let Some(source) = context.registry.source(&event.provider, &event.account).await? else {
        return Ok(End::Later("this account is not set up"));
    };
    match source.read(&event.body) {
        Ok(Told::Ask(about)) => ask(context, event, &*source, &about, trace).await,
        Ok(Told::Money(told)) => {
            let Judged { end, known } = moved(context, source.account(), &told, trace).await?;
            if let End::Now(EventStatus::Done, _) = &end {
                look_for_fee(context, source.account(), &told, known, trace).await?;
            }
            Ok(end)
        }
        Ok(told) => hold_against(context, source.account(), &told, trace).await,
        // The library's words may quote the body.
        Err(_) => Ok(End::Now(EventStatus::NeedsReview, "it cannot be read")),
    }
}

/// Holds what was told against what we have asked for.
async fn hold_against(context: &WorkerContext, account: &EventAccount, told: &Told, trace: Option<&str>) -> Result<End, StepError> {
    match told {
        Told::Money(told) => Ok(moved(context, account, told, trace).await?.end),
        Told::Dispute(told) => disputed(context, account, told, trace).await,
        Told::Fee(told) => match context.store.checkout(&told.reference).await? {
            Some(checkout) => fee(context, account, told, &checkout, trace).await,
            None => Ok(NOT_THERE),
        },
        // Whoever was asked has nothing more to say.
        Told::Ask(_) | Told::Other => Ok(End::Now(EventStatus::Ignored, OF_NO_USE)),
    }
}

/// Asks the provider what an event is about. A notice that comes while this one is untouched is not kept, so the try is counted first: what
/// comes from then on is an event of its own, and what came before is in the answer.
async fn ask(
    context: &WorkerContext,
    event: &ProviderEvent,
    source: &dyn EventSource,
    about: &str,
    trace: Option<&str>,
) -> Result<End, StepError> {
    let wait = retry::EVENTS.wait(event.tries.saturating_add(1), None);
    if !context.store.put_event_off(&event.id, wait, "the provider is asked what became of it").await? {
        return Ok(End::Now(EventStatus::Done, "somebody else is done with it"));
    }
    let told = match source.ask(about).await {
        Ok(told) => told,
        Err(AskError::Unknown) => return Ok(End::Now(EventStatus::Ignored, "the provider knows of no such thing")),
        Err(AskError::Unreadable) => return Ok(End::Now(EventStatus::NeedsReview, "the provider's answer cannot be read")),
        Err(error @ AskError::Later { .. }) => {
            tracing::debug!(event = %event.id, %error, "an event is asked about again later");
            return Ok(End::Counted("the provider could not be asked", wait));
        }
    };
    let mut all = End::Now(EventStatus::Ignored, "it is about nothing of ours");
    for told in &told {
        all = all.and(match hold_against(context, source.account(), told, trace).await? {
            End::Later(note) => End::Counted(note, wait),
            end => end,
        });
    }
    Ok(all)
}

impl End {
    /// The end of an event that says several things: whatever has to wait or be looked at goes before what is done with.
    fn and(self, other: Self) -> Self {
        let weight = |end: &Self| match end {
            Self::Later(_) | Self::Counted(..) => 4,
            Self::Now(EventStatus::NeedsReview, _) => 3,
            Self::Now(EventStatus::Done, note) if *note == MOVED_NOTE => 2,
            Self::Now(EventStatus::Done, _) => 1,
            Self::Now(EventStatus::Ignored | EventStatus::Pending, _) => 0,
        };
        if weight(&other) > weight(&self) { other } else { self }
    }
}

/// What came of a provider's word on a charge or a refund.
struct Judged {
    end: End,
    /// The checkout as it was read, where nothing was changed because as much is known.
    known: Option<Checkout>,
}

/// A provider's word on a charge or a refund: held against its attempt, and settled.
async fn moved(context: &WorkerContext, account: &EventAccount, told: &ToldMoney, trace: Option<&str>) -> Result<Judged, StepError> {
    let Some((checkout, verdict)) = judged(context, account, told).await? else { return Ok(Judged { end: NOT_THERE, known: None }) };
    let end = match carry_out(context, &checkout, verdict, trace).await? {
        Carried::Known => return Ok(Judged { end: End::Now(EventStatus::Done, "known already"), known: Some(checkout) }),
        Carried::Moved => MOVED,
        Carried::Review(why) => End::Now(EventStatus::NeedsReview, why),
        Carried::Later(why) => End::Later(why),
    };
    Ok(Judged { end, known: None })
}

/// Reads what a provider's word is about, and judges. A provider tells of a charge while its answer is on the way to whoever sent it: he settles it, with its fee,
/// and is given a moment for that. `None`: there is no such checkout.
async fn judged(context: &WorkerContext, account: &EventAccount, told: &ToldMoney) -> Result<Option<(Checkout, Verdict)>, StoreError> {
    let mut patience = PATIENCE.into_iter();
    loop {
        let Some(checkout) = context.store.checkout(&told.reference).await? else { return Ok(None) };
        let verdict = judge(&checkout, account, told);
        match patience.next().filter(|_| is_being_answered(&checkout, &verdict, context.clock.now())) {
            Some(moment) => tokio::time::sleep(moment).await,
            None => return Ok(Some((checkout, verdict))),
        }
    }
}

/// What came of a verdict.
pub(crate) enum Carried {
    /// It moved its checkout, and what follows was handed on.
    Moved,
    /// We know as much, or more.
    Known,
    /// A person has to look.
    Review(&'static str),
    /// Not now.
    Later(&'static str),
}

/// Does what a provider's word was judged to be good for.
pub(crate) async fn carry_out(
    context: &WorkerContext,
    checkout: &Checkout,
    verdict: Verdict,
    trace: Option<&str>,
) -> Result<Carried, StepError> {
    let moved = match verdict {
        Verdict::Settle { n, outcome } => settle(context, checkout, n, outcome).await?,
        Verdict::CameBack { n, decline } => context.store.refund_came_back(&checkout.id, n, &decline).await?,
        Verdict::Known => return Ok(Carried::Known),
        Verdict::Review(why) => return Ok(Carried::Review(why)),
        Verdict::Later => return Ok(Carried::Later("another try is under way")),
    };
    // It may have moved since it was read: judged again, it is known, or waits.
    let Some(moved) = moved else { return Ok(Carried::Later("it was known, or something else was under way")) };
    follow::follow(context, moved, trace).await?;
    Ok(Carried::Moved)
}

/// An event tells of a sale and not of what the provider keeps of it: it is asked once, behind the sale, unless that is in the books. Where it does
/// not know yet, an event of its own tells when it does. `known` is the checkout as it was just read.
async fn look_for_fee(
    context: &WorkerContext,
    account: &EventAccount,
    told: &ToldMoney,
    known: Option<Checkout>,
    trace: Option<&str>,
) -> Result<(), StepError> {
    if (told.about, &told.word) != (About::Charge, &Word::Moved) {
        return Ok(());
    }
    let known = match known {
        None => context.store.checkout(&told.reference).await?,
        known => known,
    };
    let Some(checkout) = known else { return Ok(()) };
    let told = ToldFee { reference: told.reference.clone(), key: told.key.clone(), provider_reference: told.provider_reference.clone() };
    fee(context, account, &told, &checkout, trace).await?;
    Ok(())
}

/// A bank's word on what was paid. It names the charge as the provider does, and not as we do.
async fn disputed(context: &WorkerContext, account: &EventAccount, told: &ToldDispute, trace: Option<&str>) -> Result<End, StepError> {
    let charged = context.store.charged_as(account.provider, &told.charge).await?;
    let Some(checkout) = charged.into_iter().find(|checkout| account.owns(checkout)) else {
        return Ok(End::Later("no charge of ours is known by this name yet"));
    };
    let n = match dispute::charge_of(&checkout, account, told) {
        Ok(charge) => charge.n,
        Err(why) => return Ok(End::Now(EventStatus::NeedsReview, why)),
    };
    let Some(moved) = context.store.dispute_told(&checkout.id, n, told).await? else {
        return Ok(End::Now(EventStatus::Done, "known already"));
    };
    follow::follow(context, moved, trace).await?;
    Ok(MOVED)
}

/// A provider knows by now what it keeps of a charge: it is asked, unless that is in the books.
async fn fee(
    context: &WorkerContext,
    account: &EventAccount,
    told: &ToldFee,
    checkout: &Checkout,
    trace: Option<&str>,
) -> Result<End, StepError> {
    let n = match judge_fee(checkout, account, told) {
        FeeVerdict::Ask(n) => n,
        FeeVerdict::Known => return Ok(End::Now(EventStatus::Done, "known already")),
        FeeVerdict::Later => return Ok(End::Later("its charge is not settled yet")),
        FeeVerdict::NotOurs => return Ok(End::Now(EventStatus::Ignored, "it is about nothing of ours")),
    };
    let Some(attempt) = checkout.attempts.iter().find(|attempt| attempt.n == n) else { return Ok(End::Later("it has no such charge")) };
    let provider = context.registry.provider(&attempt.provider, attempt.request.account.as_ref(), &checkout.scope).await?;
    let Some(provider) = provider else { return Ok(End::Later("this account is not set up")) };
    let outcome = provider.look_up(attempt).await;
    if !matches!(&outcome, Outcome::Approved(receipt) if receipt.fee.is_some()) {
        return Ok(End::Later("the provider does not say yet what it keeps"));
    }
    let Some(moved) = settle(context, checkout, n, outcome).await? else { return Ok(End::Now(EventStatus::Done, "known already")) };
    follow::follow(context, moved, trace).await?;
    Ok(MOVED)
}

/// Records what became of an attempt, whoever else is at work on it: it is definite.
async fn settle(context: &WorkerContext, checkout: &Checkout, n: u32, outcome: Outcome) -> Result<Option<Moved>, StoreError> {
    let routing = context.routes.routing(&checkout.scope).await?;
    let checkout = checkout.id.clone();
    let settlement = Settlement {
        checkout,
        n,
        lease_token: NO_LEASE.to_owned(),
        outcome,
        retry_in: retry::RECONCILE.base,
        routing,
        is_last_look: false,
        known: None,
    };
    Ok(match context.store.settle(settlement).await? {
        Settled::Moved(moved) => Some(moved),
        Settled::Already(_) => None,
    })
}
