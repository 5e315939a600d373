//! What a stanza carries so that it is known when it arrives: a number, and the
//! time at which it was meant to be sent. Between two `~`, which nothing else
//! on a stream has, in a fixed width, so that a stanza is made by writing over
//! the last one.

use memchr::memchr;

use crate::clock::Nanos;

const MARK: u8 = b'~';
const NUMBER_DIGITS: usize = 8;
const TIME_DIGITS: usize = 16;
/// Bytes of a mark.
pub(crate) const BYTES: usize = NUMBER_DIGITS + TIME_DIGITS + 2;

/// A stanza whose mark is changed for each sending.
pub(crate) struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    /// A stanza of these parts, with the mark between them.
    pub(crate) fn new(before: &str, after: &str) -> Self {
        let mut bytes = before.as_bytes().to_vec();
        bytes.resize(bytes.len() + BYTES, MARK);
        bytes.extend_from_slice(after.as_bytes());
        Self {
            bytes,
            at: before.len() + 1,
        }
    }

    /// The stanza with that number, meant to be sent then.
    pub(crate) fn stamp(&mut self, number: u32, time: Nanos) -> &[u8] {
        let (middle, end) = (
            self.at + NUMBER_DIGITS,
            self.at + NUMBER_DIGITS + TIME_DIGITS,
        );
        write_hex(&mut self.bytes[self.at..middle], u64::from(number));
        write_hex(&mut self.bytes[middle..end], time);
        &self.bytes
    }
}

/// Text for a body that has so many bytes in all, with the mark.
pub(crate) fn filler(body_bytes: usize) -> String {
    const TEXT: &str = "It was the lark, the herald of the morn, no nightingale. ";
    let length = body_bytes.saturating_sub(BYTES);
    TEXT.chars().cycle().take(length).collect()
}

/// The mark in an element.
pub(crate) fn find(element: &[u8]) -> Option<(u32, Nanos)> {
    let begin = memchr(MARK, element)? + 1;
    let mark = element.get(begin..begin + NUMBER_DIGITS + TIME_DIGITS + 1)?;
    let (number, rest) = mark.split_at(NUMBER_DIGITS);
    let (time, end) = rest.split_at(TIME_DIGITS);
    if end != [MARK] {
        return None;
    }
    Some((u32::try_from(read_hex(number)?).ok()?, read_hex(time)?))
}

fn write_hex(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// Which numbers have come.
#[derive(Default)]
pub(crate) struct Ledger {
    seen: Vec<u64>,
    next: u32,
    pub(crate) arrived: u64,
    pub(crate) repeated: u64,
    pub(crate) disordered: u64,
}

impl Ledger {
    /// Notes one; whether it came for the first time.
    pub(crate) fn note(&mut self, number: u32) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.repeated += 1;
            return false;
        }
        self.seen[word] |= bit;
        self.arrived += 1;
        if number < self.next {
            self.disordered += 1;
        }
        self.next = self.next.max(number + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, Ledger, Template, filler, find};

    #[test]
    fn a_mark_is_found_as_it_was_stamped() {
        let mut template = Template::new("<message><body>", "</body></message>");
        assert_eq!(
            find(template.stamp(77, 123_456_789_012)),
            Some((77, 123_456_789_012))
        );
        assert_eq!(find(template.stamp(u32::MAX, 1)), Some((u32::MAX, 1)));
        assert_eq!(find(b"<body>~no mark at all~</body>"), None);
        assert_eq!(filler(100).len() + BYTES, 100);
    }

    #[test]
    fn what_is_lost_repeated_or_late_is_told_apart() {
        let mut ledger = Ledger::default();
        for number in [0, 1, 3, 2, 2, 200] {
            ledger.note(number);
        }
        let Ledger {
            arrived,
            repeated,
            disordered,
            ..
        } = ledger;
        assert_eq!((arrived, repeated, disordered), (5, 1, 1));
    }
}
