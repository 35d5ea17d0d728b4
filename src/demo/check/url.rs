//! Forms and queries in `application/x-www-form-urlencoded`, and the form of the consent page, read as a browser would
//! send it. Reads only as much HTML as that page has.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Everything but what RFC 3986 §2.3 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fields, encoded.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let encoded = fields.iter().map(|(name, value)| {
        format!("{}={}", utf8_percent_encode(name, RESERVED), utf8_percent_encode(value, RESERVED))
    });
    encoded.collect::<Vec<_>>().join("&")
}

/// The parameters of a URL's query.
pub(super) fn query(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The origin of a URL and a path on it.
pub(super) fn on_origin(url: &str, path: &str) -> Result<String, String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("{url}: no valid URL: {error}"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}{path}")),
        (Some(_), None) | (None, _) => Err(format!("expected an absolute URL, got {url}")),
    }
}

/// The consent page's form.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it goes.
    pub(super) action: String,
    /// Fields that are sent as they are.
    pub(super) hidden: Vec<(String, String)>,
    /// What may be chosen: name and value of radio buttons, checkboxes and buttons.
    pub(super) choices: Vec<(String, String)>,
}

impl Form {
    /// The one form of a page that is sent by POST.
    pub(super) fn read(page: &str) -> Result<Self, String> {
        let mut form = None;
        for (tag, attributes) in tags(page) {
            let get = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
            match (tag.as_str(), &mut form) {
                ("form", None) if get("method").eq_ignore_ascii_case("post") => {
                    form = Some(Self { action: get("action").to_owned(), ..Self::default() });
                }
                ("form", _) => return Err("expected one form that is sent by POST".to_owned()),
                ("input" | "button", Some(form)) => {
                    let field = (get("name").to_owned(), get("value").to_owned());
                    let into = if get("type") == "hidden" { &mut form.hidden } else { &mut form.choices };
                    into.push(field);
                }
                _ => {}
            }
        }
        form.ok_or_else(|| "expected a page with a form".to_owned())
    }

    /// What is sent when these are chosen, each of which the page must offer.
    pub(super) fn filled<'a>(&'a self, chosen: &[(&'a str, &'a str)]) -> Result<Vec<(&'a str, &'a str)>, String> {
        let mut fields: Vec<_> = self.hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for &(name, value) in chosen {
            if !self.choices.iter().any(|(offered, with)| offered == name && with == value) {
                return Err(format!("expected the consent page to offer {name}={value}; it offers {:?}", self.choices));
            }
            fields.push((name, value));
        }
        Ok(fields)
    }
}

/// The opening tags of a page, with their attributes.
fn tags(page: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once('<') {
        let name: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        rest = after.get(name.len()..).unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        let mut attributes = BTreeMap::new();
        loop {
            rest = rest.trim_start_matches(|char: char| char.is_ascii_whitespace() || char == '/');
            let end = rest.find(|char: char| char.is_ascii_whitespace() || "=>/".contains(char)).unwrap_or(rest.len());
            let (attribute, after) = rest.split_at(end);
            if attribute.is_empty() {
                break;
            }
            let (value, after) = value(after);
            rest = after;
            attributes.insert(attribute.to_ascii_lowercase(), value);
        }
        found.push((name.to_ascii_lowercase(), attributes));
    }
    found
}

/// The value that follows an attribute's name, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(text) = text.trim_start().strip_prefix('=') else { return (String::new(), text) };
    let text = text.trim_start();
    for quote in ['"', '\''] {
        if let Some((value, after)) = text.strip_prefix(quote).and_then(|text| text.split_once(quote)) {
            return (unescaped(value), after);
        }
    }
    let end = text.find(|char: char| char.is_ascii_whitespace() || char == '>').unwrap_or(text.len());
    let (value, after) = text.split_at(end);
    (unescaped(value), after)
}

/// Character references: the five of XML and numbers.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').and_then(|(name, after)| Some((referenced(name)?, after)));
        if let Some((char, after)) = reference {
            out.push(char);
            rest = after;
        } else {
            out.push('&');
            rest = after;
        }
    }
    out + rest
}

fn referenced(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_queries_mean_the_same_both_ways() {
        let fields = [("scope", "notes:read notes:write"), ("state", "a&b=c+d%"), ("é", "")];
        let encoded = form(&fields);
        assert_eq!(encoded, "scope=notes%3Aread%20notes%3Awrite&state=a%26b%3Dc%2Bd%25&%C3%A9=");
        let read = query(&format!("http://127.0.0.1/callback?{encoded}#f"));
        assert_eq!(read, fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(query("http://127.0.0.1/x?a=b+c")["a"], "b c");
        assert!(query("http://127.0.0.1/x").is_empty());
    }

    #[test]
    fn a_page_gives_its_form() {
        let page = r#"<!doctype html><h1>a < b</h1><form method="post" action="/authorize">
            <input type="hidden" name="request" value="a&amp;b&#x3D;&quot;c">
            <label><input type=radio name=person value=reader checked> reader</label>
            <label><input type='checkbox' name='scope' value='notes:read' checked />read</label>
            <button name="decision" value="allow">Allow</button></form>"#;
        let form = Form::read(page).unwrap();
        assert_eq!(form.action, "/authorize");
        let filled = form.filled(&[("person", "reader"), ("decision", "allow")]).unwrap();
        assert_eq!(filled, [("request", "a&b=\"c"), ("person", "reader"), ("decision", "allow")]);
        let refused = form.filled(&[("scope", "notes:admin")]).unwrap_err();
        assert!(refused.contains("scope=notes:admin") && refused.contains("notes:read"), "{refused}");
    }

    #[test]
    fn what_is_no_such_page_is_said() {
        for page in
            ["", "<", "<form", "<p>no", "<form method=get action=/a></form>", "<input name='", "&#;&x", "<a ==>"]
        {
            assert!(Form::read(page).is_err(), "{page}");
        }
        assert_eq!(unescaped("&&amp;&nope;&#65;&#xZ;"), "&&&nope;A&#xZ;");
    }
}
