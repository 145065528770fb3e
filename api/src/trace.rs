//! W3C Trace Context: one trace from the POST to the callback, across processes.

use boxoffice_common::domain::id::Entropy;
use http::HeaderMap;

/// A `traceparent` of ours: the client's trace when it sent one, else a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Continues the trace in `headers`, or starts one.
    pub fn of(headers: &HeaderMap, entropy: &Entropy) -> Self {
        let mut random = [0u8; 24];
        entropy.fill(&mut random);
        let (fresh_trace, span) = random.split_at(16);
        let theirs = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(parse);
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        match theirs {
            Some((trace, _)) => text.push_str(trace),
            None => data_encoding::HEXLOWER.encode_append(fresh_trace, &mut text),
        }
        text.push('-');
        data_encoding::HEXLOWER.encode_append(span, &mut text);
        text.push('-');
        text.push_str(theirs.map_or("01", |(_, flags)| flags));
        Self(text)
    }

    /// As it is sent on.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The trace id and the flags of a valid header, <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn parse(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let some = |part: &str| part.bytes().any(|byte| byte != b'0');
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    (known && hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2)).then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", header.parse().unwrap());
        TraceParent::of(&headers, &Entropy::from_seed(1)).0
    }

    #[test]
    fn a_trace_goes_on_under_a_span_of_ours() {
        let ours = of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00");
        assert!(ours.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && ours.ends_with("-00"), "{ours}");
        assert!(!ours.contains("00f067aa0ba902b7"));
        assert_eq!(parse(&ours).map(|(trace, _)| trace), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[test]
    fn what_is_no_trace_is_replaced() {
        let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        for bad in [
            "x",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            &zeros,
        ] {
            let ours = of(bad);
            assert!(parse(&ours).is_some_and(|(trace, _)| !bad.contains(trace)), "{bad} became {ours}");
        }
    }
}
