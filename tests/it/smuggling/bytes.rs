//! What lies between the wire and the text: transfer framing, content codings, and the encodings of characters, each read as
//! leniently as the reader in question does. Codings are read as far as the corpus uses them: blocks that are stored, not packed.

/// The chunks of a body joined, its trailers, and what stands behind it. A size is read up to what is no hexadecimal digit.
pub(super) fn dechunked(wire: &[u8]) -> (Vec<u8>, Vec<(String, String)>, &[u8]) {
    let (mut body, mut rest) = (Vec::new(), wire);
    loop {
        let (line, after) = line_of(rest);
        let line = String::from_utf8_lossy(line).into_owned();
        let digits: String = line.trim().chars().take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        rest = after;
        if size == 0 {
            break;
        }
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").unwrap_or(after);
    }
    let mut trailers = Vec::new();
    loop {
        let (line, after) = line_of(rest);
        rest = after;
        let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
            return (body, trailers, rest);
        };
        trailers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

/// Whether `wire` is chunks and nothing else, each size without anything about it.
pub(super) fn is_well_chunked(wire: &[u8]) -> bool {
    let (body, trailers, rest) = dechunked(wire);
    // What is longer was not read as it was meant.
    let (first, _) = line_of(wire);
    let sized = !first.is_empty() && first.iter().all(u8::is_ascii_hexdigit);
    sized && trailers.is_empty() && rest.is_empty() && wire.len() >= body.len()
}

fn line_of(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (bytes[..at].strip_suffix(b"\r").unwrap_or(&bytes[..at]), &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

/// The bytes inside a gzip, zlib, raw deflate, brotli or zstd body, told by how it begins; anything else as it is.
pub(super) fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes {
        [0x1f, 0x8b, 8, 0, _, _, _, _, _, _, rest @ ..] | [0x78, 0x01, rest @ ..] => stored(rest),
        [0x01, ..] => stored(bytes),
        // zstd (RFC 8878): a single segment with one byte of length, one raw block that is the last.
        [0x28, 0xb5, 0x2f, 0xfd, 0x20, _, a, b, c, rest @ ..] => {
            let header = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            (header & 7 == 1).then(|| rest.get(..header >> 3).map(<[u8]>::to_vec))?
        }
        // brotli (RFC 7932 §9.2): the window of 16 bits, one uncompressed meta-block, one empty last.
        [a, b, c, rest @ ..] if a.trailing_zeros() >= 4 && c & 0x10 != 0 => {
            let bits = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
            rest.get(..((bits >> 4) & 0xffff) + 1).map(<[u8]>::to_vec)
        }
        _ => Some(bytes.to_vec()),
    }
}

/// One stored block, the last (RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Option<Vec<u8>> {
    let [1, low, high, _, _, rest @ ..] = bytes else { return None };
    rest.get(..usize::from(*low) | usize::from(*high) << 8).map(<[u8]>::to_vec)
}

/// UTF-8, UTF-16 or UTF-32 by byte order mark, or else by where the zeros of the first characters stand (RFC 4627 §3).
pub(super) fn sniffed(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => text(rest),
        [0xff, 0xfe, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0, 0, 0, _, ..] => utf32(bytes, u32::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [0, _, ..] => utf16(bytes, u16::from_be_bytes),
        [_, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => text(bytes),
    }
}

/// What `charset` says.
pub(super) fn decoded(bytes: &[u8], charset: &str) -> Option<String> {
    match charset {
        "utf-16le" => utf16(bytes, u16::from_le_bytes),
        "utf-16be" => utf16(bytes, u16::from_be_bytes),
        "utf-16" | "utf-32" => sniffed(bytes),
        "utf-7" => utf7(bytes),
        "iso-8859-1" | "latin1" | "windows-1252" => Some(bytes.iter().copied().map(char::from).collect()),
        "ibm037" => Some(bytes.iter().copied().map(ebcdic).collect()),
        "shift_jis" => Some(shift_jis(bytes)),
        _ => text(bytes),
    }
}

/// UTF-8 without the bytes that are none.
pub(super) fn dropped(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}

/// UTF-8 by its bits alone: forms longer than need be, surrogates and what lies beyond U+10FFFF included.
pub(super) fn overlong(bytes: &[u8]) -> String {
    let (mut units, mut rest) = (Vec::new(), bytes);
    while let [first, after @ ..] = rest {
        let (bits, more) = match first {
            0xc0..=0xdf => (first & 0x1f, 1),
            0xe0..=0xef => (first & 0xf, 2),
            0xf0..=0xf7 => (first & 7, 3),
            0xf8..=0xfb => (first & 3, 4),
            _ => (*first, 0),
        };
        let tail = after.get(..more).filter(|tail| tail.iter().all(|byte| byte & 0xc0 == 0x80));
        let (bits, tail) = tail.map_or((*first, &[][..]), |tail| (bits, tail));
        let code = tail.iter().fold(u32::from(bits), |code, byte| code << 6 | u32::from(byte & 0x3f));
        match char::from_u32(code) {
            Some(character) => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            None => units.push(u16::try_from(code).unwrap_or(0xfffd)),
        }
        rest = &after[tail.len()..];
    }
    String::from_utf16_lossy(&units)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<_> = pairs.iter().copied().map(unit).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<String> {
    let (quads, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| quads.iter().copied().map(|quad| char::from_u32(unit(quad))).collect())?
}

/// RFC 2152.
fn utf7(bytes: &[u8]) -> Option<String> {
    let ascii = text(bytes)?;
    let (mut out, mut rest) = (String::new(), ascii.as_str());
    while let Some((before, after)) = rest.split_once('+') {
        out.push_str(before);
        let length =
            after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
        let (mut bits, mut held, mut units) = (0_u32, 0, Vec::new());
        for byte in after[..length].bytes() {
            let six = BASE64.bytes().position(|each| each == byte)?;
            bits = bits << 6 | u32::try_from(six).ok()?;
            held += 6;
            if held >= 16 {
                held -= 16;
                units.push(u16::try_from(bits >> held & 0xffff).ok()?);
            }
        }
        if length == 0 {
            out.push('+');
        }
        out.push_str(&String::from_utf16_lossy(&units));
        rest = after[length..].strip_prefix('-').unwrap_or(&after[length..]);
    }
    out.push_str(rest);
    Some(out)
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// IBM037, as far as JSON and ASCII names need it.
fn ebcdic(byte: u8) -> char {
    let run = |first: u8, letter: u8| char::from(letter + (byte - first));
    match byte {
        0x81..=0x89 => run(0x81, b'a'),
        0x91..=0x99 => run(0x91, b'j'),
        0xa2..=0xa9 => run(0xa2, b's'),
        0xf0..=0xf9 => run(0xf0, b'0'),
        _ => [
            (0x40, ' '),
            (0x7f, '"'),
            (0x7a, ':'),
            (0x6b, ','),
            (0xc0, '{'),
            (0xd0, '}'),
            (0x61, '/'),
            (0x6d, '_'),
            (0x4b, '.'),
        ]
        .into_iter()
        .find_map(|(code, character)| (code == byte).then_some(character))
        .unwrap_or('\u{FFFD}'),
    }
}

/// `Shift_JIS` as far as it matters: a lead byte takes the byte after it along, a backslash too.
fn shift_jis(bytes: &[u8]) -> String {
    let (mut out, mut rest) = (String::new(), bytes);
    while let [first, after @ ..] = rest {
        let leads = matches!(first, 0x81..=0x9f | 0xe0..=0xfc) && !after.is_empty();
        out.push(if leads { '\u{3013}' } else { char::from(*first) });
        rest = if leads { &after[1..] } else { after };
    }
    out
}
