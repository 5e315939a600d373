//! XEP-0004 and XEP-0068, by their rules.

use super::{Field, FieldType, Form, Kind};
use crate::element::Element;
use crate::jid::Jid;

fn form(xml: &str) -> Form {
    Form::from_element(&Element::parse(xml.as_bytes()).unwrap()).unwrap()
}

/// XEP-0004 §5.1, shortened.
#[test]
fn a_form_is_what_it_was_after_writing() {
    let form = form(
        "<x xmlns='jabber:x:data' type='form'><title>Bot</title><instructions>Fill</instructions>\
         <instructions>out</instructions>\
         <field type='hidden' var='FORM_TYPE'><value>jabber:bot</value></field>\
         <field type='fixed'><value>Section 1</value></field>\
         <field type='text-multi' label='D' var='d'><desc>why</desc><required/><value/></field>\
         <field type='list-multi' var='f'><value>news</value>\
         <option label='News'><value>news</value></option><option><value>search</value></option>\
         <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'/></field>\
         </x>",
    );
    assert_eq!(form.form_type(), Some("jabber:bot"));
    assert_eq!(form.instructions, ["Fill", "out"]);
    assert_eq!(form.get("d").unwrap().values, [""]);
    assert!(form.get("d").unwrap().is_required);
    assert_eq!(form.get("f").unwrap().options.len(), 2);
    assert_eq!(
        form.data().map(|(var, _)| var).collect::<Vec<_>>(),
        ["d", "f"]
    );
    assert_eq!(Form::from_element(&form.to_element()), Ok(form));
}

/// XEP-0004 §3.4.
#[test]
fn a_result_can_be_a_table() {
    let table = form(
        "<x xmlns='jabber:x:data' type='result'><reported><field var='n' type='text-single'/>\
         </reported><item><field var='n'><value>1</value></field></item>\
         <item><field var='n'><value>2</value></field></item></x>",
    );
    assert_eq!((table.reported.len(), table.items.len()), (1, 2));
    assert_eq!(Form::from_element(&table.to_element()), Ok(table));
}

/// XEP-0068 §4.1, §4.3: a `FORM_TYPE` that is not hidden is an ordinary field.
#[test]
fn only_a_hidden_field_tells_the_type() {
    let typed = |kind, attribute| {
        let xml = format!(
            "<x xmlns='jabber:x:data' type='{kind}'><field var='FORM_TYPE' {attribute}>\
             <value>t</value></field></x>"
        );
        form(&xml).form_type().map(str::to_owned)
    };
    assert_eq!(typed("result", "type='hidden'").as_deref(), Some("t"));
    assert_eq!(typed("result", ""), None);
    assert_eq!(typed("submit", "").as_deref(), Some("t"));
    assert_eq!(typed("result", "type='text-single'"), None);
    assert_eq!(Form::typed(Kind::Submit, "t").form_type(), Some("t"));
}

/// XEP-0004 §3.3.
#[test]
fn values_are_read_by_their_type() {
    let answer = |value: &str| Field::answer("v").value(value).bool();
    assert_eq!(
        ["1", "true", "0", "false"].map(answer),
        [true, true, false, false].map(Some)
    );
    assert_eq!(answer("TRUE"), None);
    assert_eq!(Field::answer("v").bool(), None);
    let jids = Field::answer("v").values(["a@b", "A@b", "c"]).jids();
    assert_eq!(
        jids,
        Ok(vec![Jid::parse("a@b").unwrap(), Jid::parse("c").unwrap()])
    );
    assert!(Field::answer("v").value("@").jids().is_err());
    let odd = form("<x xmlns='jabber:x:data' type='form'><field var='v' type='colour'/></x>");
    assert_eq!(odd.get("v").unwrap().kind, Some(FieldType::TextSingle));
}

#[test]
fn what_is_no_form_is_refused() {
    for xml in [
        "<x xmlns='jabber:x:data'/>",
        "<x xmlns='jabber:x:data' type='X'/>",
        "<x/>",
    ] {
        assert!(
            Form::from_element(&Element::parse(xml.as_bytes()).unwrap()).is_err(),
            "{xml}"
        );
    }
}
