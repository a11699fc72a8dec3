//! A key's text: never an argument, which other users and the shell's history would see; always read from standard
//! input, and shown nowhere.

use std::io::{self, BufRead, IsTerminal, Read, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Output, found, print};
use crate::domain::secret::resembles_key;
use crate::service::{Context, Error, Service};

/// Stands where the id of a key is asked for: its text comes on standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// What whoever gives a key's text as an argument is told.
pub(super) const IN_ARGUMENTS: &str = "a key's text is no argument: other users of this machine see it there, and the \
     shell's history keeps it. Give - in its place and the key on standard input: keyroll key revoke -, keyroll key show -";

/// What whoever gives no text at all is told.
const NOTHING_READ: &str = "nothing was read: give the key's text on standard input, in its first line: \
     keyroll key show - <FILE, or type it where it is asked for";

/// What whoever gives the beginning of a key is told, as lists and hints show it.
const SHOWN: &str = "keys may share their beginning: give the id, as keyroll key list tells it; or - and the key's text \
     on standard input";

/// An id as an argument, or `-`. A key's text that was cut or misspelt is none either.
pub(super) fn argument(text: &str) -> Result<String, String> {
    match text {
        _ if resembles_key(text) => Err(IN_ARGUMENTS.to_owned()),
        _ if ["kru_", "krs_", "krp_"].iter().any(|class| text.starts_with(class)) => Err(SHOWN.to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// Bytes of a line that are looked at: more than any key has.
const LINE_MAX: u64 = 4_096;

/// The id of the key that an argument names: by its id, or as `-` by its text. Whose key a text is, is told before
/// anything is done with it.
pub(super) fn named(service: &Service, context: &Context, argument: String, output: Output) -> Result<String, Error> {
    if argument != STANDARD_INPUT {
        return Ok(argument);
    }
    let text = read().map_err(|error| Error::Refused(format!("no key can be read from standard input: {error}")))?;
    let text = bare(&text);
    if text.is_empty() {
        return Err(Error::Refused(NOTHING_READ.to_owned()));
    }
    let id = service.key_with_text(context, text).map_err(|error| match error {
        Error::NotFound => Error::Refused("no key of this installation has that text".to_owned()),
        other => other,
    })?;
    let id = id.to_string();
    if !output.json {
        let key = found("key", &id, service.read_key(context, &id))?;
        let (class, status) = (key.class, key.status);
        let owner = super::key::named_owner(&key);
        let owner = owner.map_or_else(|| "nobody that is known".to_owned(), |owner| format!("the {owner}"));
        print::note(&format!("this is a key of {owner}: class {class}, {status}, id {id}"));
    }
    Ok(id)
}

/// The key alone of what was copied around it: blanks, quotes, and the header that it is sent in.
fn bare(text: &str) -> &str {
    let around = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
    let mut text = text.trim_matches(around);
    for word in ["authorization:", "bearer "] {
        if let Some((begin, rest)) = text.split_at_checked(word.len())
            && begin.eq_ignore_ascii_case(word)
        {
            text = rest.trim_matches(around);
        }
    }
    text
}

/// A line from standard input; from a terminal, unseen.
fn read() -> io::Result<String> {
    let input = io::stdin();
    let _unseen = match input.is_terminal() {
        true => {
            let unseen = Unseen::begin(&input)?;
            print::prompt("key (it is not shown): ");
            Some(unseen)
        }
        false => None,
    };
    let mut line = String::new();
    input.lock().take(LINE_MAX).read_line(&mut line)?;
    Ok(line)
}

/// A terminal that shows nothing of what is typed, for as long as this lives.
struct Unseen<'t> {
    terminal: &'t Stdin,
    before: Termios,
}

impl Unseen<'_> {
    fn begin(terminal: &Stdin) -> io::Result<Unseen<'_>> {
        let before = tcgetattr(terminal)?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        unseen.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Flush, &unseen)?;
        Ok(Unseen { terminal, before })
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn what_stands_around_a_key_is_left_out() {
        for text in [
            "kru_x",
            " kru_x\r\n",
            "Bearer kru_x",
            "bEARER   kru_x",
            "\"kru_x\"",
            "'Bearer kru_x' ",
            "Bearer \"kru_x\"",
            "Authorization: Bearer kru_x",
            "'authorization:bearer kru_x'",
        ] {
            assert_eq!(bare(text), "kru_x", "{text}");
        }
        for (text, rest) in [("Bearer", "Bearer"), ("Bearerkru_x", "Bearerkru_x"), ("Bearer \n", "Bearer"), ("é", "é")]
        {
            assert_eq!(bare(text), rest);
        }
    }
}
