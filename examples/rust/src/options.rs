//! The command line: the same options as those of the Python example.

use std::env;
use std::time::Duration;

const USAGE: &str = "usage: ping-pong PATH [--cursor FILE] [--url URL] [--project SLUG] [--token TOKEN] [--slug SLUG]
                 [--epoch WORD] [--from head|start] [--children] [--silence SECONDS] [--away SECONDS]

Answers every ping {n} of the stream PATH, such as /me/pings, with pong {n, count}.
  --cursor    remembers how far it is (ping-pong.cursor.json)
  --url, --project, --token   or MILLRACE_URL, MILLRACE_PROJECT, MILLRACE_TOKEN
  --slug      its name in the stream (ping-pong)
  --epoch     a new word for whoever begins anew without the old cursor file
  --from      where it starts first: head or start (head)
  --children  the stream and everything below it
  --silence   seconds after which a silent connection is dead (45)
  --away      seconds of absence after which events are missed (60)";

pub struct Options {
    pub path: String,
    pub cursor: String,
    pub url: String,
    pub project: String,
    pub token: Option<String>,
    pub slug: String,
    pub epoch: Option<String>,
    pub from_start: bool,
    pub children: bool,
    pub silence: Duration,
    pub away: Duration,
}

impl Options {
    pub fn parse() -> Options {
        let variable = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
        let mut options = Options {
            path: String::new(),
            cursor: "ping-pong.cursor.json".into(),
            url: variable("MILLRACE_URL").unwrap_or("http://127.0.0.1:4040".into()),
            project: variable("MILLRACE_PROJECT").unwrap_or("public".into()),
            token: variable("MILLRACE_TOKEN"),
            slug: "ping-pong".into(),
            epoch: None,
            from_start: false,
            children: false,
            silence: Duration::from_secs(45),
            away: Duration::from_secs(60),
        };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| wrong_usage());
            match argument.as_str() {
                "--cursor" => options.cursor = value(),
                "--url" => options.url = value(),
                "--project" => options.project = value(),
                "--token" => options.token = Some(value()),
                "--slug" => options.slug = value(),
                "--epoch" => options.epoch = Some(value()),
                "--from" => {
                    options.from_start = match value().as_str() {
                        "head" => false,
                        "start" => true,
                        _ => wrong_usage(),
                    }
                }
                "--children" => options.children = true,
                "--silence" => options.silence = seconds(&value()),
                "--away" => options.away = seconds(&value()),
                _ if argument.starts_with('-') || !options.path.is_empty() => wrong_usage(),
                _ => options.path = argument,
            }
        }
        if options.path.is_empty() {
            wrong_usage()
        }
        options
    }
}

fn seconds(text: &str) -> Duration {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.unwrap_or_else(|| wrong_usage())
}

fn wrong_usage() -> ! {
    eprintln!("{USAGE}");
    std::process::exit(2);
}
