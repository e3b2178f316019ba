//! What outlives the process: one JSON file.

use serde_json::Value;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};

pub fn load(file: &str) -> Option<Value> {
    match fs::read_to_string(file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{file}: {error}"),
    }
}

/// At any moment there is the old file or the new one, whole.
pub fn store(file: &str, value: &Value) -> Result<(), String> {
    let new = format!("{file}.new");
    let write = || {
        let mut writing = File::create(&new)?;
        writing.write_all(value.to_string().as_bytes())?;
        writing.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|error| format!("{file}: {error}"))
}
