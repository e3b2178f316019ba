//! Events are kept as JSON values; this is what is needed to look into them.

use serde_json::Value;

pub const BUILTIN: &str = "https://events.iterate.com/events/stream/";

/// A whole number, or 0 where there is none.
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

/// JSON may hold half of a surrogate pair (`\ud800`), which no Rust string can: such an event loses it.
pub fn parse(data: &str) -> Result<Value, String> {
    serde_json::from_str(data)
        .or_else(|_| serde_json::from_str(&without_surrogates(data)))
        .map_err(|error| error.to_string())
}

fn without_surrogates(data: &str) -> String {
    let mut kept = String::new();
    let mut rest = data;
    while let Some(at) = rest.find('\\') {
        let is_surrogate = matches!(
            rest.as_bytes().get(at + 1..at + 4),
            Some([b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
        );
        let end = at + if is_surrogate { 6 } else { 2 };
        kept += if is_surrogate { &rest[..at] } else { &rest[..end] };
        if is_surrogate {
            kept += "\\ufffd";
        }
        rest = &rest[end..];
    }
    kept + rest
}
