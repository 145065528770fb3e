//! The description of the API: collected from the routes themselves, completed with what is true of all of them, and
//! served beside a page to browse it.

use crate::{
    auth::KEY_HEADER,
    dialects::{Dialect, is_signed, takes_key_header},
    problem::ProblemBody,
};
use axum::{Router, body::Bytes, routing};
use http::header;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        Content, Ref, RefOr, Response, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

const PATH: &str = "/openapi.json";
const SECURITY: &str = "api_key";
const OTHER_SECURITY: &str = "x_api_key";

/// The frame; the routes fill it.
#[derive(OpenApi)]
#[openapi(
    info(title = "boxoffice", description = "Sells seats and takes the money. Errors are `application/problem+json` (RFC 9457) with a stable `code`; every response carries `Request-Id`."),
    components(schemas(ProblemBody)),
    tags(
        (name = "checkouts", description = "What is sold: made once, worked on behind the answer, followed by poll, stream or callback"),
        (name = "refunds", description = "What goes back of a sale"),
        (name = "waiting list", description = "Who waits for places of a session that is full: what comes free is offered in order, and never sold to a stranger"),
        (name = "subscriptions", description = "What sold plans have become: they renew by themselves"),
        (name = "catalogue", description = "What can be sold"),
        (name = "jobs", description = "What takes long: a session that is called off, with everybody's money on its way back"),
        (name = "customers", description = "Who buys"),
        (name = "webhooks", description = "Where results go, and what became of them"),
        (name = "ledger", description = "What was earned, owed and given back: double entry, append-only"),
        (name = "tickets", description = "What was sold, at the door"),
        (name = "settings", description = "How a tenant presents itself to its customers, and where its days are counted"),
        (name = "providers", description = "The tenant's accounts with payment providers, how they do, and which of them a charge goes to"),
        (name = "sandbox", description = "The sandbox payment provider's own book, for test keys"),
        (name = "provider events", description = "Where payment providers tell us what became of a payment, signed"),
        (name = "health", description = "For operators"),
        (name = "momence", description = "Momence's host checkout, for clients that are written for it: see docs/dialects.md"),
        (name = "loop", description = "Loop's payments API, for clients that are written for it: see docs/dialects.md"),
        (name = "monime", description = "Monime's checkout sessions, for clients that are written for them: see docs/dialects.md"),
        (name = "classmanager", description = "ClassManager's basket checkout, for clients that are written for it: see docs/dialects.md"),
        (name = "bokamera", description = "BokaMera's Stripe checkout, for clients that are written for it: see docs/dialects.md")
    )
)]
pub struct Frame;

/// What every route that needs a key can answer besides its own.
const COMMON: [(&str, &str); 8] = [
    ("400", "It cannot be read, or a value is outside its bounds; `param` names it"),
    ("401", "No live API key"),
    ("403", "The key lacks the scope"),
    ("404", "Not there in the key's tenant and mode"),
    ("429", "Too many requests of this key; `Retry-After` and `RateLimit` say more"),
    ("500", "Our bug"),
    ("503", "Overloaded, or a server behind this one does not answer; `Retry-After` says when to come back"),
    ("504", "It took too long"),
];

/// The same of what takes a body.
const BODIES: [(&str, &str); 2] = [("413", "Longer than 256 KiB"), ("415", "Not application/json")];

/// Completes what the routes told, and serves it.
pub fn router(mut api: utoipa::openapi::OpenApi) -> Router {
    complete(&mut api);
    let text = Bytes::from(api.to_json().unwrap_or_default());
    let serve = async move || ([(header::CONTENT_TYPE, "application/json")], text.clone());
    let docs = SwaggerUi::new("/docs").config(Config::from(PATH).try_it_out_enabled(true).persist_authorization(true));
    Router::new().route(PATH, routing::get(serve)).merge(docs)
}

fn complete(api: &mut utoipa::openapi::OpenApi) {
    if let Some(components) = &mut api.components {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `bo_test_…` or `bo_live_…`")).build();
        components.add_security_scheme(SECURITY, SecurityScheme::Http(scheme));
        let header = ApiKeyValue::with_description(KEY_HEADER, "The same key, where other people's clients have it");
        components.add_security_scheme(OTHER_SECURITY, SecurityScheme::ApiKey(ApiKey::Header(header)));
    }
    for (path, item) in &mut api.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            name(path, operation);
            let dialect = Dialect::of(path);
            if (path.starts_with("/v1/") || path.starts_with("/sandbox/") || dialect.is_some()) && !is_signed(path) {
                need_key(operation);
            }
            match dialect {
                None => tell_problems(operation, "application/problem+json", &ProblemBody::name()),
                Some(dialect) => tell_problems(operation, "application/json", &dialect.schema_of_faults()),
            }
            if takes_key_header(path) {
                tell_other_key(operation);
            }
            tell_scripts(operation);
        }
    }
}

/// The handlers' names, which are their operations' ids, are unique within a resource only.
fn name(path: &str, operation: &mut Operation) {
    // Another API stands at the root and under its prefix; of what is no resource of ours the root's are told apart by this.
    let is_at_root = Dialect::of(path).is_some_and(|dialect| !dialect.is_whole(path)) && !path.starts_with("/v1/");
    let resource = if is_at_root { Some("root") } else { path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()) };
    if let (Some(resource), Some(id)) = (resource, &operation.operation_id) {
        operation.operation_id = Some(format!("{}_{id}", resource.replace('-', "_")));
    }
}

fn need_key(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(SECURITY, [])]);
    // Whatever takes a body takes none that is too long, or something else.
    let of_bodies = if operation.request_body.is_some() { &BODIES[..] } else { &[] };
    for (status, description) in COMMON.iter().chain(of_bodies) {
        let responses = &mut operation.responses.responses;
        responses.entry((*status).to_owned()).or_insert_with(|| Response::new(*description).into());
    }
}

/// Its key may come in a header of its own, too.
fn tell_other_key(operation: &mut Operation) {
    operation.security.get_or_insert_default().push(SecurityRequirement::new::<_, [&str; 0], _>(OTHER_SECURITY, []));
}

/// Where a function can be named, every answer can be a call of it.
fn tell_scripts(operation: &mut Operation) {
    if !operation.parameters.iter().flatten().any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == "callback")) {
        return;
    }
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        *response = ResponseBuilder::from(response.clone()).content("application/javascript", Content::new(None::<Ref>)).build();
    }
}

/// Every error of an API has the same shape.
fn tell_problems(operation: &mut Operation, kind: &str, schema: &str) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.as_str() >= "400" && response.content.is_empty() {
            let content = Content::new(Some(Ref::from_schema_name(schema)));
            *response = ResponseBuilder::from(response.clone()).content(kind, content).build();
        }
    }
}
