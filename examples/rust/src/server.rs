//! The server as a processor sees it: a live read that never gives up, and appends that are sent until they stand.

use crate::options::Options;
use serde_json::Value;
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::thread::sleep;
use std::time::{Duration, SystemTime};
use ureq::http::Response;
use ureq::{Agent, Body};

/// Why a hook does not go on.
pub enum Stop {
    /// The stream takes nothing before somebody appends `resumed`.
    Paused,
    /// Something that waiting does not change.
    Refused(String),
}

#[derive(PartialEq)]
pub enum Frame {
    Event,
    CaughtUp,
    Deleted,
    /// There was no connection for a long time.
    Away,
    /// A comment, an id alone, or a name that is not known here.
    Other,
}

/// What became of a frame: read on, or leave with this.
pub type Taken<Left> = Result<Option<Left>, String>;

pub struct Server<'a> {
    options: &'a Options,
    agent: Agent,
}

impl<'a> Server<'a> {
    pub fn new(options: &'a Options) -> Server<'a> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(0)
            .timeout_connect(Some(options.silence))
            .timeout_per_read(Some(options.silence));
        Server { options, agent: config.build().into() }
    }

    /// Gives (id, frame, data) to `take` over as many connections as it takes, until `take` gives something back.
    pub fn follow<Left>(
        &self,
        mut token: Option<String>,
        mut take: impl FnMut(Option<String>, Frame, &str) -> Taken<Left>,
    ) -> Result<Left, String> {
        let (mut failures, mut contact) = (0, SystemTime::now());
        loop {
            let trouble = match self.open(token.as_deref())? {
                Err(trouble) => trouble,
                Ok(body) => {
                    if contact.elapsed().unwrap_or_default() > self.options.away {
                        if let Some(left) = take(None, Frame::Away, "")? {
                            return Ok(left);
                        }
                    }
                    let mut lines = BufReader::new(body.into_reader());
                    loop {
                        match next_frame(&mut lines) {
                            Err(trouble) => break trouble.to_string(),
                            Ok((id, frame, data)) => {
                                failures = 0;
                                contact = SystemTime::now();
                                token = id.clone().or(token);
                                if let Some(left) = take(id, frame, &data)? {
                                    return Ok(left);
                                }
                            }
                        }
                    }
                }
            };
            failures = self.back_off(failures, &trouble);
        }
    }

    /// The body of a live read; inside, why there is none for now; outside, why there will be none.
    fn open(&self, token: Option<&str>) -> Result<Result<Body, String>, String> {
        let request = self.agent.get(self.url_of(&self.options.path)).query("live", "true").query("markers", "true");
        let request = if self.options.children { request.query("includeChildren", "true") } else { request };
        let request = if let Some(token) = token { request.header("Last-Event-ID", token) } else { request };
        match self.with_access(request).header("Accept", "text/event-stream").call() {
            Err(trouble) => Ok(Err(trouble.to_string())),
            Ok(answer) if is_event_stream(&answer) => Ok(Ok(answer.into_body())),
            Ok(mut answer) => {
                let text = answer.body_mut().with_config().limit(100_000).read_to_string().unwrap_or_default();
                unless_transient(answer.status().as_u16(), &text).map(Err)
            }
        }
    }

    /// Returns when the event stands: `None`, or what is wrong with it if it never will.
    pub fn append(&self, path: &str, event: &Value, headers: &[(&str, String)]) -> Result<Option<String>, Stop> {
        let mut failures = 0;
        loop {
            let mut request = self.with_access(self.agent.post(self.url_of(path)));
            request = request.header("Content-Type", "application/json");
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let answer = request.send(event.to_string()).and_then(|mut answer| {
                let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string()?;
                Ok((answer.status().as_u16(), text))
            });
            let trouble = match answer {
                Err(trouble) => trouble.to_string(),
                Ok((200, text)) => return Ok(invalidity_of(&text)),
                // The key was used with other content: the append of an earlier attempt stands.
                Ok((409, _)) => return Ok(None),
                Ok((423, _)) => return Err(Stop::Paused),
                Ok((status @ (400 | 413), text)) => return Ok(Some(detail_of(status, &text))),
                Ok((status, text)) => unless_transient(status, &text).map_err(Stop::Refused)?,
            };
            failures = self.back_off(failures, &trouble);
        }
    }

    fn with_access<Kind>(&self, request: ureq::RequestBuilder<Kind>) -> ureq::RequestBuilder<Kind> {
        let request = request.header("X-Project-Slug", &self.options.project);
        match &self.options.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn url_of(&self, path: &str) -> String {
        format!("{}/api/streams/{}", self.options.url.trim_end_matches('/'), path.trim_matches('/'))
    }

    /// 1 s, doubling up to 30 s; half of it is chance, so that not all come back at once.
    fn back_off(&self, failures: u32, trouble: &dyn Display) -> u32 {
        eprintln!("waiting for {}: {trouble}", self.options.url);
        let chance = (RandomState::new().hash_one(failures) % 1_000) as f64 / 1_000.0;
        let longest = Duration::from_secs(1 << failures.min(5)).min(Duration::from_secs(30));
        sleep(longest.mul_f64(0.5 + chance / 2.0));
        failures + 1
    }
}

/// Server-sent events. A frame that the end of the connection cuts off is none.
fn next_frame(lines: &mut impl BufRead) -> io::Result<(Option<String>, Frame, String)> {
    let (mut id, mut name, mut data) = (None, String::from("message"), None);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended"));
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => break,
            "id" => id = Some(value.to_string()),
            "event" => name = value.to_string(),
            "data" => data = Some(data.map_or(value.to_string(), |before: String| before + "\n" + value)),
            _ => {}
        }
    }
    let frame = match (name.as_str(), &data) {
        (_, None) => Frame::Other,
        ("message", _) => Frame::Event,
        ("caught-up", _) => Frame::CaughtUp,
        ("deleted", _) => Frame::Deleted,
        _ => Frame::Other,
    };
    Ok((id, frame, data.unwrap_or_default()))
}

fn is_event_stream(answer: &Response<Body>) -> bool {
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("text/event-stream"))
}

/// What is no valid event is stored as an event that says so.
fn invalidity_of(answer: &str) -> Option<String> {
    let stored: Value = serde_json::from_str(answer).unwrap_or_default();
    let event = &stored["event"];
    let is_invalid = event["type"].as_str()?.ends_with("/invalid-event-appended");
    is_invalid.then(|| event["payload"]["error"].as_str().unwrap_or("invalid").to_string())
}

/// Why it failed for now, or as the error why it always will.
fn unless_transient(status: u16, answer: &str) -> Result<String, String> {
    let detail = detail_of(status, answer);
    let is_transient = status == 408 || status == 429 || status >= 500;
    if is_transient {
        Ok(detail)
    } else {
        Err(format!("refused: {detail}"))
    }
}

fn detail_of(status: u16, answer: &str) -> String {
    let problem: Value = serde_json::from_str(answer).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or(answer);
    format!("{status} {}", detail.chars().take(2_000).collect::<String>())
}
