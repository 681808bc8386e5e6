//! Measures searches of a support log of a million incidents: from the library and from the command.
//!
//! `benches/search` runs it; by hand:
//! `search_log generate FOLDER COUNT`, `search_log measure FOLDER COUNT LINKGATE`, `search_log lag FOLDER`.

#![expect(clippy::print_stdout, reason = "its report is its output")]

use std::{path::PathBuf, process::ExitCode};

mod generate;
mod lag;
mod measure;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = asked.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["generate", folder, count] => count
            .parse()
            .map_err(std::io::Error::other)
            .and_then(|count| generate::log(&PathBuf::from(folder), count)),
        ["measure", folder, count, linkgate] => count
            .parse()
            .map_err(std::io::Error::other)
            .and_then(|count| {
                measure::all(&PathBuf::from(folder), count, &PathBuf::from(linkgate))
            }),
        ["lag", folder] => lag::measure(&PathBuf::from(folder)),
        // `cargo bench` runs it without words: it says how to begin.
        _ => {
            println!("run benches/search");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}
