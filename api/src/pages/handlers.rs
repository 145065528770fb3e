//! `GET` and `POST /pay/{link}`.

use super::{
    form::{Bad, BadCard, Intent, Refused, Submitted, is_from_here},
    headers::Frame,
    methods::{Methods, test_cards},
    redirect, saved,
    standing::Standing,
    templates::{Bank, BankPage, Bill, EndPage, FormPage, FormParts, PhonePage, ProblemPage, Shop, WaitPage},
    words::{Deadline, money},
};
use crate::{
    context::ApiContext,
    problem::retry_seconds,
    trace::TraceParent,
    waiting::{Interest, Ticket},
};
use askama::Template;
use axum::{
    Extension, Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        attempt::Attempt,
        checkout::{Checkout, Closing},
        hosted::{self, Hosted, PaidWith, Pay, UiMode},
        push::Phone,
        settings::Settings,
        state::Status,
    },
    ports::store::{CancelResult, Paid, StoreError},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// Where payments go. As in the worker: routing between providers comes with the second one.
const PROVIDER: &str = "sandbox";
/// How long the answer to a payment waits for what comes of it: most are quick, and need no page in between.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a page that says that something is under way waits for news before it is sent again.
const NEWS: Duration = Duration::from_secs(10);
/// After so long a browser asks for the page again that shows that something is under way.
const BREATH: Duration = Duration::from_secs(1);
/// The same while the customer is asked on the phone, and may want to call it off here.
const LONG_BREATH: Duration = Duration::from_secs(3);
/// When the store does not answer.
const LATER: Duration = Duration::from_secs(2);

/// How the customer comes to the page: nothing for whoever opens the link.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Visit {
    /// What was done before. An end then leads on to the shop.
    #[serde(default)]
    after: Option<After>,
    /// Whether to wait a moment for news.
    #[serde(default)]
    wait: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum After {
    /// A payment, or a cancel, was submitted.
    Submit,
    /// The customer comes back from the bank.
    Bank,
}

impl Visit {
    /// Whether the customer has done something elsewhere, or is about to, and waits here for what comes of it.
    fn waits_for_the_provider(self, standing: &Standing<'_>) -> bool {
        match standing {
            Standing::Phone(_) => true,
            Standing::Bank(_) => self.after == Some(After::Bank),
            Standing::Open | Standing::Working | Standing::Closing(_) | Standing::Review | Standing::Ended => false,
        }
    }
}

/// A page that cannot be shown as asked.
pub(super) enum Trouble {
    /// No such link.
    Missing,
    /// The form cannot be taken; the link may be tried again.
    Form(Refused, String),
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A checkout that somebody has the link to.
struct Opened {
    checkout: Checkout,
    hosted: Hosted,
    settings: Settings,
    link: String,
}

/// Looks the link up: one read by the checkout's id. Whatever is wrong with it, the answer is the same.
async fn open(ctx: &ApiContext, link: String) -> Result<Opened, Trouble> {
    let Some((id, token)) = hosted::read_link(&link) else { return Err(Trouble::Missing) };
    let Some(checkout) = ctx.store().checkout(&id).await? else { return Err(Trouble::Missing) };
    let hosted = checkout.order.hosted().map(|(_, hosted)| hosted.clone()).filter(|hosted| hosted.is_opened_by(token));
    let Some(hosted) = hosted else { return Err(Trouble::Missing) };
    let settings = ctx.store().settings(&checkout.scope).await?.settings;
    Ok(Opened { checkout, hosted, settings, link })
}

/// `GET /pay/{link}`: the form, or how it stands.
pub(super) async fn show(
    State(ctx): State<ApiContext>,
    Path(link): Path<String>,
    Extension(trace): Extension<TraceParent>,
    visit: Result<Query<Visit>, QueryRejection>,
) -> Result<Response, Trouble> {
    // Whatever a link was adorned with on its way here, it leads to the page.
    let visit = visit.map(|Query(visit)| visit).unwrap_or_default();
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
    opened.show(&ctx, visit).await
}

/// `POST /pay/{link}`: pays or cancels, and sends the browser to a page that can be loaded again without doing it twice.
pub(super) async fn submit(
    State(ctx): State<ApiContext>,
    Path(link): Path<String>,
    Extension(trace): Extension<TraceParent>,
    headers: HeaderMap,
    form: Result<Form<Submitted>, FormRejection>,
) -> Result<Response, Trouble> {
    let mut opened = open(&ctx, link).await?;
    let refused = |refused: Refused| Trouble::Form(refused, opened.link.clone());
    if !is_from_here(&headers, &opened.hosted.origin) {
        return Err(refused(Refused::FromElsewhere));
    }
    let Form(form) = form.map_err(|rejection| refused(rejection.into()))?;
    form.check(&opened.hosted, &opened.checkout.id).map_err(refused)?;
    match form.intent {
        Intent::Pay => {
            let with = match opened.chosen(&ctx, &form).await? {
                Ok(with) => with,
                Err(bad) => return opened.refuse(&ctx, bad).await,
            };
            opened.pay(&ctx, form.n, with, &trace).await?;
        }
        Intent::Cancel => {
            if let CancelResult::Canceled(_, Some(moved)) | CancelResult::Closing(_, Some(moved)) =
                ctx.store().cancel(&opened.checkout.scope, &opened.checkout.id).await?
            {
                ctx.after(moved, trace.as_str()).await;
            }
        }
    }
    Ok(see_other(&format!("{}?after=submit", opened.link)))
}

impl Opened {
    /// What the form says that it is to be paid with, if the page offers it.
    async fn chosen(&self, ctx: &ApiContext, form: &Submitted) -> Result<Result<PaidWith, Bad>, Trouble> {
        if let Some(kind) = form.method.push() {
            return Ok(form.push(kind, &self.hosted.options).map(PaidWith::Push));
        }
        if self.hosted.options.card.disable {
            return Ok(Err(Bad::Method));
        }
        let token = match saved::chosen(ctx, &self.checkout, &self.hosted, &form.card).await.transpose()? {
            Some(token) => token.ok_or(BadCard::Gone),
            None => form.card(&test_cards()),
        };
        Ok(token.map(PaidWith::Card).map_err(Bad::Card))
    }

    async fn pay(&mut self, ctx: &ApiContext, n: u32, with: PaidWith, trace: &TraceParent) -> Result<(), Trouble> {
        // Before it is submitted: what is announced from here on wakes.
        let ticket = ctx.waiters().register_guest(&self.checkout.id, Interest::Settled);
        let pay = Pay { checkout: self.checkout.id.clone(), n, with, provider: PROVIDER.to_owned() };
        if let Paid::Submitted(moved) = ctx.store().pay(pay).await? {
            ctx.after(moved, trace.as_str()).await;
            self.wait_with(ctx, ticket, PATIENCE, |checkout| !Standing::of(checkout).moves_by_itself()).await?;
        }
        Ok(())
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
        let ticket = ctx.waiters().register_guest(&self.checkout.id, Interest::Any);
        self.wait_with(ctx, ticket, patience, is_news).await
    }

    async fn wait_with(
        &mut self,
        ctx: &ApiContext,
        ticket: Option<Ticket>,
        patience: Duration,
        is_news: impl Fn(&Checkout) -> bool,
    ) -> Result<(), Trouble> {
        let deadline = Instant::now() + patience;
        // When too many wait already, the page is shown as it is, and asks again.
        let Some(ticket) = ticket else { return Ok(()) };
        loop {
            if let Some(checkout) = ctx.store().checkout(&self.checkout.id).await? {
                self.checkout = checkout;
            }
            if is_news(&self.checkout) {
                return Ok(());
            }
            let woken = ctx.shutdown().run_until_cancelled(ticket.woken());
            if !matches!(timeout_at(deadline, woken).await, Ok(Some(()))) {
                return Ok(());
            }
        }
    }

    fn shop(&self) -> Shop {
        Shop::of(&self.checkout, &self.hosted, &self.settings)
    }

    fn deadline(&self, ctx: &ApiContext) -> Deadline {
        Deadline::new(self.checkout.expires_at, ctx.clock().now(), &self.settings.time_zone)
    }

    fn form(&self) -> FormParts {
        FormParts::of(&self.checkout, &self.hosted, &self.link)
    }

    fn frame(&self) -> Frame {
        Frame::of(&self.checkout.order, &self.settings)
    }

    /// The form is shown for as long as it may be sent, and then says so by itself.
    fn until_the_deadline(&self, deadline: &Deadline) -> Option<(Duration, String)> {
        Some((Duration::from_secs(deadline.seconds) + LATER, format!("{}?after=submit", self.link)))
    }

    async fn show(&self, ctx: &ApiContext, visit: Visit) -> Result<Response, Trouble> {
        let (shop, bill) = (self.shop(), Bill::of(&self.checkout));
        let again = |after: &str| format!("{}?after={after}&wait=1", self.link);
        let waiting = |heading: &str, words: &str, bank, after: &str| {
            let (heading, words) = (heading.to_owned(), words.to_owned());
            let page = WaitPage { shop: self.shop(), bill: Bill::of(&self.checkout), heading, words, bank, again: again(after) };
            page_of(StatusCode::OK, &self.frame(), &page, Some((BREATH, again(after))))
        };
        match Standing::of(&self.checkout) {
            Standing::Open if ctx.clock().now() >= self.checkout.expires_at => {
                Ok(waiting("The time to pay is over", "A moment, please: the order is being closed.", None, "submit"))
            }
            Standing::Open => {
                let deadline = self.deadline(ctx);
                let again = self.until_the_deadline(&deadline);
                Ok(page_of(StatusCode::OK, &self.frame(), &self.form_page(ctx, deadline, None).await?, again))
            }
            Standing::Bank(attempt) => {
                let bank = self.bank(attempt);
                if visit.after == Some(After::Bank) {
                    let words = "We are waiting for the answer. This may take half a minute.";
                    return Ok(waiting(&format!("Checking with {}…", bank.name), words, Some(bank), "bank"));
                }
                let deadline = self.deadline(ctx);
                let until = self.until_the_deadline(&deadline);
                let page = BankPage { shop, bill, deadline, form: self.form(), bank, again: again("bank") };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, until))
            }
            Standing::Phone(attempt) => {
                let push = attempt.request.push.as_ref();
                let provider = push.map(|push| push.provider_name().to_owned()).unwrap_or_default();
                let phone = push.and_then(|push| push.phone.as_ref()).map(Phone::masked);
                let (deadline, form, again) = (self.deadline(ctx), self.form(), again("submit"));
                let page = PhonePage { shop, bill, deadline, form, provider, phone, again: again.clone() };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, Some((LONG_BREATH, again))))
            }
            Standing::Working => {
                Ok(waiting("Your payment is under way…", "Please do not close this page, and do not pay again.", None, "submit"))
            }
            Standing::Closing(Closing::Expire) => {
                let words = "We are asking the payment service to call the payment off. What went through before counts.";
                Ok(waiting("The time to pay is over", words, None, "submit"))
            }
            Standing::Closing(Closing::Cancel) => {
                Ok(waiting("The order is being canceled…", "We are waiting for the payment service to confirm it.", None, "submit"))
            }
            Standing::Review => Ok(self.ended(None)),
            Standing::Ended => {
                let back = redirect::back(ctx, &self.checkout).await?;
                match back {
                    // A frame stays where it is: the shop's page is around it already, and what leads out of it is a link.
                    Some(url) if visit.after.is_some() && self.hosted.ui_mode == UiMode::Hosted => Ok(see_other(&url)),
                    back => Ok(self.ended(back)),
                }
            }
        }
    }

    fn ended(&self, back: Option<String>) -> Response {
        let paid = money(self.checkout.order.currency, self.checkout.order.totals.total);
        let (kind, mark, heading, words) = match self.checkout.status {
            Status::Succeeded => ("paid", "✓", "Thank you", format!("You have paid {paid}. The order is complete.")),
            Status::Canceled => ("", "×", "The order was canceled", "Nothing was charged.".to_owned()),
            Status::Expired => (
                "",
                "!",
                "The time to pay is over",
                "Nothing was charged, and the places were given back. Start again at the shop.".to_owned(),
            ),
            Status::Failed => (
                "bad",
                "!",
                "The order could not be completed",
                "It was not paid, and no further try is possible. Start again at the shop.".to_owned(),
            ),
            _ => (
                "",
                "…",
                "We are looking into your payment",
                "Whether it went through is not clear yet. A person looks at it; please do not pay again.".to_owned(),
            ),
        };
        let checkout = self.checkout.id.to_string();
        let page = EndPage { shop: self.shop(), bill: Bill::of(&self.checkout), kind, mark, heading, words, back, checkout };
        page_of(StatusCode::OK, &self.frame(), &page, None)
    }

    async fn form_page(&self, ctx: &ApiContext, deadline: Deadline, bad: Option<Bad>) -> Result<FormPage, Trouble> {
        let saved = saved::of(ctx, &self.checkout, &self.hosted).await?;
        let methods = Methods::of(&self.checkout, &self.hosted, saved, bad);
        Ok(FormPage::new(&self.checkout, self.shop(), deadline, self.form(), methods, bad))
    }

    async fn refuse(&self, ctx: &ApiContext, bad: Bad) -> Result<Response, Trouble> {
        if Standing::of(&self.checkout) != Standing::Open || ctx.clock().now() >= self.checkout.expires_at {
            return Ok(see_other(&format!("{}?after=submit", self.link)));
        }
        let page = self.form_page(ctx, self.deadline(ctx), Some(bad)).await?;
        Ok(page_of(StatusCode::UNPROCESSABLE_ENTITY, &self.frame(), &page, None))
    }

    /// The page of the bank or wallet that asks, told where the customer comes back to.
    fn bank(&self, attempt: &Attempt) -> Bank {
        let web = |url: &str| Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let here = format!("{}?after=bank&wait=1", self.hosted.url(&self.checkout.id));
        let url = attempt.action_url.as_deref().and_then(web).map(|mut url| {
            url.query_pairs_mut().append_pair("return_to", &here);
            url.into()
        });
        let name = attempt.request.push.as_ref().map_or("your bank", |push| push.provider_name()).to_owned();
        Bank { name, url: url.unwrap_or_default() }
    }
}

/// 303: the answer to a form is another page, so that loading it again sends nothing again.
fn see_other(location: &str) -> Response {
    let headers = [
        (header::LOCATION, HeaderValue::try_from(location).unwrap_or_else(|_| HeaderValue::from_static("/"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn page_of(status: StatusCode, frame: &Frame, page: &impl Template, again: Option<(Duration, String)>) -> Response {
    match page.render() {
        Ok(html) => (status, frame.headers(again), html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, heading, words, again) = match self {
            Self::Missing => (
                StatusCode::NOT_FOUND,
                "This link leads nowhere",
                "It is incomplete, or was mistyped. Go back to where you found it, and open it once more.",
                None,
            ),
            Self::Form(Refused::FromElsewhere, link) => {
                (StatusCode::FORBIDDEN, "This form came from another site", "Nothing was paid. Open the payment yourself.", Some(link))
            }
            Self::Form(Refused::NotOurs, link) => {
                (StatusCode::BAD_REQUEST, "This form is no longer good", "Nothing was paid. Open the payment once more.", Some(link))
            }
            Self::Form(Refused::Unreadable, link) => {
                (StatusCode::BAD_REQUEST, "This form cannot be read", "Nothing was paid. Open the payment once more.", Some(link))
            }
            Self::Store(error) => {
                let is_down = matches!(error, StoreError::Unavailable(_));
                if is_down {
                    tracing::warn!(%error, "the store is unavailable");
                } else {
                    tracing::error!(%error, "the store refused or cannot read a row");
                }
                let status = if is_down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
                (status, "Something is wrong on our side", "Load the page again in a moment: it says how your payment stands.", None)
            }
        };
        let page = ProblemPage { shop: Shop::nobody(), heading, words, again };
        let mut response = page_of(status, &Frame::default(), &page, None);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(LATER)));
        }
        response
    }
}
