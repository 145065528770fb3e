use super::*;

fn page(entropy: &Entropy) -> Hosted {
    Hosted::new(PaymentOptions::default(), UiMode::Hosted, "https://pay.example", entropy)
}

#[test]
fn a_link_leads_back_to_its_checkout_and_opens_no_other() {
    let entropy = Entropy::from_seed(1);
    let (one, other) = (page(&entropy), page(&entropy));
    let id = CheckoutId::generate(&entropy, Timestamp::from_millis(1_000));
    let url = one.url(&id);
    let segment = url.strip_prefix("https://pay.example/pay/").unwrap();
    let (found, token) = read_link(segment).unwrap();
    assert_eq!((found, token.len()), (id, 43));
    assert!(one.is_opened_by(token) && !other.is_opened_by(token));
    for wrong in ["", "a", &token[1..], &token.to_lowercase(), &format!("{token}a")] {
        assert!(!one.is_opened_by(wrong), "{wrong}");
    }
    assert!(!format!("{one:?}").contains(token), "it is not written where a log could quote it");
    for bad in ["", "chk_1", ".token", "../x.token", "chk 1.token"] {
        assert_eq!(read_link(bad), None, "{bad}");
    }
}

#[test]
fn providers_are_offered_unless_they_or_their_kind_are_left_out() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let option = |disable, enabled: &[&str], disabled: &[&str]| ProviderOption {
        disable,
        enabled_providers: named(enabled),
        disabled_providers: named(disabled),
    };
    assert!(option(false, &[], &[]).offers("mpesa"));
    assert!(option(false, &["mpesa"], &[]).offers("mpesa") && !option(false, &["mpesa"], &[]).offers("airtel"));
    assert!(!option(false, &["mpesa"], &["mpesa"]).offers("mpesa") && !option(false, &[], &["mpesa"]).offers("mpesa"));
    assert!(!option(true, &["mpesa"], &[]).offers("mpesa"));
}

#[test]
fn what_is_frozen_is_read_again_and_what_is_usual_takes_no_room() {
    let hosted = page(&Entropy::from_seed(1));
    let leg = Leg { amount: crate::domain::money::Amount::from_minor(1500), tender: Tender::Hosted(Box::new(hosted)) };
    let text = serde_json::to_string(&leg).unwrap();
    assert!(text.contains(r#""type":"hosted""#) && !text.contains("options"), "{text}");
    assert_eq!(serde_json::from_str::<Leg>(&text).unwrap(), leg);
}
