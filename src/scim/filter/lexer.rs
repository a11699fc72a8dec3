//! Cuts a filter into tokens.

use super::super::error::Error;

/// One token, and its column from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    /// A keyword, operator, attribute path, number or `true`: whatever stands between the others.
    Word(&'t str),
    /// A JSON string, unescaped.
    Text(String),
}

/// All tokens of a filter. The caller has bounded its length.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut found = vec![];
    let mut rest = text;
    let mut column = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = match first {
            ' ' | '\t' | '\r' | '\n' => (None, 1),
            '(' => (Some(Kind::Open), 1),
            ')' => (Some(Kind::Close), 1),
            '[' => (Some(Kind::OpenBracket), 1),
            ']' => (Some(Kind::CloseBracket), 1),
            '"' => string(rest, column).map(|(text, length)| (Some(Kind::Text(text)), length))?,
            _ => {
                let length = rest.find([' ', '\t', '\r', '\n', '(', ')', '[', ']', '"']).unwrap_or(rest.len());
                (Some(Kind::Word(rest.get(..length).unwrap_or_default())), length)
            }
        };
        if let Some(kind) = kind {
            found.push(Token { kind, column });
        }
        column += rest.get(..length).unwrap_or_default().chars().count();
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(found)
}

/// Reads the JSON string that `rest` starts with; answers it and its length in bytes.
fn string(rest: &str, column: usize) -> Result<(String, usize), Error> {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let length = index + 1;
                let literal = rest.get(..length).unwrap_or_default();
                // serde_json refuses lone surrogates and bare control characters.
                let text: String = serde_json::from_str(literal)
                    .map_err(|_| Error::filter(format!("filter: not a JSON string at column {column}")))?;
                if text.contains('\0') {
                    return Err(Error::filter(format!("filter: U+0000 in the string at column {column}")));
                }
                return Ok((text, length));
            }
            _ => {}
        }
    }
    Err(Error::filter(format!("filter: the string at column {column} does not end")))
}
