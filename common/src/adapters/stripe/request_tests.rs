use super::super::{canned, page_request};
use super::*;
use crate::domain::attempt::AttemptKind;

fn body(built: RequestBuilder) -> (String, String) {
    let body: Vec<u8> = built.body.unwrap_or_default().into_bytes();
    let pairs = url::form_urlencoded::parse(&body).map(|(name, value)| format!("{name}={value}"));
    (built.path, pairs.collect::<Vec<_>>().join("\n"))
}

fn charge_of(request: &MoneyRequest, token: &str, keeper: Option<&str>) -> (String, String) {
    body(charge(request, Token::parse(token).unwrap(), 1500, keeper, "pac_1"))
}

#[test]
fn a_charge_is_made_of_these_pairs_in_this_order() {
    let (path, pairs) = charge_of(&canned::charge("pm_card_visa"), "pm_card_visa", None);
    assert_eq!(path, "/payment_intents");
    let expected = "amount=1500\nautomatic_payment_methods[allow_redirects]=never\nautomatic_payment_methods[enabled]=true\n\
        capture_method=automatic\nconfirm=true\ncurrency=usd\nerror_on_requires_action=true\nexpand[0]=latest_charge.balance_transaction\n\
        metadata[account]=pac_1\nmetadata[key]=chk_1_1\nmetadata[reference]=chk_1\nmetadata[via]=token\npayment_method=pm_card_visa";
    assert_eq!(pairs, expected);
}

#[test]
fn the_same_request_is_the_same_bytes_however_often_it_is_built() {
    let mut request = canned::visit("tok_visa");
    request.keep_card = true;
    let built = || charge(&request, Token::Card("tok_visa"), 1500, Some("cus_1"), "pac_1").body.unwrap();
    let first = built();
    assert!((0..200).all(|_| built() == first), "{first}");
    let expected = "amount=1500&automatic_payment_methods[enabled]=true&capture_method=automatic&confirm=true&currency=usd&customer=cus_1&\
        expand[0]=latest_charge.balance_transaction&metadata[account]=pac_1&metadata[keep]=1&metadata[key]=chk_1_1&\
        metadata[reference]=chk_1&metadata[via]=visit&payment_method_data%5Bcard%5D%5Btoken%5D=tok_visa&\
        payment_method_data%5Btype%5D=card&return_url=https://box.example/back&setup_future_usage=off_session";
    assert_eq!(first, expected);
}

#[test]
fn tokens_are_told_apart_and_go_where_they_belong() {
    let request = canned::charge("x");
    let has = |token: &str, part: &str| charge_of(&request, token, None).1.lines().any(|line| line == part);
    assert!(has("tok_visa", "payment_method_data[card][token]=tok_visa") && has("tok_visa", "payment_method_data[type]=card"));
    assert!(has("cus_1:pm_1", "customer=cus_1") && has("cus_1:pm_1", "payment_method=pm_1"));
    assert!(has("ctoken_1", "confirmation_token=ctoken_1"));
    assert!(has("src_1", "payment_method=src_1"));
    for bad in ["", "pm_", "tok_", "visa", "4242424242424242", "pm_1&amount=1", "cus_1", "cus_1:", ":pm_1", "cus_1:tok_1", "cus_1:pm_1:x"] {
        assert_eq!(Token::parse(bad), None, "{bad}");
    }
}

#[test]
fn who_is_not_there_is_asked_nothing_and_what_is_promised_is_not_taken() {
    let absent = MoneyRequest { off_session: true, ..canned::visit("cus_1:pm_1") };
    let (_, pairs) = charge_of(&absent, "cus_1:pm_1", None);
    assert!(pairs.contains("off_session=true") && !pairs.contains("return_url") && !pairs.contains("error_on_requires_action"), "{pairs}");
    let later = MoneyRequest { capture_later: true, ..canned::charge("pm_1") };
    assert!(charge_of(&later, "pm_1", None).1.contains("capture_method=manual"));
}

#[test]
fn what_follows_a_charge_names_it() {
    assert_eq!(
        body(capture("pi_1", 1500)),
        ("/payment_intents/pi_1/capture".to_owned(), "amount_to_capture=1500\nexpand[0]=latest_charge.balance_transaction".to_owned())
    );
    assert_eq!(body(cancel("pi_1")), ("/payment_intents/pi_1/cancel".to_owned(), String::new()));
    let back = canned::about(AttemptKind::Refund, "pi_1", 500);
    let pairs = "amount=500\nmetadata[account]=pac_1\nmetadata[key]=chk_1_2\nmetadata[reference]=chk_1\npayment_intent=pi_1";
    assert_eq!(body(refund(&back, "pi_1", 500, "pac_1")), ("/refunds".to_owned(), pairs.to_owned()));
    assert_eq!(body(method_of("tok_1")), ("/payment_methods".to_owned(), "card[token]=tok_1\ntype=card".to_owned()));
    assert_eq!(body(attach("pm_1", "cus_1")), ("/payment_methods/pm_1/attach".to_owned(), "customer=cus_1".to_owned()));
}

#[test]
fn a_page_has_one_line_for_the_whole_amount_and_leads_back() {
    let request = canned::page(false);
    let session = |request: &MoneyRequest, is_open_ended| {
        let visit = request.visit.as_ref().unwrap();
        body(page_request::session(request, visit, visit.page.as_ref().unwrap(), 1500, "pac_1", is_open_ended))
    };
    let (path, pairs) = session(&request, false);
    assert_eq!(path, "/checkout/sessions");
    let expected = "cancel_url=https://box.example/back?turned_back=1\nclient_reference_id=chk_1\nexpires_at=1800003600\n\
        line_items[0][price_data][currency]=usd\nline_items[0][price_data][product_data][name]=Yoga & tea\n\
        line_items[0][price_data][unit_amount]=1500\nline_items[0][quantity]=1\nmetadata[account]=pac_1\nmetadata[key]=chk_1_1\n\
        metadata[reference]=chk_1\nmetadata[via]=page\nmode=payment\npayment_intent_data[capture_method]=automatic\n\
        payment_intent_data[metadata][account]=pac_1\npayment_intent_data[metadata][key]=chk_1_1\n\
        payment_intent_data[metadata][reference]=chk_1\npayment_intent_data[metadata][via]=page\n\
        success_url=https://box.example/back\nui_mode=hosted_page";
    assert_eq!(pairs, expected);
    assert!(!session(&request, true).1.contains("expires_at"));
    let (_, embedded) = session(&canned::page(true), false);
    assert!(embedded.contains("ui_mode=embedded_page") && embedded.contains("\nreturn_url=https://box.example/back"), "{embedded}");
    assert!(!embedded.contains("success_url") && !embedded.contains("cancel_url"), "{embedded}");
    let kept = MoneyRequest { keep_card: true, capture_later: true, ..request };
    let (_, kept) = session(&kept, false);
    for part in
        ["customer_creation=always", "payment_intent_data[setup_future_usage]=off_session", "payment_intent_data[capture_method]=manual"]
    {
        assert!(kept.lines().any(|line| line == part), "{part} in {kept}");
    }
}
