//! What a page says and shows of one checkout, and what a client says of lines of its own.

use crate::{
    browser::{load, text, waiting},
    server::Server,
};
use serde_json::{Value, json};

fn order(hosted: Value, line: Value) -> Value {
    let mut line = line;
    line["type"] = json!("custom");
    line["name"] = json!("Hire of the hall");
    line["unit_amount"] = json!(5_000);
    json!({"currency": "usd", "lines": [line], "payment": {"hosted": hosted}})
}

#[tokio::test]
async fn a_page_has_its_own_title_words_and_colour_and_else_those_of_the_tenant() {
    let server = Server::start().await;
    assert_eq!(server.put("/v1/settings", &json!({"name": "Studio", "color": "#112233"})).await.code(), 200);
    let page = async |hosted, line| {
        let (id, path) = waiting(&server, &order(hosted, line)).await;
        (server.get(&format!("/v1/checkouts/{id}")).await.json(), text(&load(&server, &path).await))
    };
    let (plain, html) = page(json!({}), json!({})).await;
    assert!(html.contains("brand.css?c=112233") && html.contains(">Your order</h2>"), "{html}");
    assert_eq!(
        plain["lines"][0].as_object().unwrap().keys().filter(|key| ["description", "reference", "images"].contains(&key.as_str())).count(),
        0
    );
    let looks = json!({"title": "Wedding <of Ada>", "description": "Deposit & hire", "color": "#FFEB3B"});
    let about = json!({"description": "The <big> one", "reference": "hall-1", "images": ["https://img.example/hall.png"]});
    let (own, html) = page(looks, about.clone()).await;
    assert!(html.contains("brand.css?c=ffeb3b") && !html.contains("112233"), "{html}");
    for words in ["Wedding &#60;of Ada&#62;", "Deposit &#38; hire", "The &#60;big&#62; one"] {
        assert!(html.contains(words), "{words} in {html}");
    }
    assert!(!html.contains("img.example") && !html.contains("<img"), "nothing is loaded from elsewhere: {html}");
    for field in ["description", "reference", "images"] {
        assert_eq!(own["lines"][0][field], about[field], "{own}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_page_or_a_line_is_bounded() {
    let server = Server::start().await;
    let long = "x".repeat(1_001);
    for (hosted, line, param) in [
        (json!({"color": "red"}), json!({}), "payment.hosted.color"),
        (json!({"title": "x".repeat(201)}), json!({}), "payment.hosted.title"),
        (json!({"description": long}), json!({}), "payment.hosted.description"),
        (json!({}), json!({"description": long}), "lines[0].description"),
        (json!({}), json!({"reference": "x".repeat(256)}), "lines[0].reference"),
        (json!({}), json!({"images": vec!["https://img.example/"; 11]}), "lines[0].images"),
        (json!({}), json!({"images": ["https://img.example/", "http://img.example/"]}), "lines[0].images[1]"),
        (json!({}), json!({"images": ["javascript:alert(1)"]}), "lines[0].images[0]"),
        (json!({}), json!({"images": ["é"]}), "lines[0].images[0]"),
    ] {
        let reply = server.checkout(&format!("bad-{param}"), &order(hosted, line)).await;
        assert_eq!((reply.code(), reply.json()["param"].as_str()), (400, Some(param)), "{:?}", reply.body);
    }
    let session = json!({"currency": "usd", "lines": [{"type": "session", "session": "ses_yoga", "description": "x"}]});
    assert_eq!(server.checkout("session", &session).await.json()["code"], "parameter_unknown");
}
