use super::*;
use crate::fields::typed;
use boxoffice_common::domain::scope::Mode;

fn body() -> Value {
    json!({
        "name": "Order 7", "lineItems": [{"type": "custom", "name": "Bread", "price": {"currency": "SLE", "value": 1500}}],
    })
}

fn with(more: &Value) -> Value {
    let mut body = body();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn read(body: Value) -> Result<Submission, (&'static str, String)> {
    let said = |problem: Problem| (problem.code(), problem.param().unwrap_or_default().to_owned());
    let session: CreateSession = typed(body).map_err(said)?;
    let idempotency = IdempotencyRow { route: String::new(), key: String::new(), body_hash: String::new() };
    let scope = Arc::new(Scope::new("demo", Mode::Test).unwrap());
    let trace = TraceParent::of(&http::HeaderMap::new(), &boxoffice_common::domain::id::Entropy::from_seed(1));
    session.into_submission(scope, SpaceId::parse("spc-1").unwrap(), idempotency, trace).map_err(said)
}

#[test]
fn everything_that_they_say_is_kept_where_it_belongs() {
    let submission = read(with(&json!({
        "description": "Two loaves", "cancelUrl": "https://shop.example/cart", "successUrl": "https://shop.example/thanks",
        "callbackState": "s", "reference": "r", "financialAccountId": "fac-1", "a_later_field": {},
        "lineItems": [
            {"type": "custom", "name": "Bread", "price": {"currency": "SLE", "value": 1500}, "quantity": 2, "reference": "b",
                "description": "White", "images": ["https://img.example/b.png"]},
            {"name": "Salt", "price": {"currency": "sle", "value": 1}},
        ],
        "paymentOptions": {"card": {"disable": true}, "momo": {"enabledProviders": ["m17", "anybody"]}, "bank": {"disabledProviders": ["slb001"]}},
        "brandingOptions": {"primaryColor": "#FFEB3B"}, "metadata": {"a": [1]},
    })))
    .unwrap();
    let page = submission.page.unwrap();
    assert!(page.options.card.disable && page.options.mobile_money.offers("m17") && !page.options.mobile_money.offers("m18"));
    assert!(!page.options.bank.offers("slb001") && page.options.bank.offers("slb002") && page.options.wallet.offers("dw001"));
    assert_eq!((page.looks.title.as_deref(), page.looks.description.as_deref()), (Some("Order 7"), Some("Two loaves")));
    assert_eq!(page.looks.color, Color::parse("#ffeb3b"));
    let lines = &submission.cart.lines;
    assert_eq!(lines.iter().map(|line| (line.quantity, line.unit_amount.unwrap().minor())).collect::<Vec<_>>(), [(2, 1500), (1, 1)]);
    let CartItem::Custom { name, about } = &lines[0].item else { panic!() };
    assert_eq!((name.as_str(), about.reference.as_deref(), about.description.as_deref()), ("Bread", Some("b"), Some("White")));
    assert_eq!(about.images, ["https://img.example/b.png"]);
    assert_eq!(Value::Object(submission.metadata), json!({"a": [1], "monime": {"financialAccountId": "fac-1"}}));
    assert_eq!((submission.space.unwrap().as_str(), submission.expires_in.as_secs()), ("spc-1", 86_400));
}

#[test]
fn what_is_empty_or_null_is_left_out() {
    let nothing = json!({
        "description": "", "cancelUrl": "", "successUrl": null, "callbackState": "", "reference": null, "financialAccountId": "",
        "paymentOptions": {"card": null, "momo": {"disable": null, "enabledProviders": null}}, "brandingOptions": {"primaryColor": ""}, "metadata": null,
    });
    let submission = read(with(&nothing)).unwrap();
    let page = submission.page.unwrap();
    assert_eq!((page.options, page.looks), (PaymentOptions::default(), Looks { title: Some("Order 7".to_owned()), ..Looks::default() }));
    assert!(submission.success_url.is_none() && submission.cancel_url.is_none() && submission.metadata.is_empty());
}

#[test]
fn what_cannot_be_done_is_named_where_it_stands() {
    let item = |more: Value| {
        let mut item = body()["lineItems"][0].clone();
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "lineItems": [body()["lineItems"][0], item] })
    };
    for (more, code, param) in [
        (json!({"name": ""}), "parameter_invalid", "name"),
        (json!({"name": 7}), "parameter_invalid", "name"),
        (json!({"name": "x".repeat(201)}), "parameter_invalid", "name"),
        (json!({"description": "x".repeat(1_001)}), "parameter_invalid", "description"),
        (json!({"successUrl": "javascript:alert(1)"}), "parameter_invalid", "successUrl"),
        (json!({"cancelUrl": "/cart"}), "parameter_invalid", "cancelUrl"),
        (json!({"callbackState": "x".repeat(1_025)}), "parameter_invalid", "callbackState"),
        (json!({"reference": "x".repeat(256)}), "parameter_invalid", "reference"),
        (json!({"financialAccountId": "x".repeat(256)}), "parameter_invalid", "financialAccountId"),
        (json!({"metadata": {"monime": 1}}), "parameter_invalid", "metadata.monime"),
        (json!({"metadata": []}), "parameter_invalid", "metadata"),
        (json!({"lineItems": []}), "parameter_invalid", "lineItems"),
        (json!({"lineItems": vec![body()["lineItems"][0].clone(); 51]}), "parameter_invalid", "lineItems"),
        (item(json!({"type": "product"})), "parameter_invalid", "lineItems[1].type"),
        (item(json!({"name": ""})), "parameter_invalid", "lineItems[1].name"),
        (item(json!({"quantity": 0})), "parameter_invalid", "lineItems[1].quantity"),
        (item(json!({"quantity": -1})), "parameter_invalid", "lineItems[1].quantity"),
        (item(json!({"quantity": 1_001})), "parameter_invalid", "lineItems[1].quantity"),
        (item(json!({"price": {"currency": "SLE"}})), "parameter_missing", "lineItems[1].price.value"),
        (item(json!({"price": {"currency": "SLE", "value": 0}})), "parameter_invalid", "lineItems[1].price.value"),
        (item(json!({"price": {"currency": "SLE", "value": 1.5}})), "parameter_invalid", "lineItems[1].price.value"),
        (item(json!({"price": {"currency": "leones", "value": 1}})), "parameter_invalid", "lineItems[1].price.currency"),
        (item(json!({"price": {"currency": "USD", "value": 1}})), "currency_mismatch", "lineItems[1].price.currency"),
        (item(json!({"images": ["http://img.example/"]})), "parameter_invalid", "lineItems[1].images[0]"),
        (item(json!({"images": vec!["https://img.example/"; 11]})), "parameter_invalid", "lineItems[1].images"),
        (json!({"brandingOptions": {"primaryColor": "red"}}), "parameter_invalid", "brandingOptions.primaryColor"),
        (json!({"paymentOptions": {"momo": {"enabledProviders": [""]}}}), "parameter_invalid", "paymentOptions.momo.enabledProviders[0]"),
        (
            json!({"paymentOptions": {"bank": {"disabledProviders": vec!["x"; 51]}}}),
            "parameter_invalid",
            "paymentOptions.bank.disabledProviders",
        ),
        (json!({"paymentOptions": {"card": {"disable": "yes"}}}), "parameter_invalid", "paymentOptions.card.disable"),
    ] {
        assert_eq!(read(with(&more)).unwrap_err(), (code, param.to_owned()), "{more}");
    }
}

#[test]
fn a_list_is_one_to_fifty_of_a_state_that_there_is() {
    let read =
        |query: Value| typed::<Listing>(query).and_then(Listing::read).map_err(|problem| problem.param().unwrap_or_default().to_owned());
    let (statuses, page) = read(json!({"a_later_parameter": "x"})).unwrap();
    assert_eq!((statuses.len(), page.limit, page.after), (0, 10, None));
    let (statuses, page) = read(json!({"limit": "50", "after": "chk_1", "status": "cancelled"})).unwrap();
    assert_eq!((statuses, page.limit, page.after.as_deref()), (vec![Status::Failed, Status::Canceled], 50, Some("chk_1")));
    for (query, param) in [
        (json!({"limit": "0"}), "limit"),
        (json!({"limit": "51"}), "limit"),
        (json!({"limit": "ten"}), "limit"),
        (json!({"after": "a b"}), "after"),
        (json!({"status": "paid"}), "status"),
    ] {
        assert_eq!(read(query).unwrap_err(), param);
    }
}

#[tokio::test]
async fn a_space_is_named_once_and_is_no_card() {
    let read = async |values: &[&str]| {
        let request = values.iter().fold(http::Request::get("/"), |request, value| request.header(SPACE, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        let space = Space::from_request_parts(&mut parts, &()).await;
        space.map(|space| space.0.to_string()).map_err(|problem| problem.code())
    };
    assert_eq!(read(&["spc-k6SmQ7"]).await, Ok("spc-k6SmQ7".to_owned()));
    let long = "x".repeat(65);
    for (values, code) in [
        (&[][..], "parameter_missing"),
        (&[""], "parameter_invalid"),
        (&["a b"], "parameter_invalid"),
        (&[long.as_str()], "parameter_invalid"),
        (&["a", "b"], "parameter_invalid"),
        (&["4242424242424242"], "card_number_refused"),
    ] {
        assert_eq!(read(values).await, Err(code), "{values:?}");
    }
}
