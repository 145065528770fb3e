//! Work as it travels: short JSON. The lane is not in it, it is the routing key.

use crate::{
    domain::{claim::Want, time::Timestamp},
    ports::queue::{Lane, Work},
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    i: Cow<'a, str>,
    s: Cow<'a, str>,
    /// Milliseconds since 1970.
    t: i64,
    #[serde(default, skip_serializing_if = "<[Want]>::is_empty")]
    w: Cow<'a, [Want]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<Cow<'a, str>>,
}

/// The body of a message.
pub(super) fn encode(work: &Work) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Wire {
        i: Cow::Borrowed(&work.id),
        s: Cow::Borrowed(&work.scope),
        t: work.enqueued_at.millis(),
        w: Cow::Borrowed(&work.wants),
        p: work.trace.as_deref().map(Cow::Borrowed),
    })
}

/// Work from the body of a message that came through `lane`.
pub(super) fn decode(lane: Lane, body: &[u8]) -> Result<Work, serde_json::Error> {
    let wire: Wire<'_> = serde_json::from_slice(body)?;
    Ok(Work {
        lane,
        id: wire.i.into_owned(),
        scope: wire.s.into_owned(),
        enqueued_at: Timestamp::from_millis(wire.t),
        wants: wire.w.into_owned(),
        trace: wire.p.map(Cow::into_owned),
    })
}

/// The lane that a routing key means.
pub(super) fn lane(routing_key: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.as_str() == routing_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_survives_the_journey_and_is_short() {
        let work = Work {
            lane: Lane::Money,
            id: "co_1".to_owned(),
            scope: "acme/live".to_owned(),
            enqueued_at: Timestamp::from_millis(1_900_000_000_123),
            wants: Vec::new(),
            trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let body = encode(&work).unwrap();
        assert!(body.len() < 130, "{} bytes", body.len());
        assert_eq!(decode(Lane::Money, &body).unwrap(), work);
    }

    #[test]
    fn garbage_is_an_error() {
        for garbage in [&b""[..], b"{}", b"[]", b"\xff", br#"{"i":1,"s":"a/b","t":0}"#] {
            assert!(decode(Lane::Checkouts, garbage).is_err());
        }
        assert_eq!(lane("elsewhere"), None);
    }
}
