//! Reads a profile of callgrind: the instructions of each function itself,
//! without those it called.

use std::collections::HashMap;

/// Functions with their instructions, the dearest first. The profile must have
/// been written with `--compress-strings=no`.
pub(super) fn functions(profile: &str) -> Vec<(String, u64)> {
    let mut costs: HashMap<&str, u64> = HashMap::new();
    let mut function = "";
    let mut is_call = false;
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            // The next line is what the called function cost.
            is_call = true;
        } else if let Some(cost) = cost(line)
            && !std::mem::take(&mut is_call)
        {
            *costs.entry(function).or_default() += cost;
        }
    }
    let mut costs: Vec<(String, u64)> = costs
        .into_iter()
        .filter(|(_, cost)| *cost > 0)
        .map(|(name, cost)| (plain(name), cost))
        .collect();
    costs.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    costs
}

/// The cost in a line of a position and a cost: `0 17`, `+3 17`, `* 17`.
fn cost(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    let is_position = position.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c));
    is_position.then(|| cost.trim().parse().ok())?
}

/// Without what changes from build to build: the hash of the symbol, and the
/// number of a function that calls itself.
fn plain(name: &str) -> String {
    let name = name.split_once('\'').map_or(name, |(name, _)| name);
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_what_it_did_itself() {
        let profile = "events: Ir\n\
            fn=outer::h0123456789abcdef\n0 10\ncfn=inner\ncalls=2 0\n0 500\n+4 5\n\n\
            fn=inner\nfi=other.rs\n12 400\n* 100\n\
            totals: 515\n";
        let expected = [("inner".to_owned(), 500), ("outer".to_owned(), 15)];
        assert_eq!(functions(profile), expected);
    }
}
