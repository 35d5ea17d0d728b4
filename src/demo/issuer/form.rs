//! Forms and queries (`application/x-www-form-urlencoded`): read into pairs, and written into a redirect. A parameter that
//! may occur once is never silently taken from two.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::answer::Fault;

/// The parameters of a request, in order.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form. Too many parameters, and what is not UTF-8, are refused.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Fault> {
        let mut pairs = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == PAIRS_MAX {
                return Err(Fault::new("invalid_request", "too many parameters"));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            pairs.push((half()?, half()?));
        }
        Ok(Self(pairs))
    }

    /// The one value of a parameter; an empty one counts as left out, a second one is refused (RFC 6749 §3.1, §3.2).
    pub(super) fn one<'a>(&'a self, name: &str) -> Result<Option<&'a str>, Fault> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Fault::new("invalid_request", "a parameter occurs more than once"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// Like [`Self::one`], of a parameter that must be there.
    pub(super) fn required<'a>(&'a self, name: &str, missing: &'static str) -> Result<&'a str, Fault> {
        self.one(name)?.ok_or(Fault::new("invalid_request", missing))
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(each, _)| each == name).map(|(_, value)| value.as_str())
    }
}

/// `uri` with further parameters in its query; its own are kept (RFC 6749 §3.1.2).
pub(super) fn with_query(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut full = uri.to_owned();
    let mut separator = if uri.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        full.push(separator);
        full.push_str(name);
        full.push('=');
        full.extend(utf8_percent_encode(value, ESCAPED));
        separator = '&';
    }
    full
}

/// One name or value, decoded.
pub(super) fn decode(text: &[u8]) -> Result<String, Fault> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| Fault::new("invalid_request", "a parameter is not UTF-8"))
}

/// All but the unreserved characters (RFC 3986 §2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PAIRS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_read() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let pairs = Form::parse(text.as_bytes()).unwrap().0;
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(pairs, expect, "{text}");
        };
        check("", &[]);
        check("a=b", &[("a", "b")]);
        check("a=b&&c=d&", &[("a", "b"), ("c", "d")]);
        check("a", &[("a", "")]);
        check("a=b=c", &[("a", "b=c")]);
        check("a+b=c%20d%2B", &[("a b", "c d+")]);
        check("a=%C3%A4", &[("a", "ä")]);
        check("a=%zz%4", &[("a", "%zz%4")]);
        assert!(Form::parse(b"a=%ff").is_err());
        assert!(Form::parse(b"a=\xff").is_err());
        assert!(Form::parse("a=b&".repeat(200).as_bytes()).is_ok());
        assert!(Form::parse("a=b&".repeat(201).as_bytes()).is_err());
    }

    #[test]
    fn a_parameter_occurs_once() {
        let form = Form::parse(b"a=1&b=&c=2&c=2&d=&d=3").unwrap();
        assert_eq!(form.one("a").unwrap(), Some("1"));
        assert_eq!(form.one("b").unwrap(), None);
        assert_eq!(form.one("x").unwrap(), None);
        assert!(form.one("c").is_err() && form.one("d").is_err());
        assert!(form.required("b", "missing").is_err());
        assert_eq!(form.all("c").collect::<Vec<_>>(), ["2", "2"]);
    }

    #[test]
    fn a_redirect_keeps_its_own_query() {
        let check = |uri: &str, expect: &str| assert_eq!(with_query(uri, &[("code", "a b&c"), ("s", "#")]), expect);
        check("https://c.example/cb", "https://c.example/cb?code=a%20b%26c&s=%23");
        check("https://c.example/cb?x=1", "https://c.example/cb?x=1&code=a%20b%26c&s=%23");
        check("com.example.app:/cb", "com.example.app:/cb?code=a%20b%26c&s=%23");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in ".*") {
            let uri = with_query("https://c.example/", &[("state", &value)]);
            let form = Form::parse(uri.split_once('?').unwrap().1.as_bytes()).unwrap();
            prop_assert_eq!(form.all("state").collect::<Vec<_>>(), vec![value.as_str()]);
        }
        #[test]
        fn nothing_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(Form::parse(&text));
        }
    }
}
