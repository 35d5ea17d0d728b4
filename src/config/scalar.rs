//! What a word of the file is: a text, a number, a truth value or nothing (YAML 1.2 §10.3). What other readers of YAML
//! take for a number is no text here either, so that nobody's `007` turns into a name. Nothing here knows a key.

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    /// `null`, or nothing at all.
    Nothing,
    Bool(bool),
    /// Decimal digits without leading zeros.
    Whole(u64),
    /// Any other number: negative, too large, with a fraction, not decimal. No key takes one.
    OtherNumber,
    Text,
}

impl Scalar {
    /// What `text` is; only what stands without quotes (`plain`) is anything but a text.
    pub(super) fn of(text: &str, plain: bool) -> Self {
        match text {
            _ if !plain => Self::Text,
            "" | "~" | "null" | "Null" | "NULL" => Self::Nothing,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ => match text.parse() {
                Ok(number) if text == "0" || text.starts_with(|first| matches!(first, '1'..='9')) => {
                    Self::Whole(number)
                }
                Ok(_) => Self::OtherNumber,
                Err(_) if is_number(text) => Self::OtherNumber,
                Err(_) => Self::Text,
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    let number = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix, radix| {
        let digits = number.strip_prefix(prefix).unwrap_or_default();
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    let decimal = number.trim_start_matches('.').starts_with(|first: char| first.is_ascii_digit());
    (decimal && number.parse::<f64>().is_ok())
        || radix("0x", 16)
        || radix("0o", 8)
        || radix("0b", 2)
        || [".inf", ".nan"].iter().any(|word| number.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |text: &str, expect: Scalar| {
            assert_eq!(Scalar::of(text, true), expect, "{text:?}");
            assert_eq!(Scalar::of(text, false), Scalar::Text, "{text:?}");
        };
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Scalar::Nothing);
        }
        for (text, value) in [("true", true), ("TRUE", true), ("false", false), ("False", false)] {
            check(text, Scalar::Bool(value));
        }
        for (text, value) in [("0", 0), ("8", 8), ("18446744073709551615", u64::MAX)] {
            check(text, Scalar::Whole(value));
        }
        for text in [
            "00",
            "007",
            "-1",
            "-0",
            "+1",
            "1.5",
            "1.",
            ".5",
            "-.5",
            "1e3",
            "1E-3",
            "0x1F",
            "-0x1f",
            "0o17",
            "0b1",
            ".inf",
            "-.INF",
            ".NaN",
            "18446744073709551616",
        ] {
            check(text, Scalar::OtherNumber);
        }
        for text in [
            "a",
            "nUll",
            "tRue",
            "yes",
            "no",
            "on",
            "off",
            "y",
            "inf",
            "nan",
            "infinity",
            "-",
            "+",
            ".",
            "..1",
            "1_000",
            "1.2.3",
            "12:30",
            "2024-01-01",
            "0x",
            "0xg",
            "0o8",
            "0b2",
            "1e",
            "e1",
            "4MiB",
            "१",
            "10.0.0.0/8",
        ] {
            check(text, Scalar::Text);
        }
    }
}
