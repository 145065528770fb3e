//! Mobile money, banks and wallets on the page: who is offered, what is told of a mistake, and the waiting.

use crate::{
    browser::{approved, form, hosted, load, send, text, waiting, work},
    server::{Reply, Server},
};
use boxoffice_common::domain::attempt::{Decline, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::join;

const PHONE: &str = "+23276543201";

/// A checkout that waits for its customer on a page with these options.
async fn offering(server: &Server, options: Value) -> (String, String) {
    server.yoga().await;
    assert_eq!(server.put("/v1/settings", &json!({"name": "Studio"})).await.code(), 200);
    let mut body = hosted();
    body["payment"]["hosted"]["options"] = options;
    waiting(server, &body).await
}

async fn checkout(server: &Server, id: &str) -> Value {
    server.get(&format!("/v1/checkouts/{id}")).await.json()
}

fn pending() -> Outcome {
    Outcome::Pending { provider_reference: "ch_1".to_owned() }
}

fn refused(code: &str) -> Outcome {
    Outcome::Declined(Decline::new(code.to_owned(), "no".to_owned(), None))
}

/// The customer submits this, and the provider says that.
async fn pay(server: &Server, (id, path): (&str, &str), fields: &[(&str, &str)], outcome: Outcome) -> Reply {
    let pay = without_method(&form(&text(&load(server, path).await), "pay"));
    let (sent, ()) = join!(send(server, path, &pay, fields, &[]), work(server, id, outcome));
    assert_eq!(sent.code(), 303, "{}", text(&sent));
    load(server, &format!("{path}?after=submit")).await
}

/// The proofs are one and the same for every way to pay.
fn without_method(fields: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    fields.iter().filter(|(name, _)| *name != "method").map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn by_phone(phone: &str) -> [(&str, &str); 3] {
    [("method", "mobile_money"), ("provider", "m17"), ("phone", phone)]
}

/// The part of the page for this way to pay.
fn part<'a>(html: &'a str, kind: &str) -> &'a str {
    let (before, rest) = html.split_once(&format!("name=\"method\" value=\"{kind}\"")).unwrap_or_else(|| panic!("no {kind} in {html}"));
    let start = before.rfind("<details").unwrap_or_else(|| before.rfind("<section").unwrap());
    &html[start..html.len() - rest.len() + rest.find("</form>").unwrap()]
}

#[tokio::test]
async fn the_page_offers_what_the_options_leave_and_takes_nothing_else_from_a_form_made_by_hand() {
    for (options, shown, hidden, taken) in [
        (json!({}), vec!["tok_visa", "m17", "m18", "slb001", "slb002", "dw001"], vec![], vec![]),
        (
            json!({"card": {"disable": true}, "bank": {"enabled_providers": ["slb002"]}, "mobile_money": {"disabled_providers": ["m17"]}}),
            vec!["m18", "slb002", "dw001"],
            vec!["tok_visa", "m17", "slb001"],
            vec![
                [("method", "card"), ("card", "tok_visa")],
                [("card", "tok_visa"), ("token", "")],
                [("method", "bank"), ("provider", "slb001")],
            ],
        ),
        (
            json!({"mobile_money": {"disable": true}, "bank": {"disable": true, "enabled_providers": ["slb001"]}, "wallet": {"enabled_providers": ["w99"]}}),
            vec!["tok_visa"],
            vec!["m17", "m18", "slb001", "slb002", "dw001", "How do you want to pay?"],
            vec![
                [("method", "bank"), ("provider", "slb001")],
                [("method", "wallet"), ("provider", "w99")],
                [("method", "wallet"), ("provider", "dw001")],
            ],
        ),
    ] {
        let server = Server::start().await;
        let (id, path) = offering(&server, options.clone()).await;
        let page = load(&server, &path).await;
        let html = text(&page);
        assert!(shown.iter().all(|name| html.contains(&format!("value=\"{name}\""))), "{options}: {html}");
        assert!(!hidden.iter().any(|name| html.contains(name)), "{options}: {html}");
        assert_eq!(html.matches("<details class=\"card method\" name=\"method\" open").count(), usize::from(shown.len() > 1), "{html}");
        assert!(!html.contains("<script>") && !html.contains("style="), "nothing inline: {html}");
        let pay = without_method(&form(&html, "pay"));
        let by_phone = by_phone(PHONE);
        let by_hand = taken.iter().map(|fields| fields.to_vec()).chain(hidden.contains(&"m17").then(|| by_phone.to_vec()));
        for fields in by_hand {
            let refused = send(&server, &path, &pay, &fields, &[]).await;
            assert!(refused.code() == 422 && text(&refused).contains("role=\"alert\""), "{options} {fields:?}: {}", text(&refused));
        }
        let untouched = checkout(&server, &id).await;
        assert_eq!((&untouched["status"], &untouched["payment_attempts"]), (&json!("awaiting_payment"), &json!([])), "{options}");
    }
}

#[tokio::test]
async fn a_mistake_is_told_beside_its_field_and_a_phone_number_comes_back_nowhere() {
    let server = Server::start().await;
    let (id, path) = offering(&server, json!({})).await;
    let html = text(&load(&server, &path).await);
    assert!(!part(&html, "bank").contains("checked"), "of several banks none is chosen for anybody: {html}");
    assert!(part(&html, "wallet").contains("value=\"dw001\" checked"), "there is one: {html}");
    let pay = without_method(&form(&html, "pay"));
    for (fields, kind, words, field) in [
        (by_phone("076 543 201").to_vec(), "mobile_money", "Enter a phone number with +", "phone"),
        (by_phone("").to_vec(), "mobile_money", "Enter a phone number with +", "phone"),
        (by_phone("<b>+23276543201").to_vec(), "mobile_money", "Enter a phone number with +", "phone"),
        (vec![("method", "mobile_money"), ("phone", PHONE)], "mobile_money", "Choose your mobile money service", "mobile_money-1"),
        (vec![("method", "bank"), ("provider", "m17")], "bank", "Choose your bank", "bank-1"),
        (vec![("method", "wallet")], "wallet", "Choose your wallet", "wallet-1"),
    ] {
        let reply = send(&server, &path, &pay, &fields, &[]).await;
        let html = text(&reply);
        assert!(reply.code() == 422 && html.contains(&format!("<a href=\"#{field}\">{words}")), "{fields:?}: {html}");
        let part = part(&html, kind);
        assert!(part.contains(" open>") && part.contains(words) && part.contains("class=\"error\""), "{fields:?}: {part}");
        assert!(!html.contains("76543201") && !html.contains("76 543 201") && !html.contains("<b>"), "{fields:?}: {html}");
        // Who was chosen with it is chosen still.
        assert!(field != "phone" || part.contains("value=\"m17\" checked"), "{part}");
    }
    for (method, code) in [("balance", 400), ("membership", 400)] {
        assert_eq!(send(&server, &path, &pay, &[("method", method)], &[]).await.code(), code, "{method} is not for the page");
    }
    assert_eq!(checkout(&server, &id).await["payment_attempts"], json!([]));
}

#[tokio::test]
async fn a_phone_that_asks_is_waited_for_on_a_page_that_loads_itself_and_after_a_no_another_way_pays() {
    let server = Server::start().await;
    let (id, path) = offering(&server, json!({})).await;
    let link = path.strip_prefix("/pay/").unwrap();
    let page = pay(&server, (&id, &path), &by_phone("+232 (76) 54-32.01"), pending()).await;
    let html = text(&page);
    assert_eq!((page.code(), page.header("refresh")), (200, format!("3; url={link}?after=submit&wait=1").as_str()));
    for shown in
        ["Confirm on your phone", "Orange test money", "+•••••••••01", "USD\u{a0}30.00", "to Studio", "Cancel this order", "Confirm by"]
    {
        assert!(html.contains(shown), "{shown} is missing in {html}");
    }
    assert!(!html.contains("value=\"pay\"") && !html.contains("<script>"), "there is nothing to pay with meanwhile: {html}");
    let shown = checkout(&server, &id).await;
    assert_eq!((&shown["status"], &shown["payment_attempts"][0]["status"]), (&json!("awaiting_payment"), &json!("pending")), "{shown}");
    assert!(shown["payment_url"].as_str().unwrap().ends_with(&path), "the customer is still led to the page");
    let timeline = server.get(&format!("/v1/checkouts/{id}/timeline")).await;
    assert!(!format!("{html}{shown}{}", text(&timeline)).contains("765432"), "no telephone number");
    // The customer says no, and the page says so where another try can be made.
    let no = work(&server, &id, refused("customer_refused"));
    let waits = format!("{path}?after=submit&wait=1");
    let (page, ()) = join!(load(&server, &waits), no);
    let html = text(&page);
    assert!(html.contains("refused on the phone. Nothing was charged") && part(&html, "mobile_money").contains(" open>"), "{html}");
    // At the bank now.
    let asks = Outcome::RequiresAction { url: "https://bank.example/act".to_owned(), provider_reference: "ch_2".to_owned() };
    let html = text(&pay(&server, (&id, &path), &[("method", "bank"), ("provider", "slb002")], asks).await);
    let here: String = url::form_urlencoded::byte_serialize(format!("https://pay.example{path}?after=bank&wait=1").as_bytes()).collect();
    assert!(
        html.contains("Continue to Second test bank") && html.contains(&format!("https://bank.example/act?return_to={here}")),
        "{html}"
    );
    assert!(html.contains("USD\u{a0}30.00</strong> to Studio"), "{html}");
    let back = text(&load(&server, &format!("{path}?after=bank")).await);
    assert!(back.contains("Checking with Second test bank"), "{back}");
    work(&server, &id, refused("authentication_failed")).await;
    let html = text(&load(&server, &path).await);
    assert!(html.contains("was not confirmed") && part(&html, "bank").contains(" open>"), "{html}");
    let end = pay(&server, (&id, &path), &[("card", "tok_visa")], approved(3000)).await;
    assert_eq!(end.code(), 303);
    assert!(end.header("location").starts_with("https://shop.example/thanks"), "{}", end.header("location"));
}

#[tokio::test]
async fn two_windows_with_two_ways_to_pay_are_one_payment() {
    let server = Server::start().await;
    let (id, path) = offering(&server, json!({})).await;
    let pay = without_method(&form(&text(&load(&server, &path).await), "pay"));
    let by_phone = by_phone(PHONE);
    let (one, other, third, ()) = join!(
        send(&server, &path, &pay, &by_phone, &[]),
        send(&server, &path, &pay, &[("card", "tok_visa")], &[]),
        send(&server, &path, &pay, &[("method", "wallet"), ("provider", "dw001")], &[]),
        work(&server, &id, approved(3000)),
    );
    assert!([one, other, third].iter().all(|reply| reply.code() == 303));
    // The back button, long after.
    assert_eq!(send(&server, &path, &pay, &by_phone, &[]).await.code(), 303);
    let sold = checkout(&server, &id).await;
    assert_eq!((&sold["status"], sold["payment_attempts"].as_array().unwrap().len()), (&json!("succeeded"), 1), "{sold}");
}

#[tokio::test]
async fn a_cancel_while_the_phone_asks_ends_with_the_providers_word() {
    let server = Server::start().await;
    let (id, path) = offering(&server, json!({})).await;
    let page = pay(&server, (&id, &path), &by_phone(PHONE), pending()).await;
    let html = text(&page);
    assert!(html.contains("If you have confirmed it by then, the order is paid."), "{html}");
    assert_eq!(send(&server, &path, &form(&html, "cancel"), &[], &[]).await.code(), 303);
    let page = load(&server, &format!("{path}?after=submit")).await;
    assert!(page.code() == 200 && text(&page).contains("The order is being canceled"), "{}", text(&page));
    assert_eq!(checkout(&server, &id).await["status"], "reconciling");
    work(&server, &id, approved(3000)).await;
    let end = load(&server, &format!("{path}?after=submit")).await;
    assert!(end.code() == 303 && end.header("location").contains("status=canceled"), "{}", end.header("location"));
}
