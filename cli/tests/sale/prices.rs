//! Prices: sums, discounts, taxes, currencies, echoes; and everything that is refused at once, which leaves nothing behind.

use crate::support::{
    catalogue::{custom, order, places, put, seated, seats, session, with},
    client::Client,
    system::System,
};
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_plain", session(50)).await;
    put(&shop, "sessions", "ses_taxed", with(&session(50), json!({"tax_rate_bp": 825}))).await;
    put(&shop, "sessions", "ses_seats", seated(&["A1", "A2", "A3"])).await;
    put(&shop, "promo-codes", "TENTH", json!({"percent_off_bp": 1000})).await;
    put(&shop, "promo-codes", "FIVER", json!({"amount_off": 500, "currency": "usd", "applies_to": ["ses_plain"]})).await;
    put(&shop, "promo-codes", "OLD", json!({"percent_off_bp": 1000, "ends_at": "2020-01-01T00:00:00Z"})).await;
    put(&shop, "promo-codes", "OFF", json!({"percent_off_bp": 1000, "active": false})).await;
    put(&shop, "promo-codes", "EURO", json!({"amount_off": 500, "currency": "eur"})).await;
    let variants = json!([{"id": "blue", "name": "blue"}, {"id": "gold", "name": "gold", "unit_amount": 9900}]);
    put(&shop, "products", "prd_mat", json!({"name": "Mat", "unit_amount": 2500, "currency": "usd", "variants": variants})).await;
    put(&shop, "products", "prd_gone", json!({"name": "Gone", "unit_amount": 100, "currency": "usd", "active": false})).await;
    // Refusals first: they leave nothing behind, which an empty list of checkouts shows.
    what_cannot_be_sold_is_refused_at_once(&shop).await;
    let made = shop.get("/v1/checkouts").await.expect(200);
    assert_eq!(made, json!({"data": [], "next_cursor": null}));
    let customers = shop.get("/v1/customers?limit=100").await.expect(200);
    assert!(customers["data"].as_array().unwrap().iter().all(|customer| customer["external_id"] != "u-refused"), "{customers}");
    tokio::join!(
        discounts_come_before_taxes_and_lines_add_up(&shop),
        every_currency_has_its_own_minor_unit(&shop),
        a_code_that_is_used_up_is_no_use(&shop),
        stock_of_goods_runs_out(&shop),
    );
}

/// `[subtotal, discount, tax, total, paid]` of a checkout that was sold.
async fn sums(shop: &Client, body: &Value) -> Value {
    let sold = shop.buy(body).await;
    assert_eq!(sold["status"], "succeeded", "{sold}");
    json!(["amount_subtotal", "amount_discount", "amount_tax", "amount_total", "amount_paid"].map(|field| sold[field].clone()))
}

async fn discounts_come_before_taxes_and_lines_add_up(shop: &Client) {
    let taxed = places("ses_taxed", 3, "tok_visa");
    assert_eq!(sums(shop, &taxed).await, json!([4500, 0, 371, 4871, 4871]));
    assert_eq!(sums(shop, &with(&taxed, json!({"promo_code": "TENTH"}))).await, json!([4500, 450, 334, 4384, 4384]));
    let mixed = json!([
        {"type": "session", "session": "ses_plain", "quantity": 1, "unit_amount": 1500},
        {"type": "session", "session": "ses_seats", "seats": ["A3"]},
        {"type": "product", "product": "prd_mat", "variant": "gold", "quantity": 2},
        {"type": "product", "product": "prd_mat", "variant": "blue"},
        {"type": "custom", "name": "Shoe hire", "unit_amount": 250, "quantity": 2},
    ]);
    let mixed = with(&order(mixed, "tok_visa"), json!({"promo_code": "FIVER"}));
    let sold = shop.buy(&mixed).await;
    assert_eq!(sold["status"], "succeeded", "{sold}");
    let shown: Vec<Value> =
        sold["lines"].as_array().unwrap().iter().map(|line| json!([line["name"], line["quantity"], line["amount"]])).collect();
    assert_eq!(
        json!(shown),
        json!([["Evening class", 1, 1500], ["Gala", 1, 5000], ["Mat, gold", 2, 19800], ["Mat, blue", 1, 2500], ["Shoe hire", 2, 500]])
    );
    assert_eq!((&sold["amount_subtotal"], &sold["amount_discount"], &sold["amount_total"]), (&json!(29300), &json!(500), &json!(28800)));
    assert_eq!(sold["promo_code"], "FIVER");
    // A discount is never more than what it is for.
    put(shop, "promo-codes", "HUGE", json!({"amount_off": 1_000_000, "currency": "usd"})).await;
    let nothing = with(&places("ses_plain", 1, "tok_visa"), json!({"promo_code": "HUGE"}));
    assert_eq!(sums(shop, &nothing).await, json!([1500, 1500, 0, 0, 0]));
}

async fn every_currency_has_its_own_minor_unit(shop: &Client) {
    for (currency, words) in [("jpy", "1250 jpy"), ("kwd", "1.250 kwd"), ("eur", "12.50 eur")] {
        let id = format!("ses_{currency}");
        put(shop, "sessions", &id, with(&session(5), json!({"currency": currency, "unit_amount": 1250}))).await;
        let body = with(&places(&id, 1, "tok_visa"), json!({"currency": currency.to_uppercase()}));
        assert_eq!(sums(shop, &body).await, json!([1250, 0, 0, 1250, 1250]));
        let wrong = json!([{"type": "session", "session": id, "quantity": 1, "unit_amount": 1}]);
        let problem = shop.refused(&with(&body, json!({"lines": wrong}))).await.expect_problem(422, "price_mismatch");
        assert_eq!(problem["param"], "lines[0].unit_amount");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

async fn a_code_that_is_used_up_is_no_use(shop: &Client) {
    put(shop, "promo-codes", "TWICE", json!({"percent_off_bp": 5000, "max_uses": 2})).await;
    let body = with(&places("ses_plain", 1, "tok_visa"), json!({"promo_code": "TWICE"}));
    // A decline gives the use back.
    let declined = with(&places("ses_plain", 1, "tok_declined"), json!({"promo_code": "TWICE"}));
    assert_eq!(shop.buy(&declined).await["error"]["code"], "card_declined");
    assert_eq!(sums(shop, &body).await, json!([1500, 750, 0, 750, 750]));
    assert_eq!(sums(shop, &body).await, json!([1500, 750, 0, 750, 750]));
    let third = shop.buy(&body).await;
    assert_eq!((&third["status"], &third["error"]["code"]), (&json!("failed"), &json!("promo_code_invalid")), "{third}");
    assert_eq!(third["error"]["param"], "promo_code");
    assert!(shop.charges(third["id"].as_str().unwrap()).await.is_empty());
    shop.put("/v1/promo-codes/TWICE", &json!({"percent_off_bp": 5000, "max_uses": 1})).await.expect_problem(409, "capacity_too_small");
}

async fn stock_of_goods_runs_out(shop: &Client) {
    put(shop, "products", "prd_few", json!({"name": "Poster", "unit_amount": 900, "currency": "usd", "stock": 3})).await;
    let buy = |quantity: u32, token: &str| order(json!([{"type": "product", "product": "prd_few", "quantity": quantity}]), token);
    assert_eq!(shop.buy(&buy(2, "tok_visa")).await["status"], "succeeded");
    let too_many = shop.buy(&buy(2, "tok_visa")).await;
    assert_eq!((&too_many["error"]["code"], &too_many["error"]["param"]), (&json!("product_sold_out"), &json!("lines[0]")), "{too_many}");
    assert!(shop.charges(too_many["id"].as_str().unwrap()).await.is_empty());
    assert_eq!(shop.buy(&buy(1, "tok_declined")).await["error"]["code"], "card_declined");
    assert_eq!(shop.buy(&buy(1, "tok_visa")).await["status"], "succeeded");
    let less = json!({"name": "Poster", "unit_amount": 900, "currency": "usd", "stock": 2});
    shop.put("/v1/products/prd_few", &less).await.expect_problem(409, "capacity_too_small");
}

async fn what_cannot_be_sold_is_refused_at_once(shop: &Client) {
    let line = |line: Value| order(json!([line]), "tok_visa");
    let plain = places("ses_plain", 1, "tok_visa");
    let promo = |code: &str| with(&plain, json!({"promo_code": code}));
    let cash = |amount: i64| json!({"payment": {"methods": [{"type": "custom", "name": "cash", "amount": amount}]}});
    for (body, status, code, param) in [
        (places("ses_nowhere", 1, "tok_visa"), 422, "resource_missing", "lines[0].session"),
        (line(json!({"type": "product", "product": "prd_nowhere"})), 422, "resource_missing", "lines[0].product"),
        (line(json!({"type": "product", "product": "prd_gone"})), 422, "resource_missing", "lines[0].product"),
        (line(json!({"type": "product", "product": "prd_mat"})), 400, "parameter_invalid", "lines[0].variant"),
        (line(json!({"type": "product", "product": "prd_mat", "variant": "red"})), 422, "resource_missing", "lines[0].variant"),
        (seats("ses_seats", &["Z9"], "tok_visa"), 422, "resource_missing", "lines[0].seats[0]"),
        (seats("ses_seats", &["A1", "A1"], "tok_visa"), 400, "parameter_invalid", "lines[0].seats[1]"),
        (places("ses_seats", 1, "tok_visa"), 400, "parameter_invalid", "lines[0].seats"),
        (seats("ses_plain", &["A1"], "tok_visa"), 400, "parameter_invalid", "lines[0].seats"),
        (with(&plain, json!({"customer": "cus_nobody"})), 422, "resource_missing", "customer"),
        (with(&plain, json!({"customer": {"external_id": "u-refused"}, "promo_code": "NOPE"})), 422, "promo_code_invalid", "promo_code"),
        (promo("NOPE"), 422, "promo_code_invalid", "promo_code"),
        (promo("10 % off!"), 422, "promo_code_invalid", "promo_code"),
        (promo("OLD"), 422, "promo_code_invalid", "promo_code"),
        (promo("OFF"), 422, "promo_code_invalid", "promo_code"),
        (promo("EURO"), 422, "promo_code_invalid", "promo_code"),
        (with(&custom(100, "tok_visa"), json!({"promo_code": "FIVER"})), 422, "promo_code_invalid", "promo_code"),
        (with(&plain, json!({"currency": "eur"})), 422, "currency_mismatch", "lines[0]"),
        (line(json!({"type": "session", "session": "ses_plain", "unit_amount": 1499})), 422, "price_mismatch", "lines[0].unit_amount"),
        (with(&plain, cash(1499)), 422, "payment_amount_mismatch", "payment.methods[0].amount"),
        (
            line(json!({"type": "custom", "name": "Gold", "unit_amount": 1_000_000_000_000i64, "quantity": 2})),
            422,
            "amount_out_of_range",
            "lines[0]",
        ),
        (line(json!({"type": "plan", "plan": "pln_none"})), 422, "resource_missing", "lines[0].plan"),
        (
            with(
                &plain,
                json!({"payment": {"hosted": {"options": {"card": {"disable": true}, "mobile_money": {"disable": true}, "bank": {"enabled_providers": ["nobody"]}, "wallet": {"disabled_providers": ["dw001"]}}}}}),
            ),
            422,
            "unsupported",
            "payment.hosted.options",
        ),
    ] {
        let problem = shop.refused(&body).await.expect_problem(status, code);
        assert_eq!(problem["param"], param, "{body}");
    }
}
