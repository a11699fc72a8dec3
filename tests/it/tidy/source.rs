//! Reads Rust as far as the house rules need: what is code, what is a test, which functions and paths there are.

use std::fs;
use std::path::Path;

/// One file.
#[derive(Clone)]
pub struct Source {
    /// Its path from the root of the repository: `src/scim/text.rs`.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The file with comments and literals blanked; places and lines are those of `text`.
    pub code: String,
    /// `code` without its tests.
    pub production: String,
    /// The tests in `text`: all of it, or its test modules.
    pub tests: String,
}

/// A function.
pub struct Function<'s> {
    pub name: &'s str,
    /// Where it starts.
    pub line: usize,
    /// How many lines it has.
    pub lines: usize,
    /// Its parameters, `self` included, with spaces made single.
    pub parameters: Vec<String>,
}

/// Every file of Rust below a folder of the repository, in order.
pub fn read_all(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = vec![];
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                sources.push(Source::new(name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

impl Source {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Source {
        let (path, text) = (path.into(), text.into());
        let code = without_literals(&text);
        if is_test(&path) {
            return Source { path, tests: text.clone(), text, code, production: String::new() };
        }
        let (mut production, mut tests) = (code.clone().into_bytes(), String::new());
        for (start, end) in test_modules(&code) {
            production[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            tests.push_str(&text[start..end]);
        }
        Source { path, text, code, production: String::from_utf8(production).unwrap(), tests }
    }

    /// Whether it is a test and nothing else.
    pub fn is_test(&self) -> bool {
        is_test(&self.path)
    }

    /// `src/store/log.rs` is `["store", "log"]`; the roots are empty.
    pub fn modules(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_start_matches("tests/it/").trim_end_matches(".rs");
        let parts = inner.split('/').filter(|part| !matches!(*part, "lib" | "main" | "mod"));
        parts.collect()
    }

    /// Whether a place is in a test module or on a line that is a comment.
    pub fn is_aside(&self, at: usize) -> bool {
        let start = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let is_comment = self.text[start..at].trim_start().starts_with("//");
        is_comment || self.is_test() || test_modules(&self.code).iter().any(|(start, end)| (start..end).contains(&&at))
    }

    /// The line of a place.
    pub fn line(&self, at: usize) -> usize {
        self.code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Every function with a body or without one.
    pub fn functions(&self) -> Vec<Function<'_>> {
        let places = words(&self.code).filter(|(_, word)| *word == "fn");
        places.filter_map(|(at, _)| self.function(at)).collect()
    }

    fn function(&self, at: usize) -> Option<Function<'_>> {
        let code = self.code.as_str();
        let (name_at, name) = words(&code[at + 2..]).next().map(|(n, word)| (at + 2 + n, word))?;
        if !code[at + 2..name_at].trim().is_empty() {
            return None; // A type: `fn(u32) -> u32`.
        }
        let mut open = name_at + name.len();
        if code[open..].starts_with('<') {
            open = closing(code, open)? + 1;
        }
        let close = closing(code, open)?;
        let end = close + code[close..].find(['{', ';'])?;
        let end = if code[end..].starts_with('{') { closing(code, end)? } else { end };
        let line = self.line(at);
        let parameters = split(&code[open + 1..close]);
        Some(Function { name, line, lines: self.line(end) + 1 - line, parameters })
    }
}

fn is_test(path: &str) -> bool {
    path.ends_with("_test.rs") || path.starts_with("tests/")
}

/// The words of a text with their places.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &text[start..at]))
    })
}

/// Reads `a::{b::c, d}` into `[a, b, c]` and `[a, d]`, from the place of `a` or `{`.
pub fn paths(code: &str, at: usize) -> Vec<Vec<String>> {
    let rest = &code[at..];
    if let Some(inner) = rest.strip_prefix('{') {
        let end = closing(code, at).map_or(inner.len(), |close| close - at - 1);
        return split(&inner[..end]).iter().flat_map(|part| paths(part, 0)).collect();
    }
    let Some((0, word)) = words(rest).next() else { return vec![vec![]] };
    let tails = match rest[word.len()..].strip_prefix("::") {
        Some(_) => paths(code, at + word.len() + 2),
        None => vec![vec![]],
    };
    tails.into_iter().map(|tail| [vec![word.to_owned()], tail].concat()).collect()
}

/// The place of the bracket that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    // `<` is a bracket only where a list of types is read; elsewhere it compares.
    let angles = bytes.get(open) == Some(&b'<');
    let mut depth = 0_usize;
    for at in open..bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'{' => depth += 1,
            b'<' if angles => depth += 1,
            b'>' if angles && bytes[at - 1] != b'-' => depth -= 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// Splits at the commas that are in no bracket.
fn split(list: &str) -> Vec<String> {
    let (mut depth, mut parts, mut start) = (0_i32, vec![], 0);
    let bytes = list.as_bytes();
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b'>' if at > 0 && bytes[at - 1] != b'-' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    let tidied = parts.iter().map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    tidied.filter(|part| !part.is_empty()).collect()
}

/// Blanks comments, texts and characters.
fn without_literals(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let length = literal(text.as_bytes(), at);
        for byte in code.iter_mut().skip(at).take(length).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at += length.max(1);
    }
    String::from_utf8(code).unwrap()
}

/// How long the comment or literal is that starts here; 0 if none does.
fn literal(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let until = |from: usize, end: &[u8]| {
        let found = rest[from..].windows(end.len()).position(|window| window == end);
        found.map_or(rest.len(), |found| from + found + end.len())
    };
    let in_word = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => until(2, b"\n") - 1,
        [b'/', b'*', ..] => until(2, b"*/"),
        [b'"', ..] => quoted(rest, b'"'),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', _, b'\'', ..] => 3,
        [b'\'', 0x80..=0xff, ..] => until(1, b"'"),
        [b'r', b'"' | b'#', ..] if !in_word || text[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return 0; // `r#type` is a name.
            }
            until(2 + hashes, &[&b"\""[..], &b"#".repeat(hashes)].concat())
        }
        _ => 0,
    }
}

fn quoted(rest: &[u8], end: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != end {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where each `#[cfg(test)] mod … { … }` starts and ends.
fn test_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = vec![];
    for (start, mark) in code.match_indices("#[cfg(test)]") {
        let mut item = code[start + mark.len()..].trim_start();
        while item.starts_with("#[") {
            item = closing(item, 1).map_or("", |close| item[close + 1..].trim_start());
        }
        let open = code.len() - item.len() + item.find(['{', ';']).unwrap_or(0);
        let (visibility, _) = item.split_once("mod ").unwrap_or(("no module", ""));
        let is_module = visibility.is_empty() || visibility.starts_with("pub") && !visibility.contains(['{', ';', '=']);
        if is_module && code[open..].starts_with('{') {
            found.push((start, closing(code, open).map_or(code.len(), |end| end + 1)));
        }
    }
    found
}
