//! Who may buy what: sale windows, limits, tags, ages; and how much is left of a session.

use crate::support::{
    catalogue::{FUTURE, PAST, order, places, put, seated, seats, session, with},
    client::Client,
    system::{Deployment, System},
};
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    if system.deployment == Deployment::Distributed {
        // `--demo` belongs to `serve`: elsewhere a shop makes the same sessions itself.
        put(&shop, "sessions", "ses_demo_full", session(0)).await;
        put(&shop, "sessions", "ses_demo_past", with(&session(20), json!({"starts_at": PAST}))).await;
    }
    tokio::join!(
        sessions_are_sold_in_their_window(&shop),
        a_customer_has_no_more_than_the_limit(&shop),
        tags_and_ages_open_sessions(&shop),
        a_seat_is_sold_once_and_all_lines_or_none(&shop),
        capacity_follows_the_catalogue_but_never_below_what_is_taken(&shop),
    );
}

/// What stands in the way: the error's code and param of a checkout that failed without a charge.
async fn barred(shop: &Client, body: &Value) -> (String, String) {
    let failed = shop.buy(body).await;
    assert_eq!((&failed["status"], &failed["amount_paid"]), (&json!("failed"), &json!(0)), "{failed}");
    assert_eq!(failed["payment_attempts"], json!([]));
    assert!(shop.charges(failed["id"].as_str().unwrap()).await.is_empty());
    let text = |field: &str| failed["error"][field].as_str().unwrap_or_default().to_owned();
    (text("code"), text("param"))
}

async fn sessions_are_sold_in_their_window(shop: &Client) {
    for (id, change, code) in [
        ("ses_demo_full", None, "session_full"),
        ("ses_demo_past", None, "session_passed"),
        ("ses_ended", Some(json!({"sales_end_at": PAST})), "sales_ended"),
        ("ses_early", Some(json!({"sales_start_at": FUTURE})), "sales_not_started"),
        ("ses_canceled", Some(json!({"status": "canceled"})), "session_unavailable"),
        ("ses_draft", Some(json!({"status": "draft"})), "session_unavailable"),
        ("ses_members", Some(json!({"dropins_allowed": false})), "dropins_not_allowed"),
    ] {
        if let Some(change) = change {
            put(shop, "sessions", id, with(&session(20), change)).await;
        }
        assert_eq!(barred(shop, &places(id, 1, "tok_visa")).await, (code.to_owned(), "lines[0]".to_owned()), "{id}");
        assert_eq!(shop.left(id).await.0, 0, "{id}");
    }
}

async fn a_customer_has_no_more_than_the_limit(shop: &Client) {
    put(shop, "sessions", "ses_limit", with(&session(20), json!({"purchase_limit": 3}))).await;
    put(shop, "customers", "cus_greedy", json!({"external_id": "greedy"})).await;
    let limit = || ("purchase_limit_reached".to_owned(), "lines[0]".to_owned());
    let buy = |quantity: u32, customer: Value| with(&places("ses_limit", quantity, "tok_visa"), json!({"customer": customer}));
    assert_eq!(barred(shop, &buy(4, json!("cus_greedy"))).await, limit());
    assert_eq!(shop.buy(&buy(2, json!("cus_greedy"))).await["status"], "succeeded");
    // The same person by its external id.
    let again = shop.buy(&buy(1, json!({"external_id": "greedy"}))).await;
    assert_eq!((&again["status"], &again["customer"]), (&json!("succeeded"), &json!("cus_greedy")), "{again}");
    assert_eq!(barred(shop, &buy(1, json!("cus_greedy"))).await, limit());
    assert_eq!(barred(shop, &places("ses_limit", 4, "tok_visa")).await, limit());
    // Ten at once by one customer: never more than three.
    put(shop, "customers", "cus_hasty", json!({})).await;
    let hasty = buy(1, json!("cus_hasty"));
    let bought = futures::future::join_all((0..10).map(|_| shop.buy(&hasty))).await;
    assert_eq!(bought.iter().filter(|checkout| checkout["status"] == "succeeded").count(), 3);
    assert_eq!(shop.left("ses_limit").await, (6, 0, 14));
}

async fn tags_and_ages_open_sessions(shop: &Client) {
    put(shop, "sessions", "ses_club", with(&session(20), json!({"required_tag": "member"}))).await;
    put(shop, "sessions", "ses_teens", with(&session(20), json!({"starts_at": "2035-06-01T18:00:00Z", "min_age": 13, "max_age": 19})))
        .await;
    put(shop, "customers", "cus_member", json!({"tags": ["member", "vip"], "date_of_birth": "2020-01-31"})).await;
    put(shop, "customers", "cus_stranger", json!({"tags": ["Member"], "date_of_birth": "1990-01-31"})).await;
    let code = async |session: &str, customer: Value| {
        let checkout = shop.buy(&with(&places(session, 1, "tok_visa"), json!({"customer": customer}))).await;
        checkout["error"]["code"].as_str().unwrap_or_else(|| checkout["status"].as_str().unwrap()).to_owned()
    };
    assert_eq!(code("ses_club", json!("cus_member")).await, "succeeded");
    assert_eq!(code("ses_club", json!("cus_stranger")).await, "access_restricted");
    assert_eq!(code("ses_club", json!(null)).await, "access_restricted");
    // 15 on the day.
    assert_eq!(code("ses_teens", json!("cus_member")).await, "succeeded");
    assert_eq!(code("ses_teens", json!("cus_stranger")).await, "age_restricted");
    assert_eq!(code("ses_teens", json!({"external_id": "ageless"})).await, "date_of_birth_required");
    assert_eq!(code("ses_teens", json!({"external_id": "young", "date_of_birth": "2023-01-01"})).await, "age_restricted");
    assert_eq!(code("ses_teens", json!(null)).await, "date_of_birth_required");
    // 13 on 1 June 2035, which it is in UTC when the show begins, and not yet in Honolulu.
    put(shop, "customers", "cus_eve", json!({"date_of_birth": "2022-06-01"})).await;
    put(shop, "sessions", "ses_eve", with(&session(20), json!({"starts_at": "2035-06-01T08:00:00Z", "min_age": 13}))).await;
    assert_eq!(code("ses_eve", json!("cus_eve")).await, "succeeded");
    shop.put("/v1/settings", &json!({"time_zone": "Pacific/Honolulu"})).await.expect(200);
    assert_eq!(code("ses_eve", json!("cus_eve")).await, "age_restricted");
}

async fn a_seat_is_sold_once_and_all_lines_or_none(shop: &Client) {
    put(shop, "sessions", "ses_hall", seated(&["A1", "A2", "B1", "B2"])).await;
    put(shop, "sessions", "ses_last", session(1)).await;
    let sold = shop.buy(&seats("ses_hall", &["A1", "B2"], "tok_visa")).await;
    assert_eq!((&sold["status"], &sold["lines"][0]["seats"]), (&json!("succeeded"), &json!(["A1", "B2"])), "{sold}");
    let taken = || ("seat_taken".to_owned(), "lines[0]".to_owned());
    assert_eq!(barred(shop, &seats("ses_hall", &["A2", "A1"], "tok_visa")).await, taken());
    // The second line cannot be had, so the first is not either.
    let both = |quantity: u32| {
        let lines = json!([
            {"type": "session", "session": "ses_hall", "seats": ["A2"]},
            {"type": "session", "session": "ses_last", "quantity": quantity},
        ]);
        order(lines, "tok_visa")
    };
    assert_eq!(barred(shop, &both(2)).await, ("session_full".to_owned(), "lines[1]".to_owned()));
    let hall = async || shop.get("/v1/sessions/ses_hall/availability").await.expect(200);
    assert_eq!(hall().await["seats"], json!({"A1": "sold", "A2": "available", "B1": "available", "B2": "sold"}));
    // A declined card gives the seat back; a waiting customer holds it.
    assert_eq!(shop.buy(&seats("ses_hall", &["B1"], "tok_declined")).await["status"], "failed");
    let waiting = shop.buy(&seats("ses_hall", &["B1"], "tok_3ds")).await;
    assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
    assert_eq!(hall().await["seats"]["B1"], "held");
    assert_eq!(shop.left("ses_hall").await, (2, 1, 1));
    assert_eq!(barred(shop, &seats("ses_hall", &["B1"], "tok_visa")).await, taken());
    assert_eq!(shop.buy(&both(1)).await["status"], "succeeded");
    // Called off, the seat is free for the next.
    let id = waiting["id"].as_str().unwrap();
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    shop.until(id, "canceled").await;
    assert_eq!(shop.buy(&seats("ses_hall", &["B1"], "tok_visa")).await["status"], "succeeded");
    assert_eq!(shop.left("ses_hall").await, (4, 0, 0));
    // Without a seat that is sold the hall cannot be; more seats are welcome, and on sale at once.
    shop.put("/v1/sessions/ses_hall", &seated(&["A2", "B1", "B2", "C1"])).await.expect_problem(409, "capacity_too_small");
    put(shop, "sessions", "ses_hall", seated(&["A1", "A2", "B1", "B2", "C1"])).await;
    assert_eq!(shop.buy(&seats("ses_hall", &["C1"], "tok_visa")).await["status"], "succeeded");
}

async fn capacity_follows_the_catalogue_but_never_below_what_is_taken(shop: &Client) {
    put(shop, "sessions", "ses_room", session(2)).await;
    assert_eq!(shop.buy(&places("ses_room", 2, "tok_visa")).await["status"], "succeeded");
    let full = || ("session_full".to_owned(), "lines[0]".to_owned());
    assert_eq!(barred(shop, &places("ses_room", 1, "tok_visa")).await, full());
    let problem = shop.put("/v1/sessions/ses_room", &session(1)).await.expect_problem(409, "capacity_too_small");
    assert_eq!(problem["param"], "capacity");
    assert_eq!(shop.left("ses_room").await, (2, 0, 0));
    let before = shop.get("/v1/sessions/ses_room/availability").await;
    put(shop, "sessions", "ses_room", session(3)).await;
    let after = shop.get("/v1/sessions/ses_room/availability").await;
    assert!(after.json()["version"].as_i64() > before.json()["version"].as_i64());
    assert_ne!(after.header("etag"), before.header("etag"));
    assert_eq!(shop.buy(&places("ses_room", 1, "tok_visa")).await["status"], "succeeded");
    assert_eq!(barred(shop, &places("ses_room", 1, "tok_visa")).await, full());
    assert_eq!(shop.left("ses_room").await, (3, 0, 0));
}
