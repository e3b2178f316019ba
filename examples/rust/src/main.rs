//! A Millrace processor with std, serde_json and ureq: it answers each `ping` {n} with a `pong` {n, count}.
//!
//! This file is the processor itself, all that another one would have to change. `delivery.rs` is section 9 of
//! PROTOCOL.md as a program: what is reduced, acted on and saved. `server.rs` talks HTTP. `../python` is the same in
//! Python.

mod append;
mod cursor_file;
mod delivery;
mod event;
mod options;
mod server;
mod stream;

use append::Append;
use delivery::{Delivery, Interrupted, Outcome};
use event::number;
use options::Options;
use serde_json::{json, Value};
use server::{Server, Stop};

/// Of `reduce`: raise it when it changes its meaning, and the state is reduced again from the start.
pub const VERSION: u64 = 1;

pub fn initial_state() -> Value {
    json!({"pings": 0, "latest": null, "answered": 0})
}

/// Pure: the next state. Sees every event exactly once, in order; from its own pongs it knows what is answered.
pub fn reduce(state: &Value, event: &Value, is_own: bool) -> Value {
    let mut next = state.clone();
    if event["type"] == "ping" {
        next["pings"] = json!(number(&state["pings"]) + 1);
        next["latest"] = json!({"n": event["payload"]["n"], "offset": event["offset"]});
    } else if event["type"] == "pong" && is_own {
        let answered = number(&event["source"]["cause"]["offset"]);
        next["answered"] = json!(answered.max(number(&state["answered"])));
    }
    next
}

/// Acts on one event, in order; `state` is the one right behind it. May run again for the same event.
pub fn after_append(state: &Value, event: &Value, append: &mut Append) -> Result<(), Stop> {
    if event["type"] != "ping" {
        return Ok(());
    }
    append.append(json!({"type": "pong", "payload": {"n": event["payload"]["n"], "count": state["pings"]}}))
}

/// Decides once for what was missed, (after, through]: one pong for the latest ping, if that is unanswered.
///
/// `interrupted` is the event whose hook had begun. Its own hook runs again, with its own keys: if the pong of the
/// first attempt stands, or is on its way, nothing is added.
pub fn after_catch_up(
    state: &Value,
    append: &mut Append,
    after: u64,
    through: u64,
    interrupted: Option<Interrupted>,
) -> Result<(), Stop> {
    let mut answered = after.max(number(&state["answered"]));
    if let Some(mut begun) = interrupted.filter(|begun| number(&begun.event["offset"]) > answered) {
        after_append(&begun.state, &begun.event, &mut begun.append)?;
        answered = number(&begun.event["offset"]);
    }
    let latest = &state["latest"];
    if number(&latest["offset"]) <= answered {
        return Ok(());
    }
    let missed = json!({"after": answered, "through": through});
    append.append(json!({"type": "pong", "payload": {"n": latest["n"], "count": state["pings"], "missed": missed}}))
}

fn main() {
    let options = Options::parse();
    let server = Server::new(&options);
    // Who was away for too long begins again from the file, like after a restart.
    loop {
        match Delivery::new(&server, &options).run() {
            Ok(Outcome::Away) => continue,
            Ok(Outcome::Deleted) => return println!("deleted: the end"),
            Err(reason) => {
                eprintln!("{reason}");
                std::process::exit(1);
            }
        }
    }
}
