//! `GET` and `POST /pay/{link}`.

use super::{
    drawing::{Drawing, see_other},
    form::{Bad, BadCard, Intent, Refused, Submitted, is_from_here},
    methods::{THERE, test_cards},
    offers::{CardWay, Offers},
    redirect, saved,
    standing::Standing,
    trouble::Trouble,
};
use crate::{
    card_guard::Held,
    client_address::ClientAddress,
    context::ApiContext,
    trace::TraceParent,
    waiting::{BEAT, Interest, Ticket},
};
use axum::{
    Extension, Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        hosted::{self, Hosted, PaidWith, Pay, UiMode},
        network::Client,
        state::Status,
    },
    ports::{
        card_tries::CardTry,
        store::{CancelResult, Moved, Paid, StoreError},
    },
};
use http::HeaderMap;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// How long the answer to a payment waits for what comes of it: most are quick, and need no page in between.
const PATIENCE: Duration = BEAT;
/// How long a page that says that something is under way waits for news before it is sent again.
const NEWS: Duration = Duration::from_secs(10);

/// How the customer comes to the page: nothing for whoever opens the link.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Visit {
    /// What was done before. An end then leads on to the shop.
    #[serde(default)]
    pub(super) after: Option<After>,
    /// Whether to wait a moment for news.
    #[serde(default)]
    wait: Option<u8>,
    /// Whether the customer turned back on a provider's page: no answer is on its way then, and there is nothing to wait for.
    #[serde(default)]
    turned_back: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum After {
    /// A payment, or a cancel, was submitted.
    Submit,
    /// The customer comes back from the bank.
    Bank,
}

impl Visit {
    /// Who turned back is shown how it stands, and every way on.
    fn as_it_is(self) -> Self {
        match self.turned_back {
            Some(_) => Self { after: Some(After::Submit), wait: None, ..self },
            None => self,
        }
    }

    /// Whether the customer has done something elsewhere, or is about to, and waits here for what comes of it.
    fn waits_for_the_provider(self, standing: &Standing<'_>) -> bool {
        match standing {
            Standing::Phone(_) | Standing::Elsewhere(_) => true,
            Standing::Bank(_) => self.after == Some(After::Bank),
            Standing::Open
            | Standing::Behind
            | Standing::Working
            | Standing::TakingBack
            | Standing::Closing(_)
            | Standing::Review
            | Standing::Ended => false,
        }
    }
}

/// A checkout that somebody has the link to.
struct Opened {
    checkout: Arc<Checkout>,
    hosted: Hosted,
    link: String,
}

/// Looks the link up: one read by the checkout's id. Whatever is wrong with it, the answer is the same.
async fn open(ctx: &ApiContext, link: String) -> Result<Opened, Trouble> {
    let Some((id, token)) = hosted::read_link(&link) else { return Err(Trouble::Missing) };
    let Some(checkout) = ctx.store().checkout(&id).await? else { return Err(Trouble::Missing) };
    opened(Arc::new(checkout), token, &link)
}

/// The same for a form that comes back: what it is held against never changes, and was read when it was shown, if that was here.
async fn reopen(ctx: &ApiContext, link: String) -> Result<Opened, Trouble> {
    let shown = hosted::read_link(&link).and_then(|(id, token)| Some((ctx.pages().form_of(&id)?, token)));
    match shown {
        Some((checkout, token)) => opened(checkout, token, &link),
        None => open(ctx, link).await,
    }
}

fn opened(checkout: Arc<Checkout>, token: &str, link: &str) -> Result<Opened, Trouble> {
    let hosted = checkout.order.hosted().map(|(_, hosted)| hosted.clone()).filter(|hosted| hosted.is_opened_by(token));
    let Some(hosted) = hosted else { return Err(Trouble::Missing) };
    Ok(Opened { checkout, hosted, link: link.to_owned() })
}

/// `GET /pay/{link}`: the form, or how it stands.
pub(super) async fn show(
    State(ctx): State<ApiContext>,
    Path(link): Path<String>,
    Extension(trace): Extension<TraceParent>,
    visit: Result<Query<Visit>, QueryRejection>,
) -> Result<Response, Trouble> {
    // Whatever a link was adorned with on its way here, it leads to the page.
    let visit = visit.map(|Query(visit)| visit).unwrap_or_default().as_it_is();
    let mut opened = open(&ctx, link).await?;
    if visit.wait.is_some() {
        opened.ask_the_provider(&ctx, visit, &trace).await?;
        opened
            .wait(&ctx, NEWS, |checkout| {
                let standing = Standing::of(checkout);
                !(standing.moves_by_itself() || visit.waits_for_the_provider(&standing))
            })
            .await?;
    }
    if Standing::of(&opened.checkout) == Standing::Open {
        ctx.pages().shown(&opened.checkout);
    }
    opened.drawing(&ctx).await?.show(visit).await
}

/// `POST /pay/{link}`: pays or cancels, and sends the browser on to where loading again does nothing twice.
pub(super) async fn submit(
    State(ctx): State<ApiContext>,
    Path(link): Path<String>,
    Extension(trace): Extension<TraceParent>,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    form: Result<Form<Submitted>, FormRejection>,
) -> Result<Response, Trouble> {
    let mut opened = reopen(&ctx, link).await?;
    let refused = |refused: Refused| Trouble::Form(refused, opened.link.clone());
    if !is_from_here(&headers, &opened.hosted.origin) {
        return Err(refused(Refused::FromElsewhere));
    }
    let Form(form) = form.map_err(|rejection| refused(rejection.into()))?;
    form.check(&opened.hosted, &opened.checkout.id).map_err(refused)?;
    let end = match form.intent {
        Intent::Pay => {
            let offers = Offers::of(&ctx, &opened.checkout).await?;
            let with = match opened.chosen(&ctx, &form, &offers).await? {
                Ok(with) => with,
                Err(bad) => {
                    opened.look(&ctx).await?;
                    return opened.drawing(&ctx).await?.refuse(bad).await;
                }
            };
            let card_try = match opened.admit(&ctx, client, form.n, &with).await? {
                Ok(card_try) => card_try,
                Err(held) => {
                    opened.look(&ctx).await?;
                    return opened.drawing(&ctx).await?.hold(held).await;
                }
            };
            opened.pay(&ctx, form.n, with, offers, card_try, &trace).await?
        }
        Intent::Another => opened.take_back(&ctx, form.n, &trace).await?,
        Intent::Cancel => opened.cancel(&ctx, &trace).await?,
    };
    Ok(opened.leave(&ctx, end).await)
}

impl Opened {
    /// What the form says that it is to be paid with, if the page offers it.
    async fn chosen(&self, ctx: &ApiContext, form: &Submitted, offers: &Offers) -> Result<Result<PaidWith, Bad>, Trouble> {
        if let Some(kind) = form.method.push() {
            if !offers.push {
                return Ok(Err(Bad::Method));
            }
            return Ok(form.push(kind, &self.hosted.options).map(PaidWith::Push));
        }
        if self.hosted.options.card.disable {
            return Ok(Err(Bad::Method));
        }
        let token = match saved::chosen(ctx, &self.checkout, &self.hosted, offers, &form.card).await.transpose()? {
            Some(token) => token.ok_or(BadCard::Gone),
            None => match offers.card {
                CardWay::Test => form.card(&test_cards()),
                CardWay::ThereAt(_) if form.card == THERE => return Ok(Ok(PaidWith::ProviderPage)),
                CardWay::ThereAt(_) => Err(BadCard::None),
                CardWay::None => return Ok(Err(Bad::Method)),
            },
        };
        Ok(token.map(PaidWith::Card).map_err(Bad::Card))
    }

    /// Whether it may be sent, if it is a card's. `Ok(None)`: nobody minds.
    async fn admit(&self, ctx: &ApiContext, client: Client, n: u32, with: &PaidWith) -> Result<Result<Option<CardTry>, Held>, Trouble> {
        let is_card = match with {
            PaidWith::Card(_) | PaidWith::ProviderPage => true,
            PaidWith::Push(_) => false,
        };
        let Some(guard) = ctx.card_guard().filter(|_| is_card) else { return Ok(Ok(None)) };
        Ok(guard.admit(ctx, &self.checkout.scope, client, &self.checkout.id, n).await?.map(Some))
    }

    /// How it has ended by that, as far as it was heard.
    async fn pay(
        &self,
        ctx: &ApiContext,
        n: u32,
        with: PaidWith,
        offers: Offers,
        card_try: Option<CardTry>,
        trace: &TraceParent,
    ) -> Result<Option<Status>, Trouble> {
        let ticket = self.ticket(ctx);
        let pay = Pay { checkout: self.checkout.id.clone(), n, with, routing: offers.routing, known: Some(Arc::clone(&self.checkout)) };
        let paid = ctx.store().pay(pay).await?;
        let watched = ctx.card_guard().zip(card_try);
        Ok(match paid {
            Paid::Submitted(moved) => {
                if let Some((guard, card_try)) = watched {
                    guard.follow(ctx, self.checkout.id.clone(), n, card_try);
                }
                hand_on(ctx, moved, ticket, trace).await
            }
            Paid::Unchanged => {
                if let Some((guard, card_try)) = watched {
                    guard.drop(&card_try).await;
                }
                None
            }
        })
    }

    /// The page opens again when the provider has taken its question back, which most do at once.
    async fn take_back(&self, ctx: &ApiContext, n: u32, trace: &TraceParent) -> Result<Option<Status>, Trouble> {
        let ticket = self.ticket(ctx);
        Ok(match ctx.store().take_back(&self.checkout.id, n).await? {
            Some(moved) => hand_on(ctx, moved, ticket, trace).await,
            None => None,
        })
    }

    async fn cancel(&self, ctx: &ApiContext, trace: &TraceParent) -> Result<Option<Status>, Trouble> {
        let (checkout, moved) = match ctx.store().cancel(&self.checkout.scope, &self.checkout.id).await? {
            CancelResult::Canceled(checkout, moved) | CancelResult::Closing(checkout, moved) => (checkout, moved),
            CancelResult::NotCancelable(checkout) => (checkout, None),
            CancelResult::Missing => return Ok(None),
        };
        if let Some(moved) = moved {
            ctx.after(moved, trace.as_str()).await;
        }
        // Where a newer one is paid the shop is not told of an end: the page says it.
        Ok(Some(checkout.status).filter(|_| !redirect::leads_nowhere(&checkout)))
    }

    /// Sends the browser on: back to the shop when it has ended, as the page would; else to the page, which says how it stands, and can be
    /// loaded again without doing anything twice.
    async fn leave(&self, ctx: &ApiContext, end: Option<Status>) -> Response {
        // A frame stays where it is: see `Drawing::show`.
        if end.is_some_and(Status::is_terminal) && self.hosted.ui_mode == UiMode::Hosted {
            match self.way_back(ctx, end).await {
                Ok(Some(shop)) => return see_other(&shop),
                Ok(None) => {}
                // What was submitted is submitted: the page will say how it stands, and this form is not to be sent again.
                Err(error) => tracing::warn!(%error, "the way back to the shop is left to the page"),
            }
        }
        see_other(&format!("{}?after=submit", self.link))
    }

    /// What we sign is what the store says. What was announced within this process was committed before; what came from elsewhere is looked
    /// at first, and so is why it was not paid.
    async fn way_back(&self, ctx: &ApiContext, heard: Option<Status>) -> Result<Option<String>, StoreError> {
        match heard {
            Some(Status::Succeeded) if ctx.announcer().is_our_own() => redirect::back(ctx, &self.checkout, Status::Succeeded).await,
            _ => match ctx.store().checkout(&self.checkout.id).await? {
                Some(now) => redirect::back(ctx, &now, now.status).await,
                None => Ok(None),
            },
        }
    }

    /// To be taken before anything is submitted: what is announced from here on wakes. `None`: too many wait already.
    fn ticket(&self, ctx: &ApiContext) -> Option<Ticket> {
        ctx.waiters().register_guest(&self.checkout.id, Interest::Settled)
    }

    /// While the customer waits here for the answer, a worker looks for it now, and not only at its next turn.
    async fn ask_the_provider(&self, ctx: &ApiContext, visit: Visit, trace: &TraceParent) -> Result<(), Trouble> {
        if visit.waits_for_the_provider(&Standing::of(&self.checkout))
            && let Some(moved) = ctx.store().look_now(&self.checkout.id).await?
        {
            ctx.after(moved, trace.as_str()).await;
        }
        Ok(())
    }

    /// Looks again until `is_news`, or for this long.
    async fn wait(&mut self, ctx: &ApiContext, patience: Duration, is_news: impl Fn(&Checkout) -> bool) -> Result<(), Trouble> {
        if is_news(&self.checkout) {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        // When too many wait already, the page is shown as it is, and asks again.
        let Some(ticket) = ctx.waiters().register_guest(&self.checkout.id, Interest::Any) else { return Ok(()) };
        loop {
            self.look(ctx).await?;
            if is_news(&self.checkout) {
                return Ok(());
            }
            let woken = ctx.shutdown().run_until_cancelled(ticket.woken());
            if !matches!(timeout_at(deadline, woken).await, Ok(Some(()))) {
                return Ok(());
            }
        }
    }

    async fn look(&mut self, ctx: &ApiContext) -> Result<(), Trouble> {
        if let Some(checkout) = ctx.store().checkout(&self.checkout.id).await? {
            self.checkout = Arc::new(checkout);
        }
        Ok(())
    }

    /// Only a page that is shown needs to know in whose name.
    async fn drawing<'o>(&'o self, ctx: &'o ApiContext) -> Result<Drawing<'o>, Trouble> {
        let scope = &self.checkout.scope;
        let settings = match ctx.pages().settings_of(scope) {
            Some(settings) => settings,
            None => {
                let asked = Instant::now();
                ctx.pages().read(scope, asked, ctx.store().settings(scope).await?.settings)
            }
        };
        Ok(Drawing { ctx, checkout: &self.checkout, hosted: &self.hosted, link: &self.link, settings })
    }
}

/// What follows is for others; a moment is waited for what comes of it. Answers how it has ended, if that was heard: nothing needs to be
/// looked at here.
async fn hand_on(ctx: &ApiContext, moved: Moved, ticket: Option<Ticket>, trace: &TraceParent) -> Option<Status> {
    ctx.after(moved, trace.as_str()).await;
    let ticket = ticket?;
    let _ = timeout(PATIENCE, ctx.shutdown().run_until_cancelled(ticket.woken())).await;
    ticket.heard_end()
}
