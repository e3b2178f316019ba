//! How a hook appends: with a key and a cause that are made of where it is.

use crate::event::{number, text, BUILTIN};
use crate::server::{Server, Stop};
use serde_json::{json, Value};

/// The `append` of one run of a hook.
pub struct Append<'a> {
    server: &'a Server<'a>,
    path: String,
    key: String,
    slug: String,
    offset: u64,
    depth: u64,
    count: u64,
}

impl<'a> Append<'a> {
    pub fn new(server: &'a Server, slug: &str, key: String, event: &Value) -> Append<'a> {
        let depth = number(&event["source"]["depth"]);
        let (path, offset) = (text(&event["streamPath"]), number(&event["offset"]));
        Append { server, path, key, slug: slug.to_string(), offset, depth, count: 0 }
    }

    pub fn append(&mut self, event: Value) -> Result<(), Stop> {
        let key = format!("{}/{}", self.key, self.count);
        self.count += 1;
        // What will never be accepted is said once, in the stream, and life goes on.
        if let Some(message) = self.send(&event, key)? {
            let about = json!({"kind": "processor", "slug": self.slug, "offset": self.offset});
            let payload = json!({"message": message, "about": about});
            self.send(
                &json!({"type": format!("{BUILTIN}error-occurred"), "payload": payload}),
                format!("{}/error", self.key),
            )?;
        }
        Ok(())
    }

    fn send(&self, event: &Value, key: String) -> Result<Option<String>, Stop> {
        let headers = [
            ("Idempotency-Key", key),
            ("Millrace-Processor", self.slug.clone()),
            ("Millrace-Cause", format!("{}@{}", url_encoded(&self.path), self.offset)),
            ("Millrace-Depth", self.depth.to_string()),
        ];
        self.server.append(&self.path, event, &headers)
    }
}

fn url_encoded(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    path.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
