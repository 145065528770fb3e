//! `GET` and `POST /pay/{link}`.

use super::{
    form::{BadCard, Intent, Refused, Submitted, is_from_here},
    headers::Frame,
    redirect, saved,
    standing::Standing,
    templates::{BankPage, Bill, EndPage, FormPage, FormParts, ProblemPage, Shop, WaitPage, offered},
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
        checkout::Checkout,
        hosted::{self, Hosted, Pay, UiMode},
        secret::Secret,
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
        opened.ask_the_bank(&ctx, visit, &trace).await?;
        opened
            .wait(&ctx, NEWS, |checkout| {
                let standing = Standing::of(checkout);
                let at_the_bank = visit.after == Some(After::Bank) && matches!(standing, Standing::Bank(_));
                !(standing.moves_by_itself() || at_the_bank)
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
            let token = match saved::chosen(&ctx, &opened.checkout, &opened.hosted, &form.card).await.transpose()? {
                Some(token) => token.ok_or(BadCard::Gone),
                None => form.card(&offered()),
            };
            let token = match token {
                Ok(token) => token,
                Err(bad) => return opened.refuse_card(&ctx, bad).await,
            };
            opened.pay(&ctx, form.n, token, &trace).await?;
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
    async fn pay(&mut self, ctx: &ApiContext, n: u32, token: Secret<String>, trace: &TraceParent) -> Result<(), Trouble> {
        // Before it is submitted: what is announced from here on wakes.
        let ticket = ctx.waiters().register_guest(&self.checkout.id, Interest::Settled);
        let pay = Pay { checkout: self.checkout.id.clone(), n, token, provider: PROVIDER.to_owned() };
        if let Paid::Submitted(moved) = ctx.store().pay(pay).await? {
            ctx.after(moved, trace.as_str()).await;
            self.wait_with(ctx, ticket, PATIENCE, |checkout| !Standing::of(checkout).moves_by_itself()).await?;
        }
        Ok(())
    }

    /// Back from the bank, the customer waits for its answer: a worker looks for it now, and not only at its next turn.
    async fn ask_the_bank(&self, ctx: &ApiContext, visit: Visit, trace: &TraceParent) -> Result<(), Trouble> {
        if visit.after == Some(After::Bank)
            && matches!(Standing::of(&self.checkout), Standing::Bank(_))
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
        let waiting = |heading, words, bank, after: &str| {
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
                let saved = saved::of(ctx, &self.checkout, &self.hosted).await?;
                let page = FormPage::new(&self.checkout, shop, deadline, self.form(), saved, None);
                Ok(page_of(StatusCode::OK, &self.frame(), &page, again))
            }
            Standing::Bank(attempt) => {
                let bank = attempt.action_url.as_deref().and_then(|url| self.bank(url)).unwrap_or_default();
                if visit.after == Some(After::Bank) {
                    let words = "We are waiting for your bank’s answer. This may take half a minute.";
                    return Ok(waiting("Checking with your bank…", words, Some(bank), "bank"));
                }
                let deadline = self.deadline(ctx);
                let until = self.until_the_deadline(&deadline);
                let page = BankPage { shop, bill, deadline, form: self.form(), bank, again: again("bank") };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, until))
            }
            Standing::Working => {
                Ok(waiting("Your payment is under way…", "Please do not close this page, and do not pay again.", None, "submit"))
            }
            Standing::Closing => {
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

    async fn refuse_card(&self, ctx: &ApiContext, bad: BadCard) -> Result<Response, Trouble> {
        if Standing::of(&self.checkout) != Standing::Open || ctx.clock().now() >= self.checkout.expires_at {
            return Ok(see_other(&format!("{}?after=submit", self.link)));
        }
        let saved = saved::of(ctx, &self.checkout, &self.hosted).await?;
        let page = FormPage::new(&self.checkout, self.shop(), self.deadline(ctx), self.form(), saved, Some(bad));
        Ok(page_of(StatusCode::UNPROCESSABLE_ENTITY, &self.frame(), &page, None))
    }

    /// The bank's page, told where the customer comes back to.
    fn bank(&self, url: &str) -> Option<String> {
        let mut url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let here = format!("{}?after=bank&wait=1", self.hosted.url(&self.checkout.id));
        url.query_pairs_mut().append_pair("return_to", &here);
        Some(url.into())
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
