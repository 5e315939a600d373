//! What a command prints on standard output: text for people, JSON for scripts.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

/// Where a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    is_json: bool,
}

impl Output {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// Whether JSON was asked for.
    pub(super) fn is_json(self) -> bool {
        self.is_json
    }

    /// Prints `text`, or `value` as one line of JSON.
    pub(super) fn print(self, text: &str, value: &impl Serialize) -> io::Result<()> {
        let mut line = match self.is_json {
            true => serde_json::to_string(value)?,
            false => text.to_owned(),
        };
        line.push('\n');
        Self::raw(&line)
    }

    /// Prints a text as it is, whatever was asked for. Who reads it may have had
    /// enough before its end (`starling … | head`): that is no failure.
    pub(super) fn raw(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }
}

/// Rows of text with columns under each other, the first of them a heading.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self {
            rows: vec![heading.map(str::to_owned).to_vec()],
        }
    }

    pub(super) fn row<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.to_vec());
    }

    pub(super) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            line.join("  ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Asks before something that cannot be undone. Nobody to ask means no.
pub(super) fn confirm(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut prompt = io::stderr();
    write!(prompt, "{question} [y/N] ")?;
    prompt.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A moment as people write it, "-" for none.
pub(super) fn moment(at_ms: i64) -> String {
    if at_ms == 0 {
        return "-".into();
    }
    starling_xmpp::time::format(starling_xmpp::time::UnixMillis(at_ms))
}

/// `1 session`, `2 sessions`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
