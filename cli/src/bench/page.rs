//! What a customer does on the payment page: opens it, sends its form, and goes where that leads.

use super::client::{Connection, Question};
use http::StatusCode;

/// What every form for a payment holds, and no other.
const PAYS: &str = r#"name="intent" value="pay""#;

/// Pays with a card that is approved. The answer to the form waits for what comes of it, up to a bound: when that was the end, it leads back to
/// the shop and says which one; nothing when it leads to our page.
pub(super) async fn pay(connection: &mut Connection, payment_url: &str) -> Result<Option<String>, String> {
    let url = url::Url::parse(payment_url).map_err(|_| "a payment_url that is none".to_owned())?;
    let page = connection.ask(Question::get(url.path())).await.map_err(|fault| fault.label().to_owned())?;
    if page.status != StatusCode::OK {
        return Err(format!("{} for the payment page", page.status.as_u16()));
    }
    let html = String::from_utf8_lossy(&page.body);
    let form = html.split_once(PAYS).map(|(_, form)| form).ok_or("a payment page without a form")?;
    let (n, proof) = value(form, "n").zip(value(form, "form")).ok_or("a form without its hidden fields")?;
    let body = format!("intent=pay&n={n}&form={proof}&card=tok_visa");
    let sent = connection.ask(Question::form(url.path(), body)).await.map_err(|fault| fault.label().to_owned())?;
    match sent.status {
        StatusCode::SEE_OTHER => Ok(sent.location.as_deref().and_then(end)),
        other => Err(format!("{} for the payment form", other.as_u16())),
    }
}

/// How it has ended, as the signed way back to the shop says.
fn end(location: &str) -> Option<String> {
    let shop = url::Url::parse(location).ok()?;
    shop.query_pairs().find(|(name, _)| name == "status").map(|(_, status)| status.into_owned())
}

/// What a hidden field says: digits, or letters that need no escape.
fn value<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = form.split_once(&format!(r#"name="{name}" value=""#))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_to_the_shop_says_how_it_ended_and_the_way_to_the_page_says_nothing() {
        assert_eq!(end("https://shop.example/thanks?a=1&status=succeeded&signature=x").as_deref(), Some("succeeded"));
        assert_eq!(end("/chk_1_token?after=submit"), None);
        assert_eq!(end("https://shop.example/pay?after=submit"), None);
    }

    #[test]
    fn a_hidden_field_is_read_from_the_form_that_pays() {
        let html = r#"<input name="intent" value="cancel"><input name="n" value="9"><input name="intent" value="pay"> <input name="n" value="1"><input name="form" value="aB-_3">"#;
        let (_, form) = html.split_once(PAYS).unwrap();
        assert_eq!((value(form, "n"), value(form, "form"), value(form, "card")), (Some("1"), Some("aB-_3"), None));
    }
}
