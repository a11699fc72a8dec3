//! A key's text: never an argument, which other users and the shell's history would see; always read from standard
//! input, and shown nowhere.

use std::io::{self, BufRead, IsTerminal, Read, Stdin};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Output, found, print};
use crate::domain::secret::{key_texts, resembles_key};
use crate::service::{Context, Error, Service};

/// Stands where the id of a key is asked for: its text comes on standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// What whoever gives a key's text as an argument is told.
pub(super) const IN_ARGUMENTS: &str = "a key's text is no argument: other users of this machine see it there, and the \
     shell's history keeps it. Give - in its place and the key on standard input: keyroll key revoke -, keyroll key show -";

/// Bytes that are looked at: a line or a file of somebody's, with a key in it.
const INPUT_MAX: u64 = 64 << 10;

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

/// The id of the key that an argument names: by its id, or as `-` by its text. Whose key a text is, is told before
/// anything is done with it. `verb` is the command's.
pub(super) fn named(
    service: &Service,
    context: &Context,
    verb: &str,
    argument: String,
    output: Output,
) -> Result<String, Error> {
    if argument != STANDARD_INPUT {
        return Ok(argument);
    }
    let text = read_one(verb)?;
    let id = service.key_with_text(context, &text).map_err(|error| match error {
        Error::NotFound => Error::Refused("no key of this installation has that text".to_owned()),
        other => other,
    })?;
    let id = id.to_string();
    if !output.json {
        let key = found("key", &id, service.read_key(context, &id))?;
        let (class, status) = (key.class, key.status);
        let owner = match (&key.owner, super::key::named_owner(&key)) {
            // Nothing but the id is kept of them.
            (Some(owner), _) if owner.name.is_none() => format!("a deleted {}, {}", owner.kind.name(), owner.id),
            (_, Some(owner)) => format!("the {owner}"),
            (_, None) => "nobody that is known".to_owned(),
        };
        print::note(&format!("this is a key of {owner}: class {class}, {status}, id {id}"));
    }
    Ok(id)
}

/// The text of the one key on standard input.
pub(super) fn read_one(verb: &str) -> Result<String, Error> {
    let text = read().map_err(|error| Error::Refused(format!("no key can be read from standard input: {error}")))?;
    let texts = key_texts(&text);
    match (texts.first(), texts.len()) {
        (Some(one), 1) => Ok((*one).to_owned()),
        (None, _) if text.trim().is_empty() => Err(Error::Refused(format!(
            "nothing was read: give the key's text on standard input: keyroll key {verb} - <FILE, or type it where it is \
             asked for"
        ))),
        (None, _) => Ok(text.trim().to_owned()),
        (_, count) => Err(Error::Refused(format!("{count} keys are in what was read: give one of them"))),
    }
}

/// What is on standard input; from a terminal a line, unseen.
fn read() -> io::Result<String> {
    let (input, mut text) = (io::stdin(), vec![]);
    if input.is_terminal() {
        let _unseen = Unseen::begin(&input)?;
        print::prompt("key (it is not shown): ");
        input.lock().take(INPUT_MAX).read_until(b'\n', &mut text)?;
    } else {
        input.lock().take(INPUT_MAX).read_to_end(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
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
