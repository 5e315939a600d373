//! What nodes are like by default, and what they cannot be.

use super::*;

fn options(fields: &[(&str, &str)]) -> Form {
    let form = Form::typed(Kind::Submit, ns::PUBSUB_PUBLISH_OPTIONS);
    fields.iter().fold(form, |form, (var, value)| {
        form.field(Field::new(FieldType::TextSingle, *var).value(*value))
    })
}

/// XEP-0163 §5.
#[test]
fn a_node_that_nobody_configured_is_as_recommended() {
    let settings = Settings::of(&Stored::new());
    assert_eq!(settings.access, Access::Presence);
    assert_eq!(settings.items_max, Some(1));
    assert!(settings.is_persistent && settings.has_notifications && settings.has_payloads);
    assert!(settings.is_last_sent_on_presence && settings.is_last_sent_to_new);
}

/// XEP-0060 §7.1.5: also what was never said has to be as it is wanted, and
/// the two spellings of a boolean are one.
#[test]
fn options_are_compared_with_what_is() {
    let wanted = options(&[(PERSIST, "true"), (ACCESS, "whitelist"), (MAX_ITEMS, "max")]);
    let stored = optioned(Some(&wanted)).unwrap();
    assert_eq!(Settings::of(&stored).items_max, None);
    let same = options(&[(PERSIST, "1"), (SEND_LAST, "on_sub_and_presence")]);
    check(&stored, Some(&same)).unwrap();
    for (var, value) in [
        (ACCESS, "presence"),
        (MAX_ITEMS, "1"),
        ("pubsub#other", "x"),
    ] {
        let error = check(&stored, Some(&options(&[(var, value)]))).unwrap_err();
        assert_eq!(error.condition, Condition::Conflict, "{var}");
    }
}

/// XEP-0060 §8.2.5.
#[test]
fn what_cannot_be_is_not_acceptable() {
    for (var, value) in [
        (ACCESS, "authorize"),
        (MAX_ITEMS, "0"),
        (PERSIST, "maybe"),
        ("pubsub#publish_model", "open"),
        ("pubsub#unknown", "1"),
    ] {
        let form =
            Form::new(Kind::Submit).field(Field::new(FieldType::TextSingle, var).value(value));
        let error = configured(&Stored::new(), &form).unwrap_err();
        assert_eq!(error.condition, Condition::NotAcceptable, "{var}");
    }
}
