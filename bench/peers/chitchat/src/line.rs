//! The protocol between the benchmark and a member: one JSON object per line. The benchmark writes commands to the
//! standard input, the member writes events to the standard output, each with the machine's clock.

use std::io::{BufRead, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The JSON in the program's last argument; fields that this program does not use are left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    pub id: String,
    pub port: u16,
    pub seeds: Vec<String>,
    pub gossip_interval_ms: u64,
}

/// One line of the standard output.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event<'a> {
    Ready(&'a str),
    Set(&'a str),
    Seen(&'a str),
    Members(usize),
    Gone(&'a str),
}

/// One line of the standard input.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    set: String,
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    event: Event<'a>,
    at: f64,
}

/// Reads the options.
pub fn options() -> Options {
    let argument = std::env::args()
        .next_back()
        .expect("the options as JSON in the last argument");
    serde_json::from_str(&argument).expect("valid options")
}

/// Writes one event. The time is taken first, so that a wait for the output does not count.
pub fn report(event: Event) {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    let at = since_epoch.as_micros() as f64 / 1000.0;
    let text = serde_json::to_string(&Stamped { event, at }).expect("an event is JSON");
    let mut output = std::io::stdout().lock();
    // Without a reader the benchmark has ended, so this process ends too.
    if writeln!(output, "{text}")
        .and_then(|()| output.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}

/// Calls `set` with each value until the standard input ends.
pub fn follow(mut set: impl FnMut(String)) {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("UTF-8 on the standard input");
        let command: Command = serde_json::from_str(&line).expect("a known command");
        report(Event::Set(&command.set));
        set(command.set);
    }
}
