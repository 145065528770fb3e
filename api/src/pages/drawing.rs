//! How a checkout's page is drawn, by how it stands.

use super::{
    form::Bad,
    handlers::{After, Visit},
    headers::Frame,
    methods::Methods,
    offers::{Offers, known_as},
    redirect, saved,
    standing::Standing,
    templates::{Bank, BankPage, Bill, EndPage, FormPage, FormParts, PendingPage, PhonePage, ProblemPage, Shop, WaitPage},
    trouble::{LATER, Trouble},
    words::Deadline,
};
use crate::{
    card_guard::{Held, Why},
    context::ApiContext,
    problem::retry_seconds,
};
use askama::Template;
use axum::response::{IntoResponse, Response};
use boxoffice_common::domain::{
    attempt::{Attempt, CustomerAction},
    checkout::{Checkout, Closing},
    error::Code,
    hosted::{Hosted, UiMode},
    push::Phone,
    settings::Settings,
    state::Status,
};
use http::{HeaderValue, StatusCode, header};
use std::{sync::Arc, time::Duration};
use url::Url;

/// After so long a browser asks for the page again that shows that something is under way.
const BREATH: Duration = Duration::from_secs(1);
/// The same while the customer is asked on the phone, and may want to call it off here.
const LONG_BREATH: Duration = Duration::from_secs(3);

/// A checkout's page, in its tenant's name and colour.
pub(super) struct Drawing<'o> {
    pub(super) ctx: &'o ApiContext,
    pub(super) checkout: &'o Checkout,
    pub(super) hosted: &'o Hosted,
    pub(super) link: &'o str,
    pub(super) settings: Arc<Settings>,
}

impl Drawing<'_> {
    fn shop(&self) -> Shop {
        Shop::of(self.checkout, self.hosted, &self.settings)
    }

    fn deadline(&self) -> Deadline {
        Deadline::new(self.checkout.expires_at, self.ctx.clock().now(), &self.settings.time_zone)
    }

    fn form(&self) -> FormParts {
        FormParts::of(self.checkout, self.hosted, self.link)
    }

    fn frame(&self) -> Frame {
        Frame::of(&self.checkout.order, &self.settings)
    }

    /// The form is shown for as long as it may be sent, and then says so by itself.
    fn until_the_deadline(&self, deadline: &Deadline) -> Option<(Duration, String)> {
        Some((Duration::from_secs(deadline.seconds) + LATER, format!("{}?after=submit", self.link)))
    }

    /// The form, or how it stands.
    pub(super) async fn show(&self, visit: Visit) -> Result<Response, Trouble> {
        let (shop, bill) = (self.shop(), Bill::of(self.checkout));
        let again = |after: &str| format!("{}?after={after}&wait=1", self.link);
        let waiting = |heading: &str, words: &str, bank, after: &str| {
            let (heading, words) = (heading.to_owned(), words.to_owned());
            let otherwise = format!("{}?after=submit", self.link);
            let page = WaitPage { shop: self.shop(), bill: Bill::of(self.checkout), heading, words, bank, otherwise, again: again(after) };
            page_of(StatusCode::OK, &self.frame(), &page, Some((BREATH, again(after))))
        };
        match Standing::of(self.checkout) {
            Standing::Open if self.ctx.clock().now() >= self.checkout.expires_at => {
                Ok(waiting("The time to pay is over", "A moment, please: the order is being closed.", None, "submit"))
            }
            Standing::Open => {
                let deadline = self.deadline();
                let again = self.until_the_deadline(&deadline);
                Ok(page_of(StatusCode::OK, &self.frame(), &self.form_page(deadline, None).await?, again))
            }
            Standing::Bank(attempt) => {
                let bank = self.bank(attempt);
                if visit.after == Some(After::Bank) {
                    let words = "We are waiting for the answer. This may take half a minute.";
                    return Ok(waiting(&format!("Checking with {}…", bank.name), words, Some(bank), "bank"));
                }
                let deadline = self.deadline();
                let until = self.until_the_deadline(&deadline);
                let page = BankPage { shop, bill, deadline, form: self.form(), bank, again: again("bank") };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, until))
            }
            Standing::Phone(attempt) => {
                let push = attempt.request.push.as_ref();
                let provider = push.map(|push| push.provider_name().to_owned()).unwrap_or_default();
                let phone = push.and_then(|push| push.phone.as_ref()).map(Phone::masked);
                let (deadline, form, again) = (self.deadline(), self.form(), again("submit"));
                let page = PhonePage { shop, bill, deadline, form, provider, phone, again: again.clone() };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, Some((LONG_BREATH, again))))
            }
            Standing::Elsewhere(attempt) => {
                let provider = known_as(&attempt.route()).to_owned();
                let (deadline, form, again) = (self.deadline(), self.form(), again("submit"));
                let page = PendingPage { shop, bill, deadline, form, provider, again: again.clone() };
                Ok(page_of(StatusCode::OK, &self.frame(), &page, Some((LONG_BREATH, again))))
            }
            Standing::Working => {
                Ok(waiting("Your payment is under way…", "Please do not close this page, and do not pay again.", None, "submit"))
            }
            Standing::TakingBack => {
                let words =
                    "You can pay in another way as soon as nothing can be taken any more. If you have confirmed it, the order is paid.";
                Ok(waiting("The question is being taken back…", words, None, "submit"))
            }
            Standing::Closing(Closing::Expire) => {
                let words = "We are asking the payment service to call the payment off. What went through before counts.";
                Ok(waiting("The time to pay is over", words, None, "submit"))
            }
            Standing::Closing(Closing::Cancel) => {
                Ok(waiting("The order is being canceled…", "We are waiting for the payment service to confirm it.", None, "submit"))
            }
            Standing::Closing(Closing::Replace) => {
                let words = "We are asking the payment service to call this payment off. What went through before counts.";
                Ok(waiting("A newer order takes the place of this one", words, None, "submit"))
            }
            Standing::Behind => {
                let words = "If you had another one open before, it is called off first. You can pay here as soon as nothing can be taken for it any more.";
                Ok(waiting("Your order is being prepared…", words, None, "submit"))
            }
            Standing::Review => Ok(self.ended(None)),
            Standing::Ended => {
                let back = redirect::back(self.ctx, self.checkout, self.checkout.status).await?;
                match back {
                    // A frame stays where it is: the shop's page is around it already, and what leads out of it is a link.
                    Some(url) if visit.after.is_some() && self.hosted.ui_mode == UiMode::Hosted => Ok(see_other(&url)),
                    back => Ok(self.ended(back)),
                }
            }
        }
    }

    fn ended(&self, back: Option<String>) -> Response {
        let paid = self.checkout.order.currency.told(self.checkout.order.totals.total);
        let code = self.checkout.error.as_ref().map(|error| error.code);
        let (kind, mark, heading, words) = match self.checkout.status {
            Status::Canceled if code == Some(Code::Replaced) => (
                "",
                "×",
                "A newer order took the place of this one",
                "Nothing was charged here. Go back to where you ordered, and pay there.".to_owned(),
            ),
            Status::Failed if code == Some(Code::AlreadyPaid) => {
                ("", "✓", "This was paid before", "Your earlier order went through after all. Nothing was charged here.".to_owned())
            }
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
        let page = EndPage { shop: self.shop(), bill: Bill::of(self.checkout), kind, mark, heading, words, back, checkout };
        page_of(StatusCode::OK, &self.frame(), &page, None)
    }

    async fn form_page(&self, deadline: Deadline, bad: Option<Bad>) -> Result<FormPage, Trouble> {
        let offers = Offers::of(self.ctx, self.checkout).await?;
        let saved = saved::of(self.ctx, self.checkout, self.hosted, &offers).await?;
        let methods = Methods::of(self.checkout, self.hosted, &offers, saved, bad);
        Ok(FormPage::new(self.checkout, self.shop(), deadline, self.form(), methods, bad))
    }

    fn is_open(&self) -> bool {
        Standing::of(self.checkout) == Standing::Open && self.ctx.clock().now() < self.checkout.expires_at
    }

    /// A card that is not sent now: the form once more, with how long to wait, or a page that says that it is enough.
    pub(super) async fn hold(&self, held: Held) -> Result<Response, Trouble> {
        if !self.is_open() {
            return Ok(see_other(&format!("{}?after=submit", self.link)));
        }
        let (Held::Wait(wait, _) | Held::Stopped(wait)) = held;
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut response = match held {
            Held::Wait(_, why) => {
                let page = self.form_page(self.deadline(), None).await?.held(words_of_wait(wait, why));
                page_of(status, &self.frame(), &page, None)
            }
            Held::Stopped(_) => {
                let words = "Nothing was charged, and no other card is tried from here for a while. Come again later, or ask the shop.";
                let (shop, heading, again) = (self.shop(), "Too many cards were refused", Some(self.link.to_owned()));
                page_of(status, &self.frame(), &ProblemPage { shop, heading, words, again }, None)
            }
        };
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(wait)));
        Ok(response)
    }

    /// The form once more, with what is wrong about it.
    pub(super) async fn refuse(&self, bad: Bad) -> Result<Response, Trouble> {
        if !self.is_open() {
            return Ok(see_other(&format!("{}?after=submit", self.link)));
        }
        let page = self.form_page(self.deadline(), Some(bad)).await?;
        Ok(page_of(StatusCode::UNPROCESSABLE_ENTITY, &self.frame(), &page, None))
    }

    /// The page of the bank or wallet that asks, told where the customer comes back to.
    fn bank(&self, attempt: &Attempt) -> Bank {
        let web = |url: &str| Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let here = format!("{}?after=bank&wait=1", self.hosted.url(&self.checkout.id));
        let url = attempt.action.as_ref().and_then(CustomerAction::url).and_then(web).map(|mut url| {
            // A provider that has an account of the tenant's was told with the charge.
            if attempt.request.visit.is_none() {
                url.query_pairs_mut().append_pair("return_to", &here);
            }
            url.into()
        });
        let is_page = attempt.request.visit.as_ref().is_some_and(|visit| visit.page.is_some());
        let route = attempt.route();
        let otherwise = if is_page { known_as(&route) } else { "your bank" };
        let name = attempt.request.push.as_ref().map_or(otherwise, |push| push.provider_name()).to_owned();
        Bank { name, url: url.unwrap_or_default() }
    }
}

fn words_of_wait(wait: Duration, why: Why) -> String {
    let left = match retry_seconds(wait) {
        1 => "one second".to_owned(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        more => format!("{} minutes", more.div_ceil(60)),
    };
    match why {
        Why::Refused => format!("Several cards were refused. Wait {left}, check the card, and pay then."),
        Why::Busy => format!("Many payments are being made at this moment. Wait {left}, and pay then."),
    }
}

/// 303: the answer to a form is another page, so that loading it again sends nothing again.
pub(super) fn see_other(location: &str) -> Response {
    let headers = [
        (header::LOCATION, HeaderValue::try_from(location).unwrap_or_else(|_| HeaderValue::from_static("/"))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

pub(super) fn page_of(status: StatusCode, frame: &Frame, page: &impl Template, again: Option<(Duration, String)>) -> Response {
    match page.render() {
        Ok(html) => (status, frame.headers(again), html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
