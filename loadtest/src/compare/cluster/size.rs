//! How many nodes of each kind a cluster has, as the command line says it.

use std::fmt;
use std::str::FromStr;

/// More processes than that are not for one machine.
const NODES_MAX: u8 = 32;

/// So many edges and so many session nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(super) edges: u8,
    pub(super) sessions: u8,
}

impl FromStr for Size {
    type Err = String;

    /// "6+2", or "2" for as many of each.
    fn from_str(text: &str) -> Result<Self, String> {
        let (edges, sessions) = text.split_once('+').unwrap_or((text, text));
        let nodes = |text: &str| {
            let nodes = text.trim().parse().ok();
            nodes.filter(|nodes| (1..=NODES_MAX).contains(nodes))
        };
        match (nodes(edges), nodes(sessions)) {
            (Some(edges), Some(sessions)) => Ok(Self { edges, sessions }),
            _ => Err(format!(
                "one number of nodes, or edges+session nodes, from 1 to {NODES_MAX}: 2 or 6+2"
            )),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} + {}", self.edges, self.sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_size_is_one_number_or_two() {
        let size = |edges, sessions| Ok(Size { edges, sessions });
        assert_eq!("2".parse(), size(2, 2));
        assert_eq!("6+2".parse(), size(6, 2));
        for wrong in ["0", "6+", "+2", "6+0", "33", "1+2+3", ""] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
