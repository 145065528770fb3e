//! The way through one account's book: every row against our attempts, and every attempt of ours that is done against the rows.

use super::{
    Form, Office, json,
    progress::Progress,
    seen::Seen,
    tally::{Kind, State, Tally},
};
use crate::exit::Failure;
use boxoffice_common::{
    domain::{
        attempt::{Attempt, AttemptKind},
        checkout::Checkout,
        provider_account::ProviderAccount,
        provider_book::{BookRow, BookStatus},
        provider_event::{About, EventAccount},
        reconcile::{self, Finding, Moment},
        time::Timestamp,
    },
    ports::{
        provider_book::{BookError, ProviderBook},
        store::{AttemptStore, CheckoutStore, DoneAt, DoneAttempt, PageRequest, ProviderEventStore},
    },
    retry,
};
use boxoffice_worker::Mended;
use futures::future::try_join_all;
use std::{sync::Arc, time::Duration};

/// How far a provider's clock and ours may differ: so much more of its book is read, and not compared.
const CLOCKS: Duration = Duration::from_secs(3600);
/// How many of our attempts are read at once.
const PAGE: u32 = 100;
/// How many pages one after the other may have nothing for us on them: a list that leads round in circles is not followed for ever.
const MAX_EMPTY_PAGES: u32 = 1_000;
/// How often a page is asked for.
const MAX_TRIES: u32 = 6;
/// The longest that a provider may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// The time that is looked at: from `since` on, before `until`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Window {
    fn has(self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }
}

/// The walk.
pub(super) struct Walk<'o> {
    office: &'o Office,
    book: Arc<dyn ProviderBook>,
    account: EventAccount,
    ours: DoneAt,
    window: Window,
    moment: Moment,
    form: Form,
    progress: Progress,
    seen: Seen,
    tally: Tally,
}

impl<'o> Walk<'o> {
    pub(super) fn new(
        office: &'o Office,
        book: Arc<dyn ProviderBook>,
        account: &ProviderAccount,
        window: Window,
        moment: Moment,
        form: Form,
    ) -> Self {
        let ours = DoneAt {
            provider: account.provider.as_str().to_owned(),
            account: account.id.clone(),
            scope: account.scope.clone(),
            since: window.since,
            until: window.until.min(moment.now.before(moment.grace)),
        };
        let (seen, tally, progress) = (Seen::default(), Tally::default(), Progress::new(account.id.to_string()));
        Self { office, book, account: EventAccount::of(account), ours, window, moment, form, progress, seen, tally }
    }

    /// Goes all the way; what it came to, and what kept it from its end.
    pub(super) async fn run(mut self) -> (Tally, Result<(), Failure>) {
        let gone = async {
            self.list(About::Charge).await?;
            self.list(About::Refund).await?;
            self.ours().await
        };
        let gone = gone.await;
        self.progress.end();
        (self.tally, gone)
    }

    /// Every row of one list, from the newest back to the window's beginning.
    async fn list(&mut self, about: About) -> Result<(), Failure> {
        let what = match about {
            About::Charge => "payments",
            About::Refund => "refunds",
        };
        let from = self.window.since.before(CLOCKS);
        self.progress.begin(what, self.moment.now.since(from));
        let (book, mut after, mut empty) = (Arc::clone(&self.book), None::<String>, 0);
        loop {
            let page = patiently(&self.progress, || match about {
                About::Charge => book.payments(from, after.as_deref()),
                About::Refund => book.refunds(from, after.as_deref()),
            })
            .await?;
            self.page(about, &page.rows).await?;
            empty = if page.rows.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY_PAGES {
                return Err(Failure::Setup("the provider's list goes on and on, and shows nothing".to_owned()));
            }
            if let Some(last) = page.rows.last() {
                let done = self.moment.now.since(last.created_at);
                self.progress.at(what, done, last.created_at, self.seen.rows());
            }
            match page.next {
                None => return Ok(()),
                Some(next) if after.as_ref() == Some(&next) => {
                    return Err(Failure::Setup("the provider's list leads back to the same page".to_owned()));
                }
                Some(next) => after = Some(next),
            }
        }
    }

    async fn page(&mut self, about: About, rows: &[BookRow]) -> Result<(), Failure> {
        for row in rows {
            self.seen.add(row)?;
        }
        let rows: Vec<&BookRow> = rows.iter().filter(|row| self.window.has(row.created_at)).collect();
        let checkouts = try_join_all(rows.iter().map(|row| self.checkout_of(row))).await?;
        for (row, checkout) in rows.into_iter().zip(checkouts) {
            self.tally.row(about);
            self.row(about, row, checkout).await?;
        }
        Ok(())
    }

    async fn checkout_of(&self, row: &BookRow) -> Result<Option<Checkout>, Failure> {
        match reconcile::reference_of(row, &self.account) {
            Some(id) => Ok(self.office.store.checkout(&id).await?),
            None => Ok(None),
        }
    }

    async fn row(&mut self, about: About, row: &BookRow, checkout: Option<Checkout>) -> Result<(), Failure> {
        let compared = reconcile::compare(row, about, &self.account, checkout.as_ref(), self.moment);
        if !compared.is_ours {
            return self.somebody_elses(about, row).await;
        }
        // Mended it is the same attempt.
        let n = compared.attempt.map(|attempt| attempt.n);
        let (checkout, found) = match compared.finding {
            None => (checkout, None),
            Some(finding) => {
                let (checkout, finding, state) = self.mended(about, row, checkout, finding).await?;
                (checkout, Some((finding, state)))
            }
        };
        self.count(about, row, checkout.as_ref().zip(n));
        found.map_or(Ok(()), |(finding, state)| self.found(finding, state))
    }

    /// Programs are told at once, and of all; for people it is kept until the account was gone through.
    fn found(&mut self, finding: Finding, state: State) -> Result<(), Failure> {
        if self.form == Form::Json {
            json::difference(&self.account, &finding, state)?;
        }
        self.tally.found(finding, state);
        Ok(())
    }

    /// What moved by a row: as the provider has it, and as we have it by now, by an attempt of a checkout of ours.
    fn count(&mut self, about: About, row: &BookRow, ours: Option<(&Checkout, u32)>) {
        if row.status == BookStatus::Moved {
            self.tally.theirs(about.into(), row.money);
            self.tally.theirs(Kind::Fees, row.fee.map(|fee| (fee.amount, fee.currency)));
        }
        let Some((checkout, n)) = ours else { return };
        if let Some(attempt) = checkout.attempts.iter().find(|attempt| attempt.n == n) {
            self.count_ours(about, checkout, attempt);
        }
    }

    fn count_ours(&mut self, about: About, checkout: &Checkout, attempt: &Attempt) {
        let moved = reconcile::moved_by(checkout, attempt);
        let fee = moved.filter(|_| about == About::Charge).and_then(|_| checkout.fee_of(attempt));
        self.tally.ours(about.into(), moved);
        self.tally.ours(Kind::Fees, fee.map(|fee| (fee.amount, fee.currency)));
    }

    /// A row without a reference of ours: perhaps somebody gave back a payment of ours at the provider itself.
    async fn somebody_elses(&mut self, about: About, row: &BookRow) -> Result<(), Failure> {
        if let (About::Refund, None, Some(payment)) = (about, &row.key, &row.payment) {
            let charged = self.office.store.charged_as(self.account.provider, payment).await?;
            if let Some(finding) = reconcile::unasked(row, &self.account, &charged) {
                self.tally.theirs(Kind::Refunded, row.money);
                return self.found(finding, State::Left(None));
            }
        }
        self.tally.others += 1;
        Ok(())
    }

    /// Mends a finding, where that was asked for and can be done; the checkout as it stands then. What differs behind it is what is left.
    async fn mended(
        &self,
        about: About,
        row: &BookRow,
        checkout: Option<Checkout>,
        finding: Finding,
    ) -> Result<(Option<Checkout>, Finding, State), Failure> {
        if finding.is_under_way {
            return Ok((checkout, finding, State::UnderWay));
        }
        let (Some(mender), Some(id), Some(n), true) = (&self.office.mender, &finding.checkout, finding.n, finding.can_be_mended) else {
            return Ok((checkout, finding, State::Left(None)));
        };
        let not = match boxoffice_worker::mend(mender, &self.account, id, n).await {
            Ok(Mended::Not(why)) => return Ok((checkout, finding, State::Left(Some(why)))),
            Ok(Mended::Moved | Mended::Agrees) => None,
            // It may be settled all the same, and its follow-ups due.
            Err(error) => {
                self.progress.says(&format!("{id} attempt {n}: {error}"));
                Some("it could not be settled, or not be followed up")
            }
        };
        let now = self.office.store.checkout(id).await?;
        let left = reconcile::compare(row, about, &self.account, now.as_ref(), self.moment).finding;
        Ok(match left {
            None => (now, finding, State::Mended),
            Some(left) if left.is_under_way => (now, left, State::UnderWay),
            Some(left) => (now, left, State::Left(not)),
        })
    }

    /// Every charge and refund of ours that is done and was not seen.
    async fn ours(&mut self) -> Result<(), Failure> {
        let whole = self.ours.until.since(self.ours.since);
        self.progress.begin("our own attempts", whole);
        let (mut request, mut read) = (PageRequest { limit: PAGE, after: None }, 0);
        loop {
            let page = self.office.store.done_at(&self.ours, &request).await?;
            read += page.data.len();
            if let Some(last) = page.data.last() {
                let at = last.attempt.created_at;
                self.progress.at("our own attempts", at.since(self.ours.since), at, read);
            }
            for done in page.data {
                if !self.seen.has(&done.attempt) {
                    self.unseen(done).await?;
                }
            }
            match page.next_cursor {
                Some(next) => request.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// An attempt that the list does not have: the provider is asked for it by its own name. It may have been made at another time than ours
    /// was recorded.
    async fn unseen(&mut self, DoneAttempt { checkout, attempt }: DoneAttempt) -> Result<(), Failure> {
        let Some(checkout) = self.office.store.checkout(&checkout).await? else { return Ok(()) };
        if reconcile::moved_by(&checkout, &attempt).is_none() {
            return Ok(());
        }
        let (about, row) = self.asked_for(&attempt).await?;
        let Some(row) = row else {
            self.count_ours(about, &checkout, &attempt);
            let finding = reconcile::not_in_book(&checkout.id, &attempt, self.moment);
            let state = if finding.is_under_way { State::UnderWay } else { State::Left(None) };
            return self.found(finding, state);
        };
        // Of another time, its money is none of this window's: neither theirs nor ours is counted.
        if let Some(finding) = reconcile::compare(&row, about, &self.account, Some(&checkout), self.moment).finding {
            let (_, finding, state) = self.mended(about, &row, Some(checkout), finding).await?;
            return self.found(finding, state);
        }
        Ok(())
    }

    async fn asked_for(&self, attempt: &Attempt) -> Result<(About, Option<BookRow>), Failure> {
        let (book, id) = (&self.book, attempt.provider_reference.as_deref());
        if attempt.request.kind == AttemptKind::Refund {
            let row = match (attempt.request.target.as_deref(), id) {
                (Some(payment), Some(id)) => patiently(&self.progress, || book.refund(payment, id)).await?,
                _ => None,
            };
            return Ok((About::Refund, row));
        }
        let row = match id {
            Some(id) => patiently(&self.progress, || book.payment(id)).await?,
            None => None,
        };
        Ok((About::Charge, row))
    }
}

/// Asks until there is an answer, as often as is decent, and waits as long as the provider wants.
async fn patiently<T, F>(progress: &Progress, mut ask: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, BookError>>,
{
    let mut tries = 0;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        tries += 1;
        if tries >= MAX_TRIES || error.retry_after.is_some_and(|wait| wait > LONGEST_WAIT) {
            return Err(error.into());
        }
        let wait = retry::RECONCILE.wait(tries, error.retry_after);
        progress.says(&format!("{}; asked again in {:.1} s", error.cause, wait.as_secs_f64()));
        tokio::time::sleep(wait).await;
    }
}
