//! What the server's memory comes to for a user: in all, and by part where it has
//! parts, so that what an edge needs is told apart from what a session node does.

use super::{Report, Role};
use crate::process::Usage;

/// Names with units, and values.
pub(super) fn of(report: &Report) -> Vec<(String, f64)> {
    let users = report.prepared as f64;
    let end = at_end(report, |_| true);
    let mut figures = vec![(
        "server memory (MiB)".to_owned(),
        end.resident_kib as f64 / 1024.0,
    )];
    if report.prepared == 0 {
        return figures;
    }
    let each = |now: u64, before: u64| (now as f64 - before as f64) / users;
    let before = report.before;
    let resident = each(end.resident_kib, before.resident_kib);
    figures.push(("server memory of a user (KiB)".to_owned(), resident));
    let private = each(end.private_kib, before.private_kib);
    figures.push(("private memory of a user (KiB)".to_owned(), private));
    for (part, stages) in &report.parts {
        let before = stages.before.private_kib;
        let ready = each(stages.ready.private_kib, before);
        let name = format!("{part} memory of a user, when all are there (KiB)");
        figures.push((name, ready));
        let end = at_end(report, |of| of == part);
        let name = format!("{part} memory of a user, at the end (KiB)");
        figures.push((name, each(end.private_kib, before)));
    }
    figures
}

/// What those parts of the server used at the end.
fn at_end(report: &Report, is_wanted: impl Fn(&str) -> bool) -> Usage {
    let server = report.processes.iter();
    let server = server.filter(|process| process.role == Role::Server && is_wanted(&process.part));
    server.fold(Usage::default(), |sum, process| sum.plus(process.end))
}
