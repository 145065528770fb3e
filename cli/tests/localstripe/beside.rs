//! The same requests to localstripe and to our own stand-in, so that neither is believed alone: where both say the same, two who did not know
//! of each other have read Stripe's documentation alike. Where they differ, that is written here, and why in docs/localstripe.md.

use crate::server::{Api, KEY, LocalStripe};
use boxoffice_testkit::stripe::{Settings, StripeStandIn};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a request is answered with, there and here.
type Statuses = (u16, u16);

/// A step of the story: path and form (`-` only looks), the statuses, and under which name the object's id stands in later steps.
type Step = (&'static str, &'static str, Statuses, &'static str);

const ALIKE: Statuses = (200, 200);
/// The form of a payment by card that is made and confirmed at once.
macro_rules! pay_with {
    ($card:literal) => {
        concat!("amount=1500&currency=usd&confirm=true&payment_method_types[0]=card&expand[0]=latest_charge&payment_method=", $card)
    };
}

const STORY: &[Step] = &[
    ("/v1/customers", "name=Ada&email=ada@example.com&metadata[reference]=cus_ours", ALIKE, "cus"),
    ("/v1/customers/{cus}", "name=Eve&metadata[more]=1", ALIKE, ""),
    ("/v1/customers/{cus}", "-", ALIKE, ""),
    ("/v1/customers/cus_nobody", "-", (404, 404), ""),
    ("/v1/payment_methods/pm_card_visa/attach", "customer={cus}", ALIKE, "pm"),
    ("/v1/payment_methods/pm_card_chargeCustomerFail/attach", "customer={cus}", ALIKE, ""),
    ("/v1/payment_methods/pm_card_visa_chargeDeclined/attach", "customer={cus}", (402, 402), ""),
    ("/v1/payment_methods/pm_card_visa/attach", "customer=cus_nobody", (404, 400), ""),
    ("/v1/payment_methods?customer={cus}&type=card", "-", ALIKE, ""),
    // Paid, by a new card and by the one that was kept.
    ("/v1/payment_intents", pay_with!("pm_card_visa"), ALIKE, "paid"),
    ("/v1/payment_intents", pay_with!("{pm}&customer={cus}&off_session=true"), ALIKE, "saved"),
    ("/v1/payment_intents/{saved}?expand[0]=latest_charge", "-", ALIKE, ""),
    ("/v1/payment_intents/pi_nobody", "-", (404, 404), ""),
    // Not paid.
    ("/v1/payment_intents", pay_with!("pm_card_chargeCustomerFail"), (402, 402), ""),
    ("/v1/payment_intents", pay_with!("pm_card_visa_chargeDeclined"), (200, 402), ""),
    ("/v1/payment_intents", pay_with!("pm_nobody"), (404, 400), ""),
    ("/v1/payment_intents", "amount=0&currency=usd", (400, 400), ""),
    ("/v1/payment_intents", "currency=usd", (400, 400), ""),
    ("/v1/payment_intents", "amount=1500&currency=usd&colour=red", (400, 400), ""),
    // In two steps, and then it is too late for more.
    ("/v1/payment_intents", "amount=1500&currency=usd&payment_method_types[0]=card&payment_method=pm_card_visa", ALIKE, "later"),
    ("/v1/payment_intents/{later}/confirm", "expand[0]=latest_charge", ALIKE, ""),
    ("/v1/payment_intents/{later}/cancel", "", (400, 400), ""),
    ("/v1/payment_intents/{later}/capture", "", (400, 400), ""),
    // Authorised, and taken or given up.
    ("/v1/payment_intents", pay_with!("pm_card_visa&capture_method=manual"), ALIKE, "taken"),
    ("/v1/payment_intents/{taken}/capture", "expand[0]=latest_charge", ALIKE, ""),
    ("/v1/payment_intents", pay_with!("pm_card_visa&capture_method=manual"), ALIKE, "released"),
    ("/v1/payment_intents/{released}/cancel", "expand[0]=latest_charge", ALIKE, ""),
    ("/v1/payment_intents/{released}/cancel", "", (400, 400), ""),
    ("/v1/payment_intents/{released}/capture", "", (200, 400), ""),
    ("/v1/refunds", "payment_intent={released}", (200, 400), ""),
    // Given back.
    ("/v1/refunds", "payment_intent={paid}&amount=500&metadata[key]=chk_1_2", ALIKE, "back"),
    ("/v1/refunds/{back}", "-", ALIKE, ""),
    ("/v1/refunds", "payment_intent={paid}&amount=1000", ALIKE, ""),
    ("/v1/refunds?payment_intent={paid}", "-", ALIKE, ""),
    ("/v1/payment_intents/{paid}?expand[0]=latest_charge", "-", ALIKE, ""),
    ("/v1/refunds", "payment_intent={paid}&amount=1", (200, 400), ""),
    ("/v1/refunds", "payment_intent={saved}&amount=1501", (200, 400), ""),
    ("/v1/refunds", "payment_intent={saved}&amount=0", (400, 400), ""),
    ("/v1/refunds", "payment_intent=pi_nobody", (404, 400), ""),
    ("/v1/refunds", "", (400, 400), ""),
    // Let go.
    ("/v1/payment_methods/{pm}/detach", "", ALIKE, ""),
    ("/v1/payment_methods?customer={cus}&type=card", "-", ALIKE, ""),
    ("/v1/payment_intents", pay_with!("{pm}"), (200, 400), ""),
    ("/v1/payment_methods/{pm}/detach", "", (200, 400), ""),
    ("/v1/payment_intents?limit=0", "-", (400, 400), ""),
    ("/v1/checkout/sessions", "mode=payment", (404, 400), ""),
];

/// What stands in localstripe's objects, which are of 2017, and in Stripe's no more.
const WITHDRAWN: [&str; 10] =
    ["account_balance", "business_vat_id", "charges", "date", "invoice", "refunds", "sources", "subscriptions", "tax_ids", "total_count"];
/// Where both may be right: what a test card is like, when it was, what was never told, and a fee that is not known at once.
const MAY_DIFFER: [&str; 10] = [
    "card.country",
    "card.exp_year",
    "card.fingerprint",
    "charge.balance_transaction",
    "created",
    "customer.currency",
    "customer.preferred_locales",
    "payment_intent.client_secret",
    "payment_intent.payment_method",
    "refund.livemode",
];

/// What was authorised and given up counts as given back with Stripe, and so here.
const GIVEN_UP: (&str, [&str; 2]) = ("/v1/payment_intents/{released}/cancel", ["charge.amount_refunded: ", "charge.refunded: "]);

struct Side {
    api: Api,
    ids: BTreeMap<&'static str, String>,
}

impl Side {
    async fn takes(&mut self, (path, form, _, name): &Step) -> (u16, Value) {
        let filled = |text: &str| self.ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id));
        let (path, form) = (filled(path), filled(form));
        let answer = if form == "-" { self.api.get(&path).await } else { self.api.post(&path, &form).await };
        if !name.is_empty() {
            self.ids.insert(name, answer.1["id"].as_str().unwrap_or_else(|| panic!("{path} {form}: {}", answer.1)).to_owned());
        }
        answer
    }
}

/// `Some("pi")` of an id of Stripe's.
fn kind_of(id: &Value) -> Option<&str> {
    let (kind, rest) = id.as_str()?.split_once('_')?;
    (kind.len() <= 3 && rest.len() > 8).then_some(kind)
}

/// What `there` has and `here` has not, or has otherwise.
fn differences(at: &str, there: &Value, here: &Value, found: &mut Vec<String>) {
    let name = at.rsplit('.').next().unwrap_or(at);
    if WITHDRAWN.contains(&name) || MAY_DIFFER.iter().any(|known| at == *known || at.ends_with(&format!(".{known}"))) {
        return;
    }
    match (there, here) {
        (Value::Object(there), Value::Object(here)) => {
            // An object goes by its own name, wherever it stands.
            let at = there.get("object").and_then(Value::as_str).unwrap_or(at);
            for (name, value) in there {
                match here.get(name) {
                    Some(other) => differences(&format!("{at}.{name}"), value, other, found),
                    None => differences(&format!("{at}.{name}"), value, &Value::String("is missing".to_owned()), found),
                }
            }
        }
        (Value::Array(there), Value::Array(here)) if there.len() == here.len() => {}
        _ if there == here || kind_of(there).is_some() && kind_of(there) == kind_of(here) => {}
        _ => found.push(format!("{at}: {there} there, {here} here")),
    }
}

#[tokio::test]
async fn our_stand_in_says_what_localstripe_says_but_for_what_is_known() {
    let there = LocalStripe::start().await;
    let here = StripeStandIn::start_with(Settings { secret_key: Some(KEY.to_owned()), ..Settings::default() }).await.unwrap();
    let mut sides = [there.url(), here.url().trim_end_matches('/')].map(|url| Side { api: Api::new(url, KEY), ids: BTreeMap::new() });
    let mut found = Vec::new();
    for step in STORY {
        let [there, here] = &mut sides;
        let (there, here) = (there.takes(step).await, here.takes(step).await);
        let what = format!("{} {}", step.0, step.1);
        if (there.0, here.0) != step.2 {
            found.push(format!("{what}: {there:?} there, {here:?} here"));
        } else if step.2 == ALIKE {
            let mut differ = Vec::new();
            differences("list", &there.1, &here.1, &mut differ);
            differ.retain(|difference| step.0 != GIVEN_UP.0 || !GIVEN_UP.1.iter().any(|known| difference.starts_with(known)));
            found.extend(differ.into_iter().map(|difference| format!("{what}: {difference}")));
        } else if there.0 == here.0 {
            let (there, here) = (&there.1["error"], &here.1["error"]);
            if there["message"].is_null() || here["message"].is_null() || !there["code"].is_null() && there["code"] != here["code"] {
                found.push(format!("{what}: {there} there, {here} here"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
