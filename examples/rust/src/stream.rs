//! What is known of one stream: with --children there are many, each with a state and a cursor of its own.

use crate::event::number;
use crate::{initial_state, VERSION};
use serde_json::{json, Value};

/// What is known of one stream. `saved` is what is done; the rest is as far as it was read.
pub struct Stream {
    pub saved: Value,
    pub stream_id: Value,
    pub is_new_version: bool,
    pub reduced: u64,
    pub state: Value,
    pub paused: bool,
    pub last: Option<Value>,
    pub interrupted: Option<(Value, Value)>,
}

/// A hook that is to run (without an event: the decision), the token before it, and what to save behind it.
pub struct Work {
    pub path: String,
    pub event: Option<Value>,
    pub last: Value,
    pub before: Option<String>,
    pub done: Value,
}

impl Stream {
    pub fn new(saved: Value) -> Stream {
        let is_new_version = saved["version"] != VERSION;
        let state = if is_new_version { initial_state() } else { saved["state"].clone() };
        Stream {
            stream_id: saved["streamId"].clone(),
            is_new_version,
            reduced: if is_new_version { 0 } else { number(&saved["cursor"]) },
            state,
            paused: saved["paused"] == true && !is_new_version,
            last: None,
            interrupted: None,
            saved,
        }
    }

    pub fn work(&self, path: &str, event: Option<Value>, before: Option<String>) -> Work {
        let last = self.last.clone().expect("something was reduced");
        Work { path: path.to_string(), event, last, before, done: self.done() }
    }

    /// What to save when everything up to here is done.
    pub fn done(&self) -> Value {
        let Stream { stream_id, reduced, paused, state, .. } = self;
        json!({"streamId": stream_id, "cursor": reduced, "begun": 0, "paused": paused, "version": VERSION, "state": state})
    }
}

impl Default for Stream {
    fn default() -> Stream {
        let state = initial_state();
        Stream::new(
            json!({"streamId": "", "cursor": 0, "begun": 0, "paused": false, "version": VERSION, "state": state}),
        )
    }
}
