//! Points in time, and how XMPP writes them (XEP-0082 version 1.1.1, §3.2).
//!
//! Reading a clock is the caller's work: this crate has none. The older
//! format of `jabber:x:delay` is not read.

use std::fmt;

use ::time::{Date, Month, OffsetDateTime, Time, UtcOffset};

const MILLIS_PER_SECOND: i64 = 1000;
const NANOS_PER_MILLI: u32 = 1_000_000;
/// 9999-12-31T23:59:59.999Z: four digits of year are all that XEP-0082 has.
const MILLIS_MAX: i64 = 253_402_300_799_999;
/// 0000-01-01T00:00:00Z.
const MILLIS_MIN: i64 = -62_167_219_200_000;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// A whole number of seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MILLIS_PER_SECOND))
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MILLIS_PER_SECOND)
    }

    /// Milliseconds from `earlier` to this; 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        let millis = self.0.saturating_sub(earlier.0);
        if millis > 0 { millis.unsigned_abs() } else { 0 }
    }

    /// This, and so many milliseconds more.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// Written as by [`format()`].
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(*self))
    }
}

/// Writes `CCYY-MM-DDThh:mm:ss.sssZ`. What four digits of year cannot hold
/// is written as the nearest moment they can.
#[must_use]
pub fn format(at: UnixMillis) -> String {
    let at = UnixMillis(at.0.clamp(MILLIS_MIN, MILLIS_MAX));
    let moment =
        OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = moment.to_hms();
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        at.0.rem_euclid(MILLIS_PER_SECOND),
    )
}

/// Reads a date, a time and a zone: `Z`, `+02:00` (XEP-0082 §3.2).
/// `None` when the text is anything else.
#[must_use]
pub fn parse(text: &str) -> Option<UnixMillis> {
    let mut rest = Reader(text.as_bytes());
    let year = rest.number(4)?;
    rest.literal(b'-')?;
    let month = rest.number(2)?;
    rest.literal(b'-')?;
    let day = rest.number(2)?;
    rest.literal(b'T')?;
    let hour = rest.number(2)?;
    rest.literal(b':')?;
    let minute = rest.number(2)?;
    rest.literal(b':')?;
    // XML Schema has no leap seconds, clocks do: show one as the last second.
    let second = match rest.number(2)? {
        60 => 59,
        second => second,
    };
    let millis = rest.fraction()?;
    let offset = rest.offset()?;

    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(year.cast_signed(), month, u8::try_from(day).ok()?).ok()?;
    let time = Time::from_hms_nano(
        u8::try_from(hour).ok()?,
        u8::try_from(minute).ok()?,
        u8::try_from(second).ok()?,
        millis * NANOS_PER_MILLI,
    )
    .ok()?;
    let seconds = date.with_time(time).assume_utc().unix_timestamp() - i64::from(offset);
    Some(UnixMillis(seconds * MILLIS_PER_SECOND + i64::from(millis)))
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn literal(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn number(&mut self, digits: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..digits {
            let digit = self.next()?;
            value = value * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        Some(value)
    }

    /// `.s` and as many digits as there are, cut to milliseconds.
    fn fraction(&mut self) -> Option<u32> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.next();
        let digits = self
            .0
            .iter()
            .take_while(|octet| octet.is_ascii_digit())
            .count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        if fraction.is_empty() {
            return None;
        }
        let padded = fraction.iter().copied().chain(std::iter::repeat(b'0'));
        Some(
            padded
                .take(3)
                .fold(0, |millis, digit| millis * 10 + u32::from(digit - b'0')),
        )
    }

    /// Seconds east of Greenwich; nothing may follow.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.next()? {
            b'Z' => return self.0.is_empty().then_some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = i8::try_from(self.number(2)?).ok()?;
        self.literal(b':')?;
        let minutes = i8::try_from(self.number(2)?).ok()?;
        let offset = UtcOffset::from_hms(hours, minutes, 0).ok()?;
        self.0.is_empty().then_some(sign * offset.whole_seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::{UnixMillis, format, parse};

    /// XEP-0082 §4, the example of the first moon landing.
    const MOON: UnixMillis = UnixMillis(-14_159_025_000);

    #[test]
    fn a_moment_is_written_in_utc_with_milliseconds() {
        assert_eq!(format(MOON), "1969-07-21T02:56:15.000Z");
        assert_eq!(format(UnixMillis(1)), "1970-01-01T00:00:00.001Z");
        assert_eq!(format(UnixMillis(-1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn zones_and_fractions_are_read() {
        for text in [
            "1969-07-21T02:56:15Z",
            "1969-07-20T21:56:15-05:00",
            "1969-07-21T02:56:15.000Z",
            "1969-07-21T02:56:15.0004999999999Z",
            "1969-07-21T04:26:15+01:30",
        ] {
            assert_eq!(parse(text), Some(MOON), "{text}");
        }
        assert_eq!(parse("1970-01-01T00:00:00.5Z"), Some(UnixMillis(500)));
        assert_eq!(parse("1969-12-31T23:59:59.999Z"), Some(UnixMillis(-1)));
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "1969-07-21",
            "1969-07-21T02:56:15",
            "1969-07-21T02:56:15z",
            "1969-07-21T02:56:15.Z",
            "1969-07-21T02:56:15ZZ",
            "1969-02-29T02:56:15Z",
            "1969-13-01T02:56:15Z",
            "1969-07-21T24:56:15Z",
            "1969-07-21T02:56:15+99:00",
            "19690721T02:56:15",
            "+969-07-21T02:56:15Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_year_of_four_digits_is_the_last() {
        assert_eq!(format(UnixMillis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(format(UnixMillis(i64::MIN)), "0000-01-01T00:00:00.000Z");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(millis in super::MILLIS_MIN..=super::MILLIS_MAX) {
            let at = UnixMillis(millis);
            proptest::prop_assert_eq!(parse(&format(at)), Some(at));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
