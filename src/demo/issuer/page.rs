//! What a person sees: the consent page, and refusals. Plain HTML without scripts and without anything from elsewhere; what a
//! client says of itself is shown as text, and as what it says.

use http::{HeaderValue, Response, StatusCode, header};

use super::answer::of_type;
use super::authorize::Pending;
use super::{Issuer, Person, key, uri};
use crate::gateway::body::Body;

/// Asks a person about a request. The form's names are fixed: `request`, `person`, `scope`, `decision`.
pub(super) fn consent(issuer: &Issuer, id: &str, pending: &Pending) -> Response<Body> {
    let client = &pending.client;
    let name = client.name.as_deref().map_or_else(|| "A client without a name".to_owned(), shown);
    let known_by = match uri::document_host(&client.id) {
        Some(host) => format!("{}, which publishes its metadata", escaped(host)),
        None => "registered itself; the name is what it says".to_owned(),
    };
    let place = escaped(uri::place(&pending.redirect_uri));
    let local = if uri::is_local(&pending.redirect_uri) { ": a program on this machine" } else { "" };
    let resource = escaped(&issuer.options.resource);
    let mut body = format!(
        "<h1>Let <bdi>{name}</bdi> in?</h1>\n\
         <dl>\n<dt>Client</dt><dd>{known_by}</dd>\n\
         <dt>Leads back to</dt><dd><b>{place}</b>{local}</dd>\n\
         <dt>Wants to use</dt><dd>{resource}</dd>\n</dl>\n\
         <form method=\"post\" action=\"/authorize\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\n\
         <fieldset>\n<legend>Log in as</legend>\n",
        escaped(id)
    );
    for (place, person) in issuer.options.people.iter().enumerate() {
        body.push_str(&person_choice(person, place == 0));
    }
    body.push_str("</fieldset>\n<fieldset>\n<legend>and allow</legend>\n");
    let asked = issuer.options.scopes.iter().filter(|(scope, _)| pending.scopes.contains(scope));
    for (scope, sentence) in asked {
        body.push_str(&scope_choice(scope, sentence));
    }
    body.push_str(
        "<p><small>What the person may not grant is left out.</small></p>\n</fieldset>\n\
         <p class=\"decision\"><button name=\"decision\" value=\"allow\">Allow</button>\n\
         <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n",
    );
    // Browsers hold a form's target against the redirect that answers it as well.
    let target = format!("'self' {}", uri::form_target(&pending.redirect_uri));
    page(StatusCode::OK, &target, &body)
}

/// Says why a request goes no further.
pub(super) fn refusal(status: StatusCode, reason: &str) -> Response<Body> {
    let body = format!("<h1>This login goes no further</h1>\n<p>{}</p>\n", escaped(reason));
    page(status, "'none'", &body)
}

fn person_choice(person: &Person, first: bool) -> String {
    let name = escaped(&person.name);
    let checked = if first { " checked" } else { "" };
    let scopes = escaped(&person.scopes.join(", "));
    format!(
        "<label><input type=\"radio\" name=\"person\" value=\"{name}\"{checked}>\
         <span>{name}<small>may grant {scopes}</small></span></label>\n"
    )
}

fn scope_choice(scope: &str, sentence: &str) -> String {
    let (scope, sentence) = (escaped(scope), escaped(sentence));
    format!(
        "<label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked>\
         <span><code>{scope}</code><small>{sentence}</small></span></label>\n"
    )
}

/// A whole page. Its style is allowed by a nonce; nothing else may be loaded, run or framed.
fn page(status: StatusCode, form_target: &str, body: &str) -> Response<Body> {
    // Without a nonce the page is bare, and no less strict.
    let nonce = key::secret().unwrap_or_default();
    let document = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Log in – development server</title>\n<style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>\n\
         <p class=\"warning\" role=\"note\"><b>For development only.</b> This is the authorization server of \
         <code>gatepost demo</code>. It asks nobody for a password.</p>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_target}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = of_type(status, "text/html; charset=utf-8", document);
    let headers = response.headers_mut();
    // Its characters were checked where they come from; a policy that cannot be written forbids everything.
    let policy =
        HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; form-action 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Not `no-referrer`: the form's `Origin` would be `null` (Fetch §3.1), which every sandboxed page can send as well.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A client's name as text. Without control characters, and without those that turn the direction of what follows: they
/// would let a name rewrite the sentence that it stands in.
fn shown(name: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    escaped(&name.chars().filter(|c| !c.is_control() && !turns(*c)).collect::<String>())
}

/// Text for HTML, within and without quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 1rem/1.45 system-ui, sans-serif; }
body { margin: 0; overflow-wrap: anywhere; }
main { margin: 0 auto; max-width: 34rem; padding: 0 1rem 2rem; }
h1 { font-size: 1.4rem; }
.warning { background: #b45309; color: #fff; margin: 0; padding: .6rem max(1rem, 50% - 17rem); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; }
dt { opacity: .75; }
dd { margin: 0; }
fieldset { border: 1px solid #8886; border-radius: .5rem; margin: 0 0 1rem; padding: .25rem 1rem .5rem; }
legend { font-weight: 600; padding: 0 .3rem; }
label { align-items: flex-start; cursor: pointer; display: flex; gap: .7rem; padding: .45rem 0; }
label input { flex: none; height: 1.2rem; margin: .1rem 0 0; width: 1.2rem; }
small { display: block; opacity: .75; }
fieldset p { margin: .3rem 0; }
.decision { display: flex; gap: .8rem; }
button { border: 1px solid #8888; border-radius: .5rem; flex: 1; font: inherit; min-height: 2.9rem; }
button[value=allow] { background: #15803d; border-color: #15803d; color: #fff; font-weight: 600; }
:focus-visible { outline: 3px solid #3b82f6; outline-offset: 2px; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        let check = |name: &str, expect: &str| assert_eq!(shown(name), expect, "{name:?}");
        check("Ärzte & Co", "Ärzte &amp; Co");
        check("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        check("\"><img src=x>", "&quot;&gt;&lt;img src=x&gt;");
        check("a\u{202e}b\u{2066}c\u{200f}\nd\0\u{feff}", "abcd");
        check("&lt;", "&amp;lt;");
    }
}
