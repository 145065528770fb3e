//! The page where a person approves or refuses a payment: server-rendered, no script, one form.

use super::{
    operation::{Operation, OperationId, OperationStatus},
    service::SandboxService,
};
use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use std::{fmt::Write as _, sync::Arc};
use url::Url;

const MAX_FORM_BYTES: usize = 1024;
const MAX_RETURN_URL_BYTES: usize = 2048;

/// `GET` and `POST /sandbox/actions/{id}`. With `?return_to=https://…` the page links back there when it is decided.
pub fn actions_router(service: Arc<SandboxService>) -> Router {
    Router::new().route("/sandbox/actions/{id}", get(show).post(answer)).layer(DefaultBodyLimit::max(MAX_FORM_BYTES)).with_state(service)
}

#[derive(Deserialize)]
struct Return {
    return_to: Option<String>,
}

impl Return {
    /// Only a web address, so that the link can run nothing.
    fn url(&self) -> Option<Url> {
        let text = self.return_to.as_deref().filter(|text| text.len() <= MAX_RETURN_URL_BYTES)?;
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Approve,
    Refuse,
}

#[derive(Deserialize)]
struct Answer {
    answer: Word,
}

async fn show(State(service): State<Arc<SandboxService>>, Path(id): Path<String>, Query(back): Query<Return>) -> Response {
    let Some(id) = OperationId::parse(&id) else { return missing() };
    match service.charge(id).await {
        Ok(Some(charge)) => page(StatusCode::OK, &charge_page(&charge, back.url().as_ref())),
        Ok(None) => missing(),
        Err(error) => broken(&error),
    }
}

async fn answer(
    State(service): State<Arc<SandboxService>>,
    Path(id): Path<String>,
    uri: Uri,
    form: Result<Form<Answer>, FormRejection>,
) -> Response {
    let Some(id) = OperationId::parse(&id) else { return missing() };
    let Ok(Form(Answer { answer })) = form else {
        return page(StatusCode::BAD_REQUEST, "<h1>Not understood</h1><p>Go back and use one of the two buttons.</p>");
    };
    match service.act(id, matches!(answer, Word::Approve)).await {
        // Back to the page itself, query and all, so that a reload asks nothing again.
        Ok(Some(_)) => (headers(), Redirect::to(&uri.to_string())).into_response(),
        Ok(None) => missing(),
        Err(error) => broken(&error),
    }
}

fn charge_page(charge: &Operation, back: Option<&Url>) -> String {
    let title = match charge.status {
        OperationStatus::Pending => "Approve this payment?",
        OperationStatus::Captured | OperationStatus::Refunded | OperationStatus::Authorized => "Payment approved",
        OperationStatus::Declined => "Payment refused",
        OperationStatus::Voided => "Payment called off",
    };
    let mut html = format!(
        "<h1>{title}</h1><p>This is a sandbox: no real money moves.</p>\
         <dl><dt>Amount</dt><dd>{}</dd><dt>Reference</dt><dd>{}</dd></dl>",
        charge.currency.told(charge.amount),
        escape(&charge.reference),
    );
    if charge.status == OperationStatus::Pending {
        html.push_str(
            "<form method=\"post\"><button type=\"submit\" name=\"answer\" value=\"approve\">Approve the payment</button> \
             <button type=\"submit\" name=\"answer\" value=\"refuse\">Refuse the payment</button></form>",
        );
        return html;
    }
    match back {
        Some(url) => {
            let _ = write!(html, "<p><a rel=\"noreferrer\" href=\"{}\">Back to the shop</a></p>", escape(url.as_str()));
        }
        None => html.push_str("<p>You may close this page and go back to the shop.</p>"),
    }
    html
}

fn missing() -> Response {
    page(StatusCode::NOT_FOUND, "<h1>No such payment</h1><p>The link is incomplete, or belongs to another sandbox.</p>")
}

fn broken(error: &super::book::BookError) -> Response {
    tracing::error!(%error, "the sandbox could not use its book");
    page(StatusCode::INTERNAL_SERVER_ERROR, "<h1>Something broke</h1><p>Load the page again to see whether your answer was taken.</p>")
}

fn page(status: StatusCode, content: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Sandbox payment</title></head>\
         <body><main>{content}</main></body></html>"
    );
    (status, headers(), Html(html)).into_response()
}

fn headers() -> HeaderMap {
    let policy = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ]
    .into_iter()
    .map(|(name, value): (HeaderName, &'static str)| (name, HeaderValue::from_static(value)))
    .collect()
}

/// Text as it may stand in HTML, between tags or in a quoted attribute.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_caller_sends_becomes_markup() {
        assert_eq!(escape("<b a=\"x\" c='y'>&"), "&lt;b a=&quot;x&quot; c=&#39;y&#39;&gt;&amp;");
    }

    #[test]
    fn a_link_back_is_a_web_address_or_none() {
        let url = |text: &str| Return { return_to: Some(text.to_owned()) }.url().map(String::from);
        assert_eq!(url("https://shop.example/thanks?c=1").as_deref(), Some("https://shop.example/thanks?c=1"));
        for bad in ["javascript:alert(1)", "data:text/html,x", "/relative", "", &format!("https://shop.example/{}", "x".repeat(2048))] {
            assert_eq!(url(bad), None, "{bad}");
        }
    }
}
