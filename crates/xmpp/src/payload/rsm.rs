//! XEP-0059: Result Set Management, version 1.0: asking for a page of a
//! longer list, and saying which page it is.
//!
//! What the ids are, and how many items a page may have, is for the feature
//! that owns the list.

use super::Malformed;
use crate::element::Element;
use crate::ns;

/// `<set/>` of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// At most so many items. 0 asks for the count only (§2.7).
    pub max: Option<u32>,
    /// Items after this one (§2.2).
    pub after: Option<String>,
    /// Items before this one, nearest last (§2.3). Empty: the last page (§2.5).
    pub before: Option<String>,
    /// Items from this index on (§2.6).
    pub index: Option<u32>,
}

impl Request {
    /// Reads `<set/>`.
    ///
    /// # Errors
    /// When it is another element or a number is none.
    pub fn from_element(element: &Element) -> Result<Self, Malformed> {
        if !element.is(ns::RSM, "set") {
            return Err(Malformed("a result set is asked for with <set/>"));
        }
        let text = |name| {
            element
                .child_text(ns::RSM, name)
                .map(|text| text.trim().to_owned())
        };
        let number = |name, error| {
            text(name)
                .map(|text| text.parse().map_err(|_| Malformed(error)))
                .transpose()
        };
        Ok(Self {
            max: number("max", "<max/> of a result set is no number")?,
            // An empty <after/> is after nothing: the first page.
            after: text("after").filter(|id| !id.is_empty()),
            before: text("before"),
            index: number("index", "<index/> of a result set is no number")?,
        })
    }

    /// Whether the page is counted from the end.
    #[must_use]
    pub fn is_backwards(&self) -> bool {
        self.before.is_some()
    }

    /// Writes `<set/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let child = |name, text: String| Element::new(ns::RSM, name).text(text);
        Element::new(ns::RSM, "set")
            .with_children(self.max.map(|max| child("max", max.to_string())))
            .with_children(self.after.clone().map(|after| child("after", after)))
            .with_children(self.before.clone().map(|before| child("before", before)))
            .with_children(self.index.map(|index| child("index", index.to_string())))
    }
}

/// `<set/>` of an answer. An empty page has neither first nor last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Id of the first item of the page.
    pub first: Option<String>,
    /// How many items of the list precede the page.
    pub first_index: Option<u32>,
    /// Id of the last item of the page.
    pub last: Option<String>,
    /// How many items the whole list has.
    pub count: Option<u32>,
}

impl Page {
    /// Reads `<set/>`.
    #[must_use]
    pub fn from_element(element: &Element) -> Option<Self> {
        if !element.is(ns::RSM, "set") {
            return None;
        }
        let text = |name| {
            element
                .child_text(ns::RSM, name)
                .map(|text| text.trim().to_owned())
        };
        let index = element
            .get(ns::RSM, "first")
            .and_then(|first| first.attribute("index"));
        Some(Self {
            first: text("first"),
            first_index: index.and_then(|index| index.parse().ok()),
            last: text("last"),
            count: text("count").and_then(|count| count.parse().ok()),
        })
    }

    /// Writes `<set/>`.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let child = |name, text: String| Element::new(ns::RSM, name).text(text);
        let index = self.first_index.map(|index| index.to_string());
        Element::new(ns::RSM, "set")
            .with_children(
                self.first
                    .clone()
                    .map(|id| child("first", id).attr_if("index", index)),
            )
            .with_children(self.last.clone().map(|id| child("last", id)))
            .with_children(self.count.map(|count| child("count", count.to_string())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests panic on failure")]
mod tests {
    use super::{Page, Request};
    use crate::element::Element;

    fn request(content: &str) -> Result<Request, super::Malformed> {
        let xml = format!("<set xmlns='http://jabber.org/protocol/rsm'>{content}</set>");
        Request::from_element(&Element::parse(xml.as_bytes()).unwrap())
    }

    /// XEP-0059 §2.1–§2.7.
    #[test]
    fn every_way_of_asking_is_read() {
        let ten = Request {
            max: Some(10),
            ..Request::default()
        };
        assert_eq!(request("<max>10</max>"), Ok(ten.clone()));
        let after = Request {
            after: Some("p@x".into()),
            ..ten.clone()
        };
        assert_eq!(request("<max> 10 </max><after>p@x</after>"), Ok(after));
        let last = request("<max>10</max><before/>").unwrap();
        assert_eq!(
            (last.before.as_deref(), last.is_backwards()),
            (Some(""), true)
        );
        let index = Request {
            index: Some(371),
            ..ten.clone()
        };
        assert_eq!(
            request("<max>10</max><index>371</index>"),
            Ok(index.clone())
        );
        assert_eq!(Request::from_element(&index.to_element()), Ok(index));
        assert_eq!(request("<max>10</max><after/>"), Ok(ten));
        assert_eq!(request(""), Ok(Request::default()));
    }

    #[test]
    fn numbers_are_numbers() {
        for content in [
            "<max/>",
            "<max>-1</max>",
            "<max>ten</max>",
            "<index>4294967296</index>",
        ] {
            assert!(request(content).is_err(), "{content}");
        }
    }

    /// XEP-0059 §2.3, and the empty page of §2.7.
    #[test]
    fn an_answer_says_where_its_page_is() {
        let page = Page {
            first: Some("s".into()),
            first_index: Some(0),
            last: Some("p".into()),
            count: Some(800),
        };
        let expected = "<set xmlns='http://jabber.org/protocol/rsm'>\
            <first index='0'>s</first><last>p</last><count>800</count></set>";
        assert_eq!(
            page.to_element(),
            Element::parse(expected.as_bytes()).unwrap()
        );
        assert_eq!(Page::from_element(&page.to_element()), Some(page));
        let empty = Page {
            count: Some(0),
            ..Page::default()
        };
        assert_eq!(empty.to_element().children().count(), 1);
    }
}
