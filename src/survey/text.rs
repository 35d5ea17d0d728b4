//! Text of strangers in a file that people read and the gateway believes: as a value it is quoted, as a comment it stays
//! on its line. Nothing here may let a server or a client write YAML.

/// `text` as a YAML value, in double quotes. What is no ASCII letter, digit or mark, and no other letter, is escaped, so
/// that what cannot be seen shows.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            ' ' => out.push(char),
            _ if char.is_ascii_graphic() || is_letter(char) => out.push(char),
            // YAML has one escape for every character, JSON needs two for many.
            _ => out.extend(["\\U", &format!("{:08X}", u32::from(char))]),
        }
    }
    out.push('"');
    out
}

/// The beginning of `text` on one line, for a comment or a terminal: at most `chars_max` characters, runs of white space as
/// one space, `?` for what cannot be seen or moves what stands around it.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    let mut written = 0;
    for char in text.trim().chars() {
        if written == chars_max {
            out.push('…');
            break;
        }
        let shown = match char {
            _ if char.is_ascii_graphic() || is_letter(char) => char,
            '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201d}' | '\u{2026}' | '\u{ab}' | '\u{bb}' => char,
            _ if char.is_whitespace() => ' ',
            _ => '?',
        };
        if shown == ' ' && out.ends_with(' ') {
            continue;
        }
        out.push(shown);
        written += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether a name can stand in a file that somebody reviews: nothing in it is invisible, and no YAML or pattern makes another
/// name of it. The error says why not.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("the name is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("the name is longer than 128 bytes");
    }
    if name.contains('*') {
        return Err("`*` in a rule is a pattern, and would name other things too");
    }
    if !name.chars().all(|char| char == ' ' || char.is_ascii_graphic() || is_letter(char)) {
        return Err("the name holds a character that cannot be seen, or is neither letter nor mark");
    }
    if name.trim() != name {
        return Err("the name begins or ends with a space");
    }
    Ok(())
}

/// Letters and digits beyond ASCII. Those that are written from right to left turn round what stands around them on their
/// line, also within quotes.
fn is_letter(char: char) -> bool {
    !char.is_ascii()
        && char.is_alphanumeric()
        && !matches!(char, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
        // Letters that show nothing.
        && !matches!(char, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// The words of a name: `deleteAllFiles`, `delete-all_files` and `DELETE.all` begin alike. Lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let chars: Vec<char> = name.chars().collect();
    for (place, char) in chars.iter().copied().enumerate() {
        let next_is_small = chars.get(place + 1).is_some_and(|next| next.is_lowercase());
        let begins = char.is_uppercase() && (!before.is_uppercase() || next_is_small);
        if begins || !char.is_alphabetic() {
            words.push(String::new());
        }
        if char.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(char.to_lowercase());
        }
        before = char;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The longest name that MCP recommends (MCP 2025-11-25, Tools, Tool Names).
const NAME_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_quoted() {
        let check = |text: &str, expect: &str| assert_eq!(quoted(text), expect);
        check("echo", "\"echo\"");
        check("a\"b\\c", "\"a\\\"b\\\\c\"");
        check("a\nb: {c}", "\"a\\U0000000Ab: {c}\"");
        check("Überweisung", "\"Überweisung\"");
        check("\u{202e}x\u{1f600}", "\"\\U0000202Ex\\U0001F600\"");
        check("שלום", "\"\\U000005E9\\U000005DC\\U000005D5\\U000005DD\"");
    }

    #[test]
    fn comments_stay_on_their_line() {
        let check = |text: &str, expect: &str| assert_eq!(line(text, 20), expect, "{text:?}");
        check("  Echoes back.\n  - tools: [\"*\"]\n", "Echoes back. - tools…");
        check("a\r\nb\u{85}c\u{2028}d", "a b c d");
        check("\u{1b}[31mred\u{202e}", "?[31mred?");
        check("12345678901234567890", "12345678901234567890");
        check("123456789012345678901", "12345678901234567890…");
        check("", "");
    }

    #[test]
    fn names_that_may_stand_in_a_file() {
        for good in
            ["echo", "get-sum", "a.b/c", "Überweisung senden", "null", "- x", "#x", "a: b", "日本", "%", "\"", "\\"]
        {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
        for bad in ["", "a*", "*", "a\nb", "a\u{200b}", "\u{feff}a", " a", "a ", "a\u{a0}b", "שם", "\u{3164}", "😀"]
        {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name(&"a".repeat(128)).is_ok() && check_name(&"a".repeat(129)).is_err());
    }

    #[test]
    fn names_have_words() {
        let check = |name: &str, expect: &[&str]| assert_eq!(words(name), expect, "{name}");
        check("delete_all-files", &["delete", "all", "files"]);
        check("deleteAllFiles", &["delete", "all", "files"]);
        check("DELETE.files2go", &["delete", "files", "go"]);
        check("getHTTPStatus", &["get", "http", "status"]);
        check("123", &[]);
    }

    proptest! {
        #[test]
        fn whatever_it_is_a_value_reads_back_and_a_comment_is_one(text in any::<String>()) {
            let read: String = serde_yaml::from_str(&quoted(&text)).unwrap();
            prop_assert_eq!(&read, &text);
            let comment = line(&text, 80);
            prop_assert!(!comment.chars().any(char::is_control) && comment.chars().count() <= 81);
            let document = format!("a: 1 # {comment}\n# {comment}\nb: 2\n");
            let read: serde_yaml::Value = serde_yaml::from_str(&document).unwrap();
            prop_assert_eq!(read, serde_yaml::from_str::<serde_yaml::Value>("{a: 1, b: 2}").unwrap());
        }
    }
}
