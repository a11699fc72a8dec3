//! Tokens to [`Filter`], by recursive descent. Depth is counted before every recursion.

use serde_json::Number;
use serde_json::value::RawValue;

use super::super::error::{Error, ScimType};
use super::super::tolerance::{Tolerance, Tolerances};
use super::lexer::{Kind, Token, tokens};
use super::{AttrPath, Filter, Limits, Literal, Operator};

/// Parses a filter within the default limits.
pub fn parse(text: &str, tolerances: &mut Tolerances) -> Result<Filter, Error> {
    parse_within(text, &Limits::default(), tolerances)
}

/// Parses a filter within given limits.
pub fn parse_within(text: &str, limits: &Limits, tolerances: &mut Tolerances) -> Result<Filter, Error> {
    if text.len() > limits.bytes_max {
        let detail = format!("filter: {} bytes; the limit is {}", text.len(), limits.bytes_max);
        return Err(Error::filter(detail));
    }
    let tokens = tokens(text)?;
    let end = text.chars().count() + 1;
    let mut parser =
        Parser { tokens: &tokens, next: 0, end, limits, terms: 0, bracket: false, unquoted: false, tolerances };
    let filter = parser.or(0)?;
    match parser.peek() {
        None => Ok(filter),
        // `+` is how a blank arrives in a URL that writes blanks so: the word ended there.
        Some(_) if parser.unquoted => Err(Error {
            detail: format!("{}: {QUOTES}", parser.expected("and, or or the end").detail),
            ..Error::filter("")
        }),
        Some(_) => Err(parser.expected("and, or or the end")),
    }
}

/// What is said where a word without quotes is not one.
const QUOTES: &str = "a value with a blank or a + in it needs double quotes, since + may stand for a blank in a URL";

struct Parser<'p> {
    tokens: &'p [Token<'p>],
    next: usize,
    /// The column after the last character.
    end: usize,
    limits: &'p Limits,
    terms: usize,
    /// Whether we are inside brackets.
    bracket: bool,
    /// Whether the last value was a word without quotes.
    unquoted: bool,
    tolerances: &'p mut Tolerances,
}

impl<'p> Parser<'p> {
    fn peek(&self) -> Option<&'p Kind<'p>> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn column(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |token| token.column)
    }

    fn expected(&self, what: &str) -> Error {
        Error::filter(format!("filter: expected {what} at column {}", self.column()))
    }

    /// Takes a keyword in any letter case.
    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Kind::Word(text)) if text.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn punctuation(&mut self, kind: &Kind<'_>, what: &str) -> Result<(), Error> {
        if self.peek() != Some(kind) {
            return Err(self.expected(what));
        }
        self.next += 1;
        Ok(())
    }

    fn or(&mut self, depth: usize) -> Result<Filter, Error> {
        let mut parts = vec![self.and(depth)?];
        while self.keyword("or") {
            parts.push(self.and(depth)?);
        }
        Ok(Filter::or(parts))
    }

    fn and(&mut self, depth: usize) -> Result<Filter, Error> {
        let mut parts = vec![self.factor(depth)?];
        while self.keyword("and") {
            parts.push(self.factor(depth)?);
        }
        Ok(Filter::and(parts))
    }

    fn factor(&mut self, depth: usize) -> Result<Filter, Error> {
        // RFC 7644 erratum 7319: the grammar says `not(`, the RFC's own example `not (`; both are read.
        if self.keyword("not") {
            return Ok(Filter::Not(Box::new(self.group(depth)?)));
        }
        if self.peek() == Some(&Kind::Open) {
            return self.group(depth);
        }
        self.expression(depth)
    }

    fn group(&mut self, depth: usize) -> Result<Filter, Error> {
        self.punctuation(&Kind::Open, "(")?;
        let inner = self.or(self.deeper(depth)?)?;
        self.punctuation(&Kind::Close, ")")?;
        Ok(inner)
    }

    fn deeper(&self, depth: usize) -> Result<usize, Error> {
        if depth >= self.limits.depth_max {
            let detail = format!("filter: nested deeper than the limit of {}", self.limits.depth_max);
            return Err(Error::filter(detail));
        }
        Ok(depth + 1)
    }

    fn expression(&mut self, depth: usize) -> Result<Filter, Error> {
        let column = self.column();
        let text = match self.peek() {
            Some(Kind::Word(text)) if is_path(text) => *text,
            _ => return Err(self.expected("an attribute")),
        };
        self.next += 1;
        let path = AttrPath { text: text.to_owned(), column };
        if self.peek() == Some(&Kind::OpenBracket) {
            return self.value_path(path, depth);
        }
        self.comparison(path)
    }

    fn value_path(&mut self, path: AttrPath, depth: usize) -> Result<Filter, Error> {
        // RFC 7644 erratum 7322: only expressions over sub-attributes inside brackets.
        if self.bracket {
            return Err(self.expected("an operator, not a nested value path,"));
        }
        self.next += 1;
        self.bracket = true;
        let inner = self.or(self.deeper(depth)?)?;
        self.bracket = false;
        self.punctuation(&Kind::CloseBracket, "]")?;
        let column = self.column();
        let sub = match self.peek() {
            Some(Kind::Word(text)) => text.strip_prefix('.').filter(|sub| is_path(sub) && !sub.contains(['.', ':'])),
            _ => None,
        };
        let Some(sub) = sub else { return Ok(Filter::ValuePath(path, Box::new(inner))) };
        self.next += 1;
        let tail = self.comparison(AttrPath { text: sub.to_owned(), column })?;
        Ok(Filter::ValuePath(path, Box::new(Filter::and(vec![inner, tail]))))
    }

    fn comparison(&mut self, path: AttrPath) -> Result<Filter, Error> {
        self.terms += 1;
        if self.terms > self.limits.terms_max {
            let detail = format!("filter: more terms than the limit of {}", self.limits.terms_max);
            return Err(Error::new(ScimType::TooMany, detail));
        }
        if self.keyword("pr") {
            return Ok(Filter::Present(path));
        }
        let operator = match self.peek() {
            Some(Kind::Word(text)) => Operator::parse(text),
            _ => None,
        };
        let Some(operator) = operator else { return Err(self.expected("an operator")) };
        self.next += 1;
        let literal = self.literal(operator)?;
        self.next += 1;
        Ok(Filter::Compare(path, operator, literal))
    }

    fn literal(&mut self, operator: Operator) -> Result<Literal, Error> {
        self.unquoted = false;
        let word = match self.peek() {
            Some(Kind::Text(text)) => return Ok(Literal::Text(text.clone())),
            Some(Kind::Word(word)) => *word,
            _ => return Err(self.expected("a value")),
        };
        match word {
            "null" => return Ok(Literal::Null),
            "true" => return Ok(Literal::Bool(true)),
            "false" => return Ok(Literal::Bool(false)),
            _ => {}
        }
        if let Some(value) = boolean(word)
            && self.tolerances.allow(Tolerance::BooleanText)
        {
            return Ok(Literal::Bool(value));
        }
        if let Some(text) = single_quoted(word)
            && operator == Operator::Eq
            && self.tolerances.allow(Tolerance::UnquotedText)
        {
            return Ok(Literal::Text(text.to_owned()));
        }
        // RFC 7644 §3.4.2.2: values are JSON; its unquoted and single-quoted examples are not.
        match serde_json::from_str::<Number>(word) {
            Ok(number) => Ok(Literal::Number(number)),
            Err(_)
                if operator == Operator::Eq
                    && is_unquoted(word)
                    && (!is_logical(word) || self.ends_a_term())
                    && self.tolerances.allow(Tolerance::UnquotedText) =>
            {
                self.unquoted = true;
                Ok(Literal::Text(word.to_owned()))
            }
            Err(_) => {
                let error = self.expected("a value: a string in double quotes, a number, true, false or null,");
                let has_plus = operator == Operator::Eq && word.contains('+') && is_unquoted(&word.replace('+', ""));
                match has_plus && self.tolerances.dialect().is_lenient() {
                    true => Err(Error { detail: format!("{}: {QUOTES}", error.detail), ..error }),
                    false => Err(error),
                }
            }
        }
    }

    /// Whether nothing comes behind this word but what may come behind a value: then it is one, whatever else it
    /// might be.
    fn ends_a_term(&self) -> bool {
        match self.tokens.get(self.next + 1).map(|token| &token.kind) {
            None | Some(Kind::Close | Kind::CloseBracket) => true,
            Some(Kind::Word(word)) => ["and", "or"].iter().any(|own| word.eq_ignore_ascii_case(own)),
            Some(_) => false,
        }
    }
}

/// Reads `true` and `false` in any letter case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|value| text.eq_ignore_ascii_case(if *value { "true" } else { "false" }))
}

/// Whether a word may be a text whose quotes were forgotten. JSON is none, however large its number and in whatever
/// letter case its word; a logical word is one where nothing else can be meant.
fn is_unquoted(word: &str) -> bool {
    let is_json = word.eq_ignore_ascii_case("null") || serde_json::from_str::<&RawValue>(word).is_ok();
    is_plain(word) && !is_json
}

/// The text between single quotes.
fn single_quoted(word: &str) -> Option<&str> {
    let text = word.strip_prefix('\'')?.strip_suffix('\'')?;
    (!text.is_empty() && is_plain(text)).then_some(text)
}

fn is_plain(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-'))
}

fn is_logical(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|own| word.eq_ignore_ascii_case(own))
}

/// Whether a word has the letters of an attribute path. `$ref` is one, against the letter of the
/// grammar; the logical words are not.
fn is_path(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'$'))
        && !is_logical(text)
}

#[cfg(test)]
#[path = "parser_test.rs"]
mod tests;
