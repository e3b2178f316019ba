//! Delivers events to a processor: every event is reduced once, in order; what is new is acted on; the rest is missed.
//!
//! The cursor file holds a token (where to read on) and for each stream {streamId, cursor, begun, paused, version,
//! state}: the state is the one at the cursor, so the file is cursor and snapshot in one. Killed at any moment, it goes
//! on from there.

use crate::append::Append;
use crate::cursor_file::{load, store};
use crate::event::{number, parse, text, BUILTIN};
use crate::options::Options;
use crate::server::{Frame, Server, Stop, Taken};
use crate::stream::{Stream, Work};
use crate::{after_append, after_catch_up, initial_state, reduce};
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

pub enum Outcome {
    /// The stream is no more.
    Deleted,
    /// We were away for so long that what happened counts as missed.
    Away,
}

/// The event whose hook had begun when the process ended, the state behind it, and an `append` with its keys.
pub struct Interrupted<'a> {
    pub event: Value,
    pub state: Value,
    pub append: Append<'a>,
}

pub struct Delivery<'a> {
    server: &'a Server<'a>,
    options: &'a Options,
    is_first_start: bool,
    streams: BTreeMap<String, Stream>,
    origin: Option<String>,
    token: Option<String>,
    /// What is to be acted on, in the order in which it came.
    work: Vec<Work>,
    is_live: bool,
}

impl<'a> Delivery<'a> {
    pub fn new(server: &'a Server, options: &'a Options) -> Delivery<'a> {
        let file = load(&options.cursor);
        let is_first_start = file.is_none();
        let file = file.unwrap_or_default();
        let saved = file["streams"].as_object().cloned().unwrap_or_default();
        let streams: BTreeMap<_, _> = saved.into_iter().map(|(path, saved)| (path, Stream::new(saved))).collect();
        // A state of another version is reduced again, from the start.
        let is_new_version = streams.values().any(|stream| stream.is_new_version);
        let origin = file["token"].as_str().filter(|_| !is_new_version).map(String::from);
        let token = origin.clone();
        Delivery { server, options, is_first_start, streams, origin, token, work: vec![], is_live: false }
    }

    pub fn run(mut self) -> Result<Outcome, String> {
        self.server.follow(self.token.clone(), |id, frame, data| self.on_frame(id, frame, data))
    }

    fn on_frame(&mut self, id: Option<String>, frame: Frame, data: &str) -> Taken<Outcome> {
        if frame == Frame::Deleted {
            return Ok(Some(Outcome::Deleted));
        }
        if frame == Frame::Away && self.is_live {
            return Ok(Some(Outcome::Away));
        }
        let before = self.token.clone();
        self.token = id.or(before.clone());
        if frame == Frame::Event {
            self.take(parse(data)?, before);
        } else if frame == Frame::CaughtUp && !self.is_live {
            self.catch_up()?;
        }
        self.act().map(|()| None)
    }

    fn take(&mut self, event: Value, before: Option<String>) {
        let path = text(&event["streamPath"]);
        let offset = number(&event["offset"]);
        let mut stream = self.streams.remove(&path).unwrap_or_default();
        // Otherwise the token lies before what this stream has done.
        if offset > stream.reduced {
            self.reduce(&mut stream, &path, &event);
            // Otherwise a new version reduces again what is done.
            if offset > number(&stream.saved["cursor"]) {
                if self.is_live {
                    self.work.push(stream.work(&path, Some(event), before));
                } else if offset == number(&stream.saved["begun"]) {
                    stream.interrupted = Some((event, stream.state.clone()));
                }
            }
        }
        self.streams.insert(path, stream);
    }

    fn reduce(&mut self, stream: &mut Stream, path: &str, event: &Value) {
        let payload = &event["payload"];
        match event["type"].as_str().and_then(|kind| kind.strip_prefix(BUILTIN)) {
            // A birth, perhaps another one at the same path: the life before it is over.
            Some("initialized") => {
                self.work.retain(|work| work.path != path);
                stream.stream_id = payload["streamId"].clone();
                stream.state = initial_state();
                stream.paused = false;
                stream.interrupted = None;
            }
            Some("paused") => stream.paused = true,
            Some("resumed") => stream.paused = false,
            Some("child-stream-deleted") => {
                let child = text(&payload["childPath"]);
                let is_over = |stream: &Stream| stream.reduced <= number(&payload["head"]);
                if self.streams.get(&child).is_some_and(is_over) {
                    self.work.retain(|work| work.path != child);
                    self.streams.remove(&child);
                }
            }
            _ => {}
        }
        stream.reduced = number(&event["offset"]);
        stream.last = Some(event.clone());
        stream.state = reduce(&stream.state, event, self.is_own(event));
    }

    /// History ends here. What lies between cursor and head was missed, and is decided on once for each stream.
    fn catch_up(&mut self) -> Result<(), String> {
        self.is_live = true;
        // Of another version, and nothing of it was there to reduce: it is no more.
        self.streams.retain(|_, stream| stream.last.is_some() || !stream.is_new_version);
        for (path, stream) in &mut self.streams {
            if self.is_first_start && !self.options.from_start {
                stream.saved = stream.done();
            }
            let is_missing = stream.reduced > number(&stream.saved["cursor"]);
            if stream.last.is_some() && (is_missing || self.is_first_start || stream.is_new_version) {
                self.work.push(stream.work(path, None, self.origin.clone()));
            }
        }
        self.act()?;
        self.save()?;
        println!("caught up at {}", self.token.as_deref().unwrap_or("the start"));
        Ok(())
    }

    /// Acts in order. A paused stream waits for its `resumed`, and holds up no other.
    fn act(&mut self) -> Result<(), String> {
        while let Some(place) = self.work.iter().position(|work| !self.streams[&work.path].paused) {
            match self.run_hook(place) {
                Ok(()) => {
                    let work = self.work.remove(place);
                    self.stream(&work.path).saved = work.done;
                    self.save()?;
                }
                Err(Stop::Paused) => {
                    let path = self.work[place].path.clone();
                    println!("paused: waiting for resumed in {path}");
                    self.stream(&path).paused = true;
                }
                Err(Stop::Refused(reason)) => return Err(reason),
            }
        }
        Ok(())
    }

    fn run_hook(&mut self, place: usize) -> Result<(), Stop> {
        let path = self.work[place].path.clone();
        if let Some(event) = self.work[place].event.as_ref().filter(|event| !self.is_about_us(event)) {
            let begun = event["offset"].clone();
            self.stream(&path).saved["begun"] = begun;
            self.save().map_err(Stop::Refused)?;
        }
        let Work { event, last, done, .. } = &self.work[place];
        let mut append = self.appender(&done["streamId"], last);
        match event {
            Some(event) if self.is_about_us(event) => Ok(()),
            Some(event) => after_append(&done["state"], event, &mut append),
            None => {
                let Stream { saved, interrupted, .. } = &self.streams[&path];
                let interrupted = interrupted.clone().map(|(event, state)| {
                    let append = self.appender(&done["streamId"], &event);
                    Interrupted { event, state, append }
                });
                let (after, through) = (number(&saved["cursor"]), number(&done["cursor"]));
                after_catch_up(&done["state"], &mut append, after, through, interrupted)
            }
        }
    }

    fn stream(&mut self, path: &str) -> &mut Stream {
        self.streams.get_mut(path).expect("work is dropped with its stream")
    }

    /// Its keys say which append of which event it is, in which life.
    fn appender(&self, stream_id: &Value, event: &Value) -> Append<'a> {
        let Options { slug, epoch, .. } = self.options;
        let epoch = epoch.as_ref().map(|epoch| format!("/{epoch}")).unwrap_or_default();
        let key = format!("{slug}/{}{epoch}/{}", text(stream_id), event["offset"]);
        Append::new(self.server, slug, key, event)
    }

    fn is_own(&self, event: &Value) -> bool {
        event["source"]["slug"] == self.options.slug.as_str()
    }

    /// What we wrote, or an error that names us: reduced, but not acted on.
    fn is_about_us(&self, event: &Value) -> bool {
        let is_error = event["type"] == format!("{BUILTIN}error-occurred");
        self.is_own(event) || (is_error && event["payload"]["about"]["slug"] == self.options.slug.as_str())
    }

    /// The token lies before whatever is not done; the cursor of each stream says what behind it is done.
    fn save(&self) -> Result<(), String> {
        let token = self.work.first().map_or(&self.token, |work| &work.before);
        let streams: Map<_, _> = self.streams.iter().map(|(path, it)| (path.clone(), it.saved.clone())).collect();
        store(&self.options.cursor, &json!({"token": token, "streams": streams}))
    }
}
