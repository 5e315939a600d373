//! What the verifiers of a host's accounts look like from outside: which
//! hashes, how many iterations, how long a salt; and how many accounts have
//! each shape.
//!
//! Accounts that were imported or are old look unlike new ones. A name without
//! an account has to look like one of them, as often as they do, or its
//! challenge gives it away (RFC 5802 §9). Counting is left to the server.

use std::cmp::Ordering;

use starling_xmpp::credentials::{Credentials, ScramHash};

use crate::scram;

/// Shapes that are told apart on one host. The rarest beyond are left out:
/// accounts of theirs can be told from names without one.
pub const SHAPES_MAX: usize = 16;

/// Octets of the form that is kept: version, then for each shape the three
/// hashes (iterations, length of the salt) and the count.
const VERSION: u8 = 1;
const FACE_OCTETS: usize = 6;
const SHAPE_OCTETS: usize = 3 * FACE_OCTETS + 8;

/// What one verifier shows to whoever begins an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Face {
    /// RFC 5802 §5.1, attribute `i`.
    pub iterations: u32,
    /// Octets of attribute `s`.
    pub salt_octets: u16,
}

/// The faces of one account, in the order of [`ScramHash::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape([Option<Face>; 3]);

impl Shape {
    /// A shape with the same face for every hash: of an account made here.
    #[must_use]
    pub const fn uniform(face: Face) -> Self {
        Self([Some(face); 3])
    }

    /// The shape of an account. A verifier that cannot be used counts for none.
    #[must_use]
    pub fn of(credentials: &Credentials) -> Self {
        let face = |hash| {
            let verifier = credentials.verifier(hash)?;
            scram::check(verifier).ok()?;
            Some(Face {
                iterations: verifier.iterations,
                salt_octets: u16::try_from(verifier.salt.len()).unwrap_or(u16::MAX),
            })
        };
        Self(ScramHash::ALL.map(face))
    }

    /// The face for one hash, if there is one.
    #[must_use]
    pub fn face(&self, hash: ScramHash) -> Option<Face> {
        let at = ScramHash::ALL.iter().position(|known| *known == hash)?;
        self.0[at]
    }

    pub(crate) fn to_bytes(self) -> [u8; 3 * FACE_OCTETS] {
        let mut bytes = [0; 3 * FACE_OCTETS];
        for (out, face) in bytes.chunks_exact_mut(FACE_OCTETS).zip(self.0) {
            let Some(face) = face else { continue };
            out[..4].copy_from_slice(&face.iterations.to_be_bytes());
            out[4..].copy_from_slice(&face.salt_octets.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut faces = bytes.chunks_exact(FACE_OCTETS).map(|face| {
            let iterations = number(&face[..4]) as u32;
            // No verifier has less than `ITERATIONS_MIN`.
            (iterations != 0).then(|| Face {
                iterations,
                salt_octets: number(&face[4..]) as u16,
            })
        });
        Self(std::array::from_fn(|_| faces.next().flatten()))
    }
}

/// How many accounts of a host have each shape, the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shapes(Vec<(Shape, u64)>);

impl Shapes {
    /// Counts one account. Finish with [`Self::trimmed`].
    pub fn count(&mut self, shape: Shape) {
        match self.0.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, count)) => *count += 1,
            None => self.0.push((shape, 1)),
        }
    }

    /// The [`SHAPES_MAX`] most frequent, in a fixed order.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        self.0
            .sort_by_key(|&(shape, count)| (u64::MAX - count, shape));
        self.0.truncate(SHAPES_MAX);
        self
    }

    /// Shapes and how many accounts have them.
    pub fn iter(&self) -> impl Iterator<Item = (Shape, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The form to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (shape, count) in &self.0 {
            bytes.extend_from_slice(&shape.to_bytes());
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        bytes
    }

    /// What was kept; `None` if this version did not write it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, shapes) = bytes.split_first()? else {
            return None;
        };
        let (shapes, []) = shapes.as_chunks::<SHAPE_OCTETS>() else {
            return None;
        };
        let read = |bytes: &[u8; SHAPE_OCTETS]| {
            let (shape, count) = bytes.split_at(3 * FACE_OCTETS);
            (Shape::from_bytes(shape), number(count))
        };
        Some(Self(shapes.iter().map(read).collect()).trimmed())
    }

    /// The shape that a name draws, each as likely as its share. `lot` gives an
    /// even number for a shape, always the same for this name: when a share
    /// changes, only the names that win or lose by it change their shape
    /// (weighted rendezvous hashing).
    pub(crate) fn draw(&self, lot: impl Fn(&Shape) -> u64) -> Option<Shape> {
        let rank = |&(shape, count): &(Shape, u64)| {
            // In (0, 1]: 53 bits are what a float holds.
            let even = ((lot(&shape) >> 11) + 1) as f64 / (1u64 << 53) as f64;
            (-even.ln() / count as f64, shape)
        };
        let ranked = self.0.iter().map(rank);
        let first = ranked.min_by(|one, other| {
            let by_rank = one.0.partial_cmp(&other.0);
            by_rank.unwrap_or(Ordering::Equal)
        });
        first.map(|(_, shape)| shape)
    }
}

fn number(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |n, &octet| n << 8 | u64::from(octet))
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests panic on failure"
)]
mod tests {
    use super::*;

    fn shape(iterations: u32) -> Shape {
        Shape::uniform(Face {
            iterations,
            salt_octets: 12,
        })
    }

    #[test]
    fn what_is_kept_reads_back() {
        let mut shapes = Shapes::default();
        let mut partial = shape(10_000);
        partial.0[1] = None;
        for shape in [shape(4096), partial, partial, Shape::default()] {
            shapes.count(shape);
        }
        let shapes = shapes.trimmed();
        assert_eq!(shapes.iter().next(), Some((partial, 2)));
        assert_eq!(Shapes::from_bytes(&shapes.to_bytes()), Some(shapes.clone()));
        for bad in [&[][..], &[2], &shapes.to_bytes()[..7]] {
            assert_eq!(Shapes::from_bytes(bad), None);
        }
    }

    #[test]
    fn the_rarest_beyond_the_bound_are_left_out() {
        let mut shapes = Shapes::default();
        for iterations in 0..40 {
            for _ in 0..=iterations {
                shapes.count(shape(4096 + iterations));
            }
        }
        let shapes = shapes.trimmed();
        assert_eq!(shapes.iter().count(), SHAPES_MAX);
        assert!(shapes.iter().all(|(_, count)| count > 24));
    }
}
