//! Elements of a page or a drawing, read strictly: what browsers would repair is an error.

use std::collections::BTreeMap;

use html5gum::{HtmlString, Token, Tokenizer};

/// Elements of HTML that have no end.
const VOID: [&str; 3] = ["meta", "br", "hr"];

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// In lower case.
    pub name: String,
    /// Values by names.
    pub attributes: BTreeMap<String, String>,
    /// In their order.
    pub children: Vec<Child>,
}

/// What stands in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// Another one.
    Element(Element),
    /// Text.
    Text(String),
}

/// Reads a text; the result holds all that stands at the top of it.
///
/// # Errors
/// Elements are not nested, or something else is not as it must be.
pub fn parse(text: &str) -> Result<Element, String> {
    let mut open = vec![Element::default()];
    for token in Tokenizer::new(text) {
        let Ok(token) = token;
        let child = match token {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter().map(|(name, value)| (string(name), string(value)));
                let name = string(&tag.name);
                let ends = tag.self_closing || VOID.contains(&name.as_str());
                let element = Element { name, attributes: attributes.collect(), children: Vec::new() };
                if !ends {
                    open.push(element);
                    continue;
                }
                Child::Element(element)
            }
            Token::EndTag(tag) => {
                let name = string(&tag.name);
                match open.pop() {
                    Some(element) if element.name == name && !open.is_empty() => Child::Element(element),
                    Some(element) => return Err(format!("`</{name}>` ends `<{}>`", element.name)),
                    None => return Err(format!("`</{name}>` ends nothing")),
                }
            }
            Token::String(text) => Child::Text(string(&text)),
            Token::Comment(_) | Token::Doctype(_) => continue,
            Token::Error(error) => return Err(format!("{:?}", error.value)),
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(child),
            None => return Err("something stands outside".to_owned()),
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(top), true) => Ok(top),
        (last, _) => Err(format!("`<{}>` has no end", last.unwrap_or_default().name)),
    }
}

fn string(text: &HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
}

impl Element {
    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.attributes.get(attribute).map(String::as_str)
    }

    /// All elements in it, from top to bottom; itself first.
    #[must_use]
    pub fn all(&self) -> Vec<&Element> {
        let mut found = Vec::new();
        let mut next = vec![self];
        while let Some(element) = next.pop() {
            found.push(element);
            next.extend(element.children.iter().rev().filter_map(|child| match child {
                Child::Element(inside) => Some(inside),
                _ => None,
            }));
        }
        found
    }

    /// Those in it that have a name.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<&Element> {
        self.all().into_iter().filter(|element| element.name == name).collect()
    }

    /// Those in it that have an attribute.
    #[must_use]
    pub fn having(&self, attribute: &str) -> Vec<&Element> {
        self.all().into_iter().filter(|element| element.attributes.contains_key(attribute)).collect()
    }

    /// The first in it whose attribute has this value.
    #[must_use]
    pub fn with(&self, attribute: &str, value: &str) -> Option<&Element> {
        self.all().into_iter().find(|element| element.get(attribute) == Some(value))
    }

    /// All text in it.
    #[must_use]
    pub fn text(&self) -> String {
        let text = |child: &Child| match child {
            Child::Element(element) => element.text(),
            Child::Text(text) => text.clone(),
        };
        self.children.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_in_each_other() {
        let page =
            parse("<!DOCTYPE html><p a=\"1 &lt; 2\"><meta x=\"\">so <b>&amp;</b><rect/></p>\n").unwrap();
        let paragraph = page.named("p")[0];
        assert_eq!(paragraph.get("a"), Some("1 < 2"));
        assert_eq!(paragraph.text(), "so &");
        let names: Vec<&str> = paragraph.all().iter().map(|element| element.name.as_str()).collect();
        assert_eq!(names, ["p", "meta", "b", "rect"]);
    }

    #[test]
    fn what_a_browser_would_repair_is_an_error() {
        for text in ["<p>", "</p>", "<p><b></p></b>", "<p a=1 a=2></p>", "<p>\u{0}</p>", "<p a=\"x\"b></p>"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
