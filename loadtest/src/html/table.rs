//! Tables.

use std::fmt::Write as _;

use super::escape;

/// A table with names on the left; nothing if it has no rows.
pub(crate) fn table(head: Vec<String>, rows: Vec<(String, Vec<String>)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("<table><thead><tr><th></th>");
    for cell in head {
        let _ = write!(text, "<th>{}</th>", escape(&cell));
    }
    text.push_str("</tr></thead><tbody>");
    for (name, cells) in rows {
        let _ = write!(text, "<tr><th>{}</th>", escape(&name));
        for cell in cells {
            let _ = write!(text, "<td>{}</td>", escape(&cell));
        }
        text.push_str("</tr>");
    }
    text + "</tbody></table>"
}
