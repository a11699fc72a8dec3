//! What a body may cost, and the scan that holds it to that.

use crate::scim::error::Error;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arrays and objects inside each other.
    pub depth_max: usize,
    /// Values in all, counted generously: an empty array or object counts twice.
    pub nodes_max: usize,
    /// Digits of one number.
    pub number_digits_max: usize,
    /// What the values take in memory, allocations not rounded up.
    pub memory_bytes_max: usize,
    /// The one name that may stand several times in an object: its values become a list, and whoever reads them
    /// decides.
    pub repeated: Option<&'static str>,
    /// Whether a text may hold U+0000, which no database keeps: whoever reads it leaves it out. See [`super::mended()`].
    pub unstorable: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth_max: 32,
            nodes_max: 1_000_000,
            number_digits_max: 40,
            memory_bytes_max: 64 << 20,
            repeated: None,
            unstorable: false,
        }
    }
}

/// Bounds depth, values and digits without recursion; whether the text is JSON at all is not asked here.
pub(super) fn scan(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::syntax("malformed JSON: it starts with a byte order mark"));
    }
    let over = |position: usize, max: usize, what: &str| {
        Err(Error::syntax(format!("JSON has more than {max} {what} at byte {position}")))
    };
    let (mut depth, mut nodes, mut digits) = (0usize, 1usize, 0usize);
    let mut rest = bytes.iter().enumerate();
    while let Some((position, byte)) = rest.next() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits > limits.number_digits_max {
                    return over(position, limits.number_digits_max, "digits in a number");
                }
                continue;
            }
            b'.' | b'+' | b'-' | b'e' | b'E' => continue,
            b'"' => skip_string(&mut rest),
            b'[' | b'{' => (depth, nodes) = (depth + 1, nodes + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
        digits = 0;
        if depth > limits.depth_max {
            return over(position, limits.depth_max, "levels of nesting");
        }
        if nodes > limits.nodes_max {
            return over(position, limits.nodes_max, "values");
        }
    }
    Ok(())
}

/// Goes on behind the quote that ends a string.
fn skip_string<'b>(rest: &mut impl Iterator<Item = (usize, &'b u8)>) {
    while let Some((_, byte)) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(rest.next()),
            _ => {}
        }
    }
}
