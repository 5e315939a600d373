//! Which characters the two string classes of PRECIS hold (RFC 8264 §4, §8).
//!
//! The tables of `precis-core` end with Unicode 6.3, as IANA's do. RFC 8264
//! derives the classes from Unicode's properties whatever its version, so
//! later characters are judged by theirs; otherwise no nickname could have
//! an emoji younger than 2013.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory as Category};
use icu_properties::{CodePointMapData, CodePointSetData};
use precis_profiles::Nickname;
use precis_profiles::precis_core::profile::Rules;
use precis_profiles::precis_core::{
    DerivedPropertyValue, FreeformClass, IdentifierClass, StringClass,
};

/// Takes the place of a character that is allowed although the tables do not
/// know that. A letter, as most of those are, and valid in both classes.
const STAND_IN: char = 'a';

/// Each contextual rule looks at the whole text, so their number is bounded.
/// Names in Persian or Catalan need a handful.
const CONTEXTUAL_CHARS_MAX: usize = 32;

/// `IdentifierClass`: letters, digits and the rest of visible ASCII.
pub(super) fn is_identifier(text: &str) -> bool {
    is_within(&IdentifierClass::default(), text, |c, value| {
        value == DerivedPropertyValue::Unassigned && is_young_identifier(c)
    })
}

/// `FreeformClass`: also spaces, symbols and punctuation.
///
/// RFC 8264 §4.3 has contextual rules for a few marks, like U+00B7. Stringprep
/// (RFC 3920) has none, so resources with such marks exist at other servers
/// and are let through. Joiners keep their rules: Stringprep removes them.
pub(super) fn is_freeform(text: &str) -> bool {
    is_within(&FreeformClass::default(), text, |c, value| match value {
        DerivedPropertyValue::ContextO => true,
        DerivedPropertyValue::Unassigned => is_young_freeform(c),
        _ => false,
    })
}

/// Whether `class` holds every character, or the rule `is_known_better` says
/// so of one that it does not hold.
fn is_within(
    class: &impl StringClass,
    text: &str,
    is_known_better: impl Fn(char, DerivedPropertyValue) -> bool,
) -> bool {
    let mut contextual = 0;
    for c in text.chars() {
        // RFC 8264 §9.11: visible ASCII is in both classes.
        if c.is_ascii_graphic() {
            continue;
        }
        match class.get_value_from_char(c) {
            DerivedPropertyValue::PValid | DerivedPropertyValue::SpecClassPval => {}
            value if is_known_better(c, value) => {}
            DerivedPropertyValue::ContextJ | DerivedPropertyValue::ContextO => contextual += 1,
            _ => return false,
        }
    }
    if contextual == 0 {
        return true;
    }
    let stand_in = |c| {
        if is_known_better(c, class.get_value_from_char(c)) {
            STAND_IN
        } else {
            c
        }
    };
    contextual <= CONTEXTUAL_CHARS_MAX
        && class
            .allows(text.chars().map(stand_in).collect::<String>())
            .is_ok()
}

/// RFC 8264 §9.1 (`LetterDigits`), §9.13 and §9.17 (`HasCompat`).
fn is_young_identifier(c: char) -> bool {
    let is_letter_or_digit = matches!(
        category(c),
        Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::OtherLetter
            | Category::ModifierLetter
            | Category::DecimalNumber
            | Category::NonspacingMark
            | Category::SpacingMark
    );
    is_letter_or_digit && !is_ignorable(c) && !has_compat(c)
}

/// Everything that RFC 8264 §8 does not name disallowed.
fn is_young_freeform(c: char) -> bool {
    let is_disallowed = matches!(
        category(c),
        Category::Unassigned
            | Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::Surrogate
            | Category::LineSeparator
            | Category::ParagraphSeparator
    );
    !is_disallowed && !is_ignorable(c)
}

fn category(c: char) -> Category {
    CodePointMapData::<Category>::new().get(c)
}

/// RFC 8264 §9.13 (`PrecisIgnorableProperties`).
fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// RFC 8264 §9.17: NFKC writes it otherwise. Nicknames are in NFKC.
fn has_compat(c: char) -> bool {
    let mut buffer = [0; 4];
    let text: &str = c.encode_utf8(&mut buffer);
    Nickname::new()
        .normalization_rule(text)
        .map_or(true, |normal| normal != text)
}
