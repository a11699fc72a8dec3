//! What an admin on the host has to say before a key that was refused can be issued: the very command. Whoever asks
//! over the network cannot run it, and gets the refusal alone.

use serde_json::Value;

use crate::domain::nearest::least;
use crate::domain::role::ADMIN;
use crate::domain::{Permission, Principal};
use crate::service::document::stored_document;
use crate::service::{Change, Error, principal_type};
use crate::store;

const EVERYTHING: &str = "keyroll:*:*";

/// The refusal, with a hint for the host.
fn hinted(change: &Change<'_>, refusal: String, hint: impl FnOnce() -> String) -> String {
    match change.context.caller.key() {
        Some(_) => refusal,
        None => format!("{refusal}: {}", hint()),
    }
}

/// Why nobody gets a key that does not fit what its owner may do.
pub(in crate::service::keys) fn lacking(
    change: &mut Change<'_>,
    owner: &Principal,
    permission: &Permission,
) -> Result<Error, Error> {
    let policy = change.policy()?;
    // Who needs one permission is not advised to take all there are.
    let is_all = |role: &&str| *role == ADMIN && permission.as_str() != EVERYTHING;
    let (role, alone) = match least(&policy, permission) {
        Some(role) if is_all(&role) => (None, "no role but keyroll.admin"),
        role => (role, "no role"),
    };
    let map = |role: &str| format!("keyroll mapping create --role {role} --user {} --reason TEXT", called(owner));
    Ok(Error::Forbidden(hinted(change, format!("the owner does not hold {permission}"), || match role {
        Some(role) => format!("role {role} gives it: {}", map(role)),
        None => format!(
            "{alone} gives it: keyroll role create ROLE --permission '{permission}' makes one, {} gives it",
            map("ROLE")
        ),
    })))
}

/// Why an owner that is not live gets no key.
pub(in crate::service::keys) fn not_live(change: &Change<'_>, owner: &Principal) -> String {
    if owner.deleted_at.is_some() {
        return format!("the owner {} is deleted", owner.id);
    }
    hinted(change, format!("the owner {} is not live", owner.id), || match (owner.active, owner.admin_hold) {
        (true, true) => format!("an admin's hold suspends it: keyroll user activate {}", called(owner)),
        _ => format!(
            "its identity provider does not say active: true: keyroll user activate {} --force says so in its place",
            called(owner)
        ),
    })
}

/// Why an agent that nobody answers for gets no key.
pub(in crate::service::keys) fn unsponsored(change: &mut Change<'_>, owner: &Principal) -> Result<String, Error> {
    let found = store::resources::find(change.conn, change.key(), &principal_type(owner.kind)?.name, &owner.id)?;
    let document = found.as_ref().map(stored_document).transpose()?.unwrap_or_default();
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    Ok(hinted(change, format!("the owner {} has no live sponsor", owner.id), || {
        let command = sponsor(&called(owner), &owner.name, text("displayName"), text("description"));
        format!("an admin's agent gets one by {command}")
    }))
}

/// The command that gives an admin's agent another sponsor, and keeps what else is said about it.
pub fn sponsor(agent: &str, name: &str, display_name: Option<&str>, description: Option<&str>) -> String {
    let mut command = format!("keyroll agent replace {agent} {} --sponsor WHO", argument(name));
    for (flag, text) in [("--display-name", display_name), ("--description", description)] {
        if let Some(text) = text {
            command.push_str(&format!(" {flag}={}", argument(text)));
        }
    }
    command
}

/// A text as an argument of a command that a shell is given: in quotes, unless it is a plain word.
pub fn argument(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Why a name is nobody's.
pub(in crate::service::keys) fn nobody(change: &mut Change<'_>, name: &str) -> Result<String, Error> {
    let is_connection = store::connections::by_name(change.conn, change.key(), name)?.is_some();
    Ok(hinted(change, format!("no user and no agent is named {name}"), || match is_connection {
        true => format!("a connection is: keyroll key issue --connection {name}"),
        false => "keyroll user list shows everybody, keyroll agent create NAME --sponsor WHO makes an agent".to_owned(),
    }))
}

/// A principal as a command takes it: by its name, unless a shell would read that in another way.
fn called(owner: &Principal) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
    let is_word = owner.name.starts_with(|c: char| c.is_ascii_alphanumeric()) && owner.name.chars().all(is_plain);
    if is_word { owner.name.clone() } else { owner.id.to_string() }
}
