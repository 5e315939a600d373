//! What is asked of an archive: the form of XEP-0313 §4.1 and the page of
//! XEP-0059, read into a query of the log. Reading the log is left to `page`.

use starling_store::Position;
use starling_store::archive::{Order, Query};
use starling_xmpp::payload::form::{Field, FieldType, Form, Kind};
use starling_xmpp::payload::rsm;
use starling_xmpp::{Condition, Element, Jid, StanzaError, UnixMillis, ns, time};

/// Results of a page when the client does not say how many it wants.
const PAGE_RESULTS: usize = 50;

/// Most results of a page, whatever the client wants: they must fit its queue
/// beside what comes in meanwhile.
pub(super) const PAGE_RESULTS_MAX: usize = 100;

/// Most ids that a query may name.
const IDS_MAX: usize = 100;

/// A query, as far as it can be understood without the archive.
#[derive(Debug)]
pub(super) struct Request {
    /// By which the client knows its results.
    pub(super) query_id: Option<String>,
    /// Which entries, without a limit.
    pub(super) query: Query,
    /// Most results; 0 asks for their number only.
    pub(super) results_max: usize,
    /// §4.1.3, §4.3: entries that it names, all of which must be there.
    pub(super) named: Vec<Position>,
    /// Whether it says where the page begins or ends.
    pub(super) is_paged: bool,
    /// §4.3.4: newest first.
    pub(super) is_flipped: bool,
}

impl Request {
    /// Whether its client learns where all that was said ends, or is on the way
    /// there. One who asks for something of the past does not.
    pub(super) fn reads_to_the_end(&self) -> bool {
        let Query {
            before,
            with,
            end,
            only,
            ..
        } = &self.query;
        self.results_max > 0
            && before.is_none()
            && with.is_none()
            && end.is_none()
            && only.is_none()
    }
}

/// Reads a query; `place` tells which place an id stands for.
pub(super) fn read(
    element: &Element,
    place: impl Fn(&str) -> Option<Position>,
) -> Result<Request, StanzaError> {
    if element.attribute("node").is_some() {
        // §6.1.3: an archive of a user has no nodes.
        return Err(StanzaError::new(Condition::FeatureNotImplemented));
    }
    let mut request = Request {
        query_id: element.attribute("queryid").map(str::to_owned),
        query: Query::default().archived_only(),
        results_max: PAGE_RESULTS,
        named: Vec::new(),
        is_paged: false,
        is_flipped: element.get(ns::MAM, "flip-page").is_some(),
    };
    if let Some(form) = element.get(ns::FORM, "x") {
        let form = Form::from_element(form).map_err(|error| bad(error.0))?;
        filter(&mut request, &form, &place)?;
    }
    if let Some(set) = element.get(ns::RSM, "set") {
        let set = rsm::Request::from_element(set).map_err(|error| bad(error.0))?;
        page(&mut request, &set, &place)?;
    }
    Ok(request)
}

/// §4.1: every field narrows what the others leave.
fn filter(
    request: &mut Request,
    form: &Form,
    place: &impl Fn(&str) -> Option<Position>,
) -> Result<(), StanzaError> {
    if form.form_type() != Some(ns::MAM) {
        return Err(bad("the form of a query has FORM_TYPE urn:xmpp:mam:2"));
    }
    for (var, field) in form.data() {
        // A field without a value narrows nothing.
        let value = field.first().map(str::trim).filter(|text| !text.is_empty());
        match (var, value) {
            ("ids", _) => request.query.only = ids(request, field, place)?,
            ("with" | "start" | "end" | "after-id" | "before-id", None) => {}
            ("include-groupchat", None) => {}
            ("with", Some(with)) => {
                let jid = Jid::parse(with);
                let jid = jid.map_err(|_| StanzaError::new(Condition::JidMalformed))?;
                request.query.with = Some(jid);
            }
            ("start", Some(start)) => request.query.start = Some(point(start)?),
            ("end", Some(end)) => request.query.end = Some(point(end)?),
            ("after-id", Some(id)) => behind(request, named(place, id)?),
            ("before-id", Some(id)) => ahead(request, named(place, id)?),
            // §4.1.4: these archives hold no groupchat, asked for or not.
            ("include-groupchat", Some("true" | "1" | "false" | "0")) => {}
            ("include-groupchat", Some(_)) => return Err(bad("include-groupchat is a boolean")),
            _ => {
                // §4.1.5.
                let unknown = StanzaError::new(Condition::FeatureNotImplemented);
                return Err(unknown.text("the archive does not know a field of this form"));
            }
        }
    }
    Ok(())
}

fn ids(
    request: &mut Request,
    field: &Field,
    place: &impl Fn(&str) -> Option<Position>,
) -> Result<Option<Vec<Position>>, StanzaError> {
    if field.values.is_empty() {
        return Ok(None);
    }
    if field.values.len() > IDS_MAX {
        let many = StanzaError::new(Condition::ResourceConstraint);
        return Err(many.text(format!("a query names at most {IDS_MAX} ids")));
    }
    let only = field.values.iter().map(|id| named(place, id.trim()));
    let only = only.collect::<Result<Vec<_>, _>>()?;
    request.named.extend(&only);
    Ok(Some(only))
}

/// XEP-0059 §2.
fn page(
    request: &mut Request,
    set: &rsm::Request,
    place: &impl Fn(&str) -> Option<Position>,
) -> Result<(), StanzaError> {
    if set.index.is_some() {
        // §2.6: nobody counts what precedes a page.
        return Err(StanzaError::new(Condition::FeatureNotImplemented)
            .text("the archive has no pages by index; use <before/> or <after/>"));
    }
    if let Some(max) = set.max {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        request.results_max = max.min(PAGE_RESULTS_MAX);
    }
    if let Some(id) = &set.after {
        behind(request, named(place, id)?);
        request.is_paged = true;
    }
    match set.before.as_deref() {
        None => {}
        Some("") => request.query.order = Order::Descending,
        Some(id) => {
            ahead(request, named(place, id)?);
            request.query.order = Order::Descending;
            request.is_paged = true;
        }
    }
    Ok(())
}

fn behind(request: &mut Request, position: Position) {
    request.named.push(position);
    let after = &mut request.query.after;
    *after = Some(after.map_or(position, |after| after.max(position)));
}

fn ahead(request: &mut Request, position: Position) {
    request.named.push(position);
    let before = &mut request.query.before;
    *before = Some(before.map_or(position, |before| before.min(position)));
}

fn named(place: &impl Fn(&str) -> Option<Position>, id: &str) -> Result<Position, StanzaError> {
    place(id).ok_or_else(unknown_id)
}

/// §4.1.3, §4.3: an id that is not in the archive.
pub(super) fn unknown_id() -> StanzaError {
    StanzaError::new(Condition::ItemNotFound)
}

fn point(text: &str) -> Result<UnixMillis, StanzaError> {
    time::parse(text).ok_or_else(|| bad("a time is written as in XEP-0082"))
}

fn bad(text: &'static str) -> StanzaError {
    StanzaError::new(Condition::BadRequest).text(text)
}

/// §4.1.5: the fields that a query may have.
pub(super) fn form() -> Element {
    let open = Element::new(ns::FORM_VALIDATE, "validate")
        .attr("datatype", "xs:string")
        .child(Element::new(ns::FORM_VALIDATE, "open"));
    let ids = Field {
        further: vec![open],
        ..Field::new(FieldType::ListMulti, "ids")
    };
    let form = Form::typed(Kind::Form, ns::MAM)
        .field(Field::new(FieldType::JidSingle, "with"))
        .field(Field::new(FieldType::TextSingle, "start"))
        .field(Field::new(FieldType::TextSingle, "end"))
        .field(Field::new(FieldType::TextSingle, "before-id"))
        .field(Field::new(FieldType::TextSingle, "after-id"))
        .field(ids)
        .field(Field::new(FieldType::Boolean, "include-groupchat"));
    Element::new(ns::MAM, "query").child(form.to_element())
}
