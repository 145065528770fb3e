use super::*;

const KEY: &str = "sk_test_51HxPlantedSecretKey4242";

fn stripe(key: &str) -> CredentialParts {
    CredentialParts { secret_key: Some(Secret::new(key.to_owned())), ..CredentialParts::default() }
}

fn mollie(key: &str) -> CredentialParts {
    CredentialParts { api_key: Some(Secret::new(key.to_owned())), ..CredentialParts::default() }
}

fn secrets(texts: &[&str]) -> Option<Vec<Secret<String>>> {
    Some(texts.iter().map(|text| Secret::new((*text).to_owned())).collect())
}

#[test]
fn a_key_is_of_its_provider_and_of_the_mode() {
    let stripe_takes = |key: &str, mode| stripe(key).build(ProviderKind::Stripe, mode).is_ok();
    for (key, mode) in [("sk_test_0123456789", Mode::Test), ("rk_test_0123456789", Mode::Test), ("sk_live_0123456789", Mode::Live)] {
        assert!(stripe_takes(key, mode), "{key}");
        let other = if mode == Mode::Test { Mode::Live } else { Mode::Test };
        assert!(!stripe_takes(key, other), "{key}");
    }
    for bad in ["", "sk_test_", "sk_test_short", "pk_test_0123456789", "sk_test_0123 56789", "sk_test_0123456789\n", " sk_test_0123456789"]
    {
        assert!(!stripe_takes(bad, Mode::Test), "{bad:?}");
    }
    assert!(!stripe_takes(&format!("sk_test_{}", "x".repeat(300)), Mode::Test));
    let mollie_takes = |key: &str, mode| mollie(key).build(ProviderKind::Mollie, mode).is_ok();
    assert!(
        mollie_takes("test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM", Mode::Test) && mollie_takes("live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM", Mode::Live)
    );
    assert!(!mollie_takes("live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM", Mode::Test) && !mollie_takes(KEY, Mode::Test));
}

#[test]
fn what_another_provider_has_is_refused_and_what_is_missing_is_named() {
    let param = |parts: CredentialParts, kind| parts.build(kind, Mode::Test).unwrap_err().param.unwrap();
    assert_eq!(param(CredentialParts::default(), ProviderKind::Stripe), "credentials.secret_key");
    assert_eq!(param(CredentialParts::default(), ProviderKind::Mollie), "credentials.api_key");
    assert_eq!(param(stripe(KEY), ProviderKind::Mollie), "credentials.secret_key");
    let both = CredentialParts { api_key: Some(Secret::new("x".to_owned())), ..stripe(KEY) };
    assert_eq!(param(both, ProviderKind::Stripe), "credentials.api_key");
    let many = CredentialParts { webhook_secrets: secrets(&["whsec_0123456789"; 6]), ..stripe(KEY) };
    assert_eq!(param(many, ProviderKind::Stripe), "credentials.webhook_secrets");
    let twice = CredentialParts { webhook_secrets: secrets(&["whsec_0123456789"; 2]), ..stripe(KEY) };
    assert_eq!(param(twice, ProviderKind::Stripe), "credentials.webhook_secrets");
    let bad = CredentialParts { webhook_secrets: secrets(&["whsec_0123456789", KEY]), ..stripe(KEY) };
    assert_eq!(param(bad, ProviderKind::Stripe), "credentials.webhook_secrets[1]");
    let publishable = CredentialParts { publishable_key: Some("pk_live_0123456789".to_owned()), ..stripe(KEY) };
    assert_eq!(param(publishable, ProviderKind::Stripe), "credentials.publishable_key");
}

#[test]
fn what_is_left_out_of_a_change_stays() {
    let first = CredentialParts { publishable_key: Some("pk_test_0123456789".to_owned()), ..stripe(KEY) };
    let before = first.build(ProviderKind::Stripe, Mode::Test).unwrap();
    let rotated = CredentialParts { webhook_secrets: secrets(&["whsec_0123456789", "whsec_9876543210"]), ..CredentialParts::default() };
    let after = rotated.change(before.clone(), Mode::Test).unwrap();
    let hints = Hints {
        key: "sk_test_…4242".to_owned(),
        publishable_key: Some("pk_test_0123456789".to_owned()),
        account: None,
        webhook_secrets: 2,
    };
    assert_eq!((after.key(), after.hints()), (before.key(), hints));
    let other = stripe("sk_test_9876543210").change(after, Mode::Test).unwrap();
    assert_eq!((other.hints().key.as_str(), other.hints().webhook_secrets), ("sk_test_…3210", 2));
    assert!(stripe("sk_live_9876543210").change(other, Mode::Test).is_err());
}

#[test]
fn nothing_secret_shows_itself_in_debug_or_in_an_error() {
    let parts = CredentialParts { webhook_secrets: secrets(&["whsec_planted_secret"]), ..stripe(KEY) };
    let shown = format!("{parts:?} {:?}", parts.clone().build(ProviderKind::Stripe, Mode::Test).unwrap());
    let errors = [
        parts.clone().build(ProviderKind::Stripe, Mode::Live).unwrap_err(),
        parts.build(ProviderKind::Mollie, Mode::Test).unwrap_err(),
        mollie(KEY).build(ProviderKind::Mollie, Mode::Test).unwrap_err(),
    ];
    let shown = format!("{shown} {errors:?}");
    assert!(!shown.contains("lanted"), "{shown}");
}

#[test]
fn credentials_are_read_back_as_they_were_sealed() {
    let parts = CredentialParts { webhook_secrets: secrets(&["whsec_0123456789"]), ..stripe(KEY) };
    for built in [parts.build(ProviderKind::Stripe, Mode::Test), mollie("test_0123456789abc").build(ProviderKind::Mollie, Mode::Test)] {
        let built = built.unwrap();
        let text = serde_json::to_string(&built).unwrap();
        assert_eq!(serde_json::from_str::<Credentials>(&text).unwrap(), built);
    }
}

#[test]
fn a_name_is_for_people() {
    assert!(check_name("Main account, CH").is_ok() && check_name(&"é".repeat(100)).is_ok());
    for bad in ["", "a\nb", &"x".repeat(101)] {
        assert_eq!(check_name(bad).unwrap_err().param.as_deref(), Some("name"));
    }
}
