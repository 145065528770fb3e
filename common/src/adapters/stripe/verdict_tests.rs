use super::super::answer::Intent;
use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        request_id: Some("req_1".to_owned()),
        retry_after: None,
        should_retry: None,
        is_replayed: false,
        body: body.to_owned().into(),
    }
}

fn error(kind: &str, code: &str) -> String {
    format!(r#"{{"error":{{"type":"{kind}","code":"{code}","message":"No such customer: 'cus_1'"}}}}"#)
}

fn name(said: &Said<Intent>) -> &'static str {
    match said {
        Said::Done(_) => "done",
        Said::Refused(_) => "refused",
        Said::NotSent { .. } => "not sent",
        Said::Unknown(Unknown { is_stuck: true, .. }) => "stuck",
        Said::Unknown(_) => "unknown",
    }
}

#[test]
fn every_kind_of_answer_has_its_meaning() {
    let intent = r#"{"id":"pi_1","status":"succeeded","amount":1,"currency":"usd"}"#;
    let cases = [
        (200, intent.to_owned(), "done"),
        (200, "{}".to_owned(), "unknown"),
        (200, "<html>".to_owned(), "unknown"),
        (302, String::new(), "unknown"),
        (400, error("invalid_request_error", "parameter_missing"), "refused"),
        (400, error("idempotency_error", ""), "stuck"),
        (400, "<html>".to_owned(), "unknown"),
        (401, error("invalid_request_error", "api_key_expired"), "not sent"),
        (402, error("card_error", "card_declined"), "refused"),
        (403, error("invalid_request_error", "secret_key_required"), "not sent"),
        (404, error("invalid_request_error", "resource_missing"), "refused"),
        (404, "not here".to_owned(), "unknown"),
        (405, error("invalid_request_error", ""), "unknown"),
        (408, error("api_error", ""), "unknown"),
        (409, error("invalid_request_error", "idempotency_key_in_use"), "unknown"),
        (409, error("idempotency_error", "idempotency_key_in_use"), "unknown"),
        (424, error("api_error", ""), "unknown"),
        (429, error("invalid_request_error", "rate_limit"), "not sent"),
        (429, error("invalid_request_error", "lock_timeout"), "not sent"),
        (429, "<html>".to_owned(), "not sent"),
        (500, error("api_error", ""), "unknown"),
        (502, "<html>Bad gateway</html>".to_owned(), "unknown"),
        (503, error("api_error", ""), "unknown"),
    ];
    for (status, body, meaning) in cases {
        assert_eq!(name(&judge(Ok(answer(status, &body)))), meaning, "{status} {body}");
    }
}

#[test]
fn stripes_own_word_makes_no_more_definite_and_some_less() {
    let declined = error("card_error", "card_declined");
    let again = Answer { should_retry: Some(true), ..answer(402, &declined) };
    assert_eq!(name(&judge(Ok(again))), "unknown");
    let not_again = Answer { should_retry: Some(false), ..answer(500, &error("api_error", "")) };
    assert_eq!(name(&judge(Ok(not_again))), "unknown");
    let replayed = Answer { is_replayed: true, ..answer(500, &error("api_error", "")) };
    assert_eq!(name(&judge(Ok(replayed))), "stuck");
    let repeated = Answer { is_replayed: true, ..answer(402, &declined) };
    assert_eq!(name(&judge(Ok(repeated))), "refused");
}

#[test]
fn a_time_to_wait_is_handed_on() {
    let wait = Answer { retry_after: Some(Duration::from_secs(7)), ..answer(429, "") };
    let Said::<Intent>::NotSent { retry_after, cause } = judge(Ok(wait)) else { panic!("was sent") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    assert!(cause.ends_with("request req_1"), "{cause}");
    let none = judge::<Intent>(Ok(answer(429, "")));
    assert!(matches!(none, Said::NotSent { retry_after: Some(Duration::ZERO), .. }));
}

#[test]
fn the_cause_says_nothing_that_stripe_has_quoted() {
    let said = judge::<Intent>(Ok(answer(500, &error("api_error", "boom"))));
    let Said::Unknown(Unknown { cause, .. }) = said else { panic!("known") };
    assert_eq!(cause, "answered 500 boom, request req_1");
}
