//! Which rooms of the service may name which: those before them in one list. Its other files are the ground, and
//! name none; but the page of the service itself holds them together.
//!
//! A path names the room that it leads to, or, by way of the page, the room of what the page lends its name to. A
//! method of `Service` can be called without a name of its room: it is looked up where it is defined. So that there
//! are few of these, only operations are methods, and each type has its methods in its own room.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use keyroll::domain::Operation;

use super::rules::{above, mentions, offence};
use super::source::{Source, closing, read_all, words};

/// The rooms, each on those before it.
pub const ROOMS: &[&str] = &[
    "memory",
    "readiness",
    "work",
    "access",
    "caller",
    "nodes",
    "change",
    "keys",
    "log",
    "impact",
    "catalogue",
    "directory",
    "reports",
    "apply",
    "authzen",
    "backup",
    "tenants",
];

const PAGE: &str = "src/service/mod.rs";

/// Methods of `Service` that carry no operation out, and why they are methods all the same.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "how it is opened, and what everything needs of it",
        &[
            "open",
            "open_present",
            "settings",
            "is_embedded",
            "attended",
            "scim_base_url",
            "now",
            "monotonic",
            "mint",
            "entropy",
            "keyring",
            "read",
        ],
    ),
    ("what HTTP does before the operation is known", &["enter", "count_request", "tolerances"]),
    ("what HTTP asks without waiting", &["ask_commit_version", "at_commit", "cached"]),
    ("where and when a search runs", &["is_lookup", "wait_for_turn", "in_turn"]),
    ("the life of a stream of changes", &["heads", "may_follow"]),
    ("what the server does by itself", &["write_back"]),
    ("how nodes know of each other", &["join", "leave", "spread", "beat"]),
    ("what an operator is told while it serves", &["warnings", "check_clock", "log_ahead", "expiring_keys"]),
    ("what the command line asks before it has a tenant", &["is_empty", "tenant"]),
    ("what the command line knows by other names", &["names", "key_with_text"]),
];

/// What carries an operation out: one method, or one for each way to ask.
fn methods(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Create => &["create_resource"],
        Operation::Read => &["read_resource"],
        Operation::Replace => &["replace_resource"],
        Operation::Patch => &["patch_resource"],
        Operation::Delete => &["delete_resource"],
        Operation::Search | Operation::SearchAll => &["search"],
        Operation::Roles | Operation::Entitlements => &["search_catalogue", "read_catalogue"],
        Operation::Me => &["read_me"],
        Operation::MeWrite => &["refuse_me"],
        Operation::Bulk => &["bulk"],
        Operation::Discover => &["provider_config"],
        Operation::KeyIssue => &["issue_key", "issue_key_on_host"],
        Operation::KeyList => &["list_keys"],
        Operation::KeyRead => &["read_key"],
        Operation::KeyRevoke | Operation::KeyRevokeAll => &["revoke_key", "revoke_keys_of"],
        Operation::KeyHold | Operation::KeyRelease => &["hold_key"],
        Operation::KeyRename => &["rename_key"],
        Operation::KeyNarrow => &["narrow_key"],
        Operation::KeyExtend => &["extend_key"],
        Operation::KeyRotate => &["rotate_key"],
        Operation::KeyEffective => &["effective_key"],
        Operation::KeyIdentify | Operation::KeyExpose => &["identify_key", "expose_keys"],
        Operation::KeyVerify => &["verify"],
        Operation::Whoami => &["whoami"],
        Operation::UserList => &["list_users"],
        Operation::UserRead => &["read_user"],
        Operation::UserSuspend | Operation::UserActivate => &["hold_user"],
        Operation::UserDelete => &["delete_user"],
        Operation::AgentList => &["list_agents"],
        Operation::AgentRead => &["read_agent"],
        Operation::AgentCreate => &["create_agent"],
        Operation::AgentReplace => &["replace_agent"],
        Operation::AgentSuspend | Operation::AgentActivate => &["hold_agent"],
        Operation::AgentDelete => &["delete_agent"],
        Operation::ApiList | Operation::RoleList => &["list_items"],
        Operation::ApiRead | Operation::RoleRead => &["read_item"],
        Operation::ApiCreate | Operation::RoleCreate => &["create_item"],
        Operation::ApiReplace | Operation::RoleReplace => &["replace_item"],
        Operation::ApiDelete | Operation::RoleDelete => &["delete_item"],
        Operation::RoleHolders => &["role_holders"],
        Operation::MappingList => &["list_mappings", "show_mappings"],
        Operation::MappingRead => &["read_mapping"],
        Operation::MappingCreate => &["create_mapping"],
        Operation::MappingReplace => &["replace_mapping"],
        Operation::MappingDelete => &["delete_mapping", "try_delete_mapping"],
        Operation::UserAccess | Operation::AgentAccess => &["read_access"],
        Operation::AccessExplain => &["explain_access", "explain"],
        Operation::Changes => &["changes"],
        Operation::AccessEvaluate => &["evaluate"],
        Operation::AccessEvaluations => &["evaluate_all"],
        Operation::SearchSubjects => &["search_subjects"],
        Operation::SearchResources => &["search_resources"],
        Operation::SearchActions => &["search_actions"],
        Operation::AccessConfiguration => &["authzen_configuration"],
        Operation::SigningKeys => &["signing_keys"],
        Operation::Ready => &["trouble_reading", "trouble_writing"],
        Operation::Init => &["init"],
        Operation::Apply => &["apply"],
        Operation::LogVerify => &["verify_log"],
        Operation::LogTail => &["tail_log"],
        Operation::LogAcceptFork => &["accept_fork"],
        Operation::NodeList => &["list_nodes"],
        Operation::Backup => &["back_up"],
        // These need no service, or there is none yet.
        Operation::OpenApi | Operation::Health | Operation::Restore => &[],
    }
}

/// Where things are: `None` is the ground.
type Floor = Option<usize>;

/// What the rules know of the service as a whole.
struct Service {
    /// Where each method of `Service` is defined, and whether no other function has its name.
    methods: BTreeMap<String, (Floor, bool)>,
    /// Where each type is defined: several may have one name.
    types: Vec<(String, Floor)>,
    /// What is of a room, and has a shorter name by way of the page.
    lent: BTreeMap<String, usize>,
    /// What the service holds for a room.
    fields: BTreeMap<String, usize>,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let sources = read_all("src");
    let functions = sources.iter().flat_map(Source::functions).map(|function| function.name.to_owned());
    let functions: Vec<String> = functions.collect();
    let (mut methods, mut types) = (BTreeMap::new(), vec![]);
    let (mut lent, mut fields) = (BTreeMap::new(), BTreeMap::new());
    for source in sources.iter().filter(|source| source.path.starts_with("src/service/")) {
        for (_, name) in service_methods(source) {
            // Of one word are many methods, of types that are not ours, too.
            let alone = name.contains('_') && functions.iter().filter(|other| *other == name).count() == 1;
            methods.insert(name.to_owned(), (floor(source), alone));
        }
        let mut previous = "";
        for (_, word) in words(&source.production) {
            if matches!(previous, "struct" | "enum") {
                types.push((word.to_owned(), floor(source)));
            }
            previous = word;
        }
        if source.path == PAGE {
            let paths = mentions(source, "self").into_iter().map(|(_, path)| path).filter(|path| path.len() > 1);
            lent.extend(paths.filter_map(|path| Some((path.last()?.clone(), floor_of(&path[0])?))));
            let of_rooms = source.production.lines().filter_map(|line| line.trim().split_once(": "));
            let of_rooms =
                of_rooms.filter_map(|(name, path)| Some((name.to_owned(), floor_of(path.split_once("::")?.0)?)));
            fields.extend(of_rooms);
        }
    }
    Service { methods, types, lent, fields }
});

fn floor_of(room: &str) -> Floor {
    ROOMS.iter().position(|one| *one == room)
}

fn floor(source: &Source) -> Floor {
    source.modules().get(1).and_then(|name| floor_of(name))
}

fn room(floor: Floor) -> &'static str {
    floor.map_or("the ground", |floor| ROOMS[floor])
}

/// Whatever leads from a room to one that stands on it, and methods that are not where they belong.
pub fn floors(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/service/") {
        return vec![];
    }
    let mut offences = strangers(source);
    if source.path != PAGE {
        offences.extend(names(source));
        offences.extend(calls(source));
        offences.extend(guests(source));
    }
    offences
}

fn is_above(other: usize, source: &Source) -> bool {
    floor(source).is_none_or(|own| other > own)
}

/// Paths that lead to a room above.
fn names(source: &Source) -> Vec<String> {
    let modules = source.modules();
    let mut named: Vec<(usize, Vec<String>)> = mentions(source, "crate");
    named.retain(|(_, path)| path.len() > 1 && path[0] == "service");
    named.iter_mut().for_each(|(_, path)| drop(path.remove(0)));
    named.extend(above(source, |supers| supers + 1 == modules.len()));
    let offences = named.into_iter().filter_map(|(at, path)| {
        let (other, what) = match SERVICE.lent.get(&path[0]) {
            Some(other) => (*other, format!("{} of {}", path[0], ROOMS[*other])),
            None => (floor_of(&path[0])?, path[0].clone()),
        };
        let who = room(floor(source));
        is_above(other, source).then(|| offence(source, at, format!("{who} names {what}, which is above it")))
    });
    offences.collect()
}

/// Calls of methods of `Service` that are defined in a room above, paths to such methods, and looks at what the service
/// holds for a room above.
fn calls(source: &Source) -> Vec<String> {
    let code = source.code.as_str();
    let mut called: Vec<(usize, String)> =
        mentions(source, "Service").into_iter().map(|(at, path)| (at, path[0].clone())).collect();
    let bodies: Vec<Range<usize>> =
        inherent(source).into_iter().filter(|(_, name, _)| *name == "Service").map(|(.., body)| body).collect();
    let mut held = vec![];
    for (at, name) in words(code) {
        let Some(receiver) = code[..at].trim_end().strip_suffix('.') else { continue };
        let receiver = receiver.trim_end().rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
        if receiver == Some("inner") {
            held.extend(SERVICE.fields.get(name).map(|floor| (at, name.to_owned(), *floor)));
        }
        let Some((_, alone)) = SERVICE.methods.get(name) else { continue };
        let is_call = code[at + name.len()..].trim_start().starts_with(['(', ':']);
        let is_own = || receiver == Some("self") && bodies.iter().any(|body| body.contains(&at));
        if is_call && (*alone || receiver == Some("service") || is_own()) {
            called.push((at, name.to_owned()));
        }
    }
    let of_methods = called.into_iter().filter_map(|(at, name)| Some((at, SERVICE.methods.get(&name)?.0?, name)));
    let all = of_methods.chain(held.into_iter().map(|(at, name, other)| (at, other, name)));
    let offences = all.filter(|(_, other, _)| is_above(*other, source)).map(|(at, other, name)| {
        let (who, whose) = (room(floor(source)), ROOMS[other]);
        offence(source, at, format!("{who} calls {name} of {whose}, which is above it"))
    });
    offences.collect()
}

/// Methods of `Service` that are neither an operation's nor listed.
fn strangers(source: &Source) -> Vec<String> {
    let of_operations = || Operation::ALL.iter().flat_map(|operation| methods(*operation));
    let known = |name: &str| of_operations().chain(OTHERS.iter().flat_map(|(_, names)| *names)).any(|one| *one == name);
    let unknown = service_methods(source).into_iter().filter(|(_, name)| !known(name));
    unknown.map(|(at, name)| offence(source, at, format!("{name} is no operation's: make it a function"))).collect()
}

/// What every room answers on: itself, or by what is remembered alone, under the same names.
const HOSTS: [&str; 2] = ["Service", "Cached"];

/// Methods of types that are defined elsewhere.
fn guests(source: &Source) -> Vec<String> {
    let own = floor(source);
    let offences =
        inherent(source).into_iter().filter(|(_, name, _)| !HOSTS.contains(name)).filter_map(|(at, name, _)| {
            let homes = || SERVICE.types.iter().filter(|(known, _)| known == name).map(|(_, home)| *home);
            let home = homes().next().filter(|_| homes().all(|home| home != own))?;
            Some(offence(source, at, format!("{} adds methods to {name}, which is of {}", room(own), room(home))))
        });
    offences.collect()
}

/// The methods of `Service` in a file.
fn service_methods(source: &Source) -> Vec<(usize, &str)> {
    let code = source.production.as_str();
    let mut found = vec![];
    for (_, _, body) in inherent(source).into_iter().filter(|(_, name, _)| *name == "Service") {
        let inner = &code[body.clone()];
        for (at, _) in words(inner).filter(|(_, word)| *word == "fn") {
            let opened = |bracket: char| inner[..at].matches(bracket).count();
            let name = words(&inner[at + 2..]).next().filter(|_| opened('{') == opened('}'));
            found.extend(name.map(|(_, name)| (body.start + at, name)));
        }
    }
    found
}

/// Each `impl` of a type itself, not of a trait for it: its place, the type's name, and what is inside.
fn inherent(source: &Source) -> Vec<(usize, &str, Range<usize>)> {
    let code = source.production.as_str();
    let mut found = vec![];
    let starts_line = |at: usize| code[..at].is_empty() || code[..at].ends_with('\n');
    for (at, _) in words(code).filter(|(at, word)| *word == "impl" && starts_line(*at)) {
        let Some(open) = code[at..].find('{').map(|length| at + length) else { continue };
        let mut head = code[at + 4..open].trim_start();
        if head.starts_with('<') {
            head = closing(head, 0).map_or("", |close| &head[close + 1..]);
        }
        let name = words(head).next().filter(|_| words(head).all(|(_, word)| word != "for"));
        if let (Some((_, name)), Some(close)) = (name, closing(code, open)) {
            found.push((at, name, open + 1..close));
        }
    }
    found
}

#[test]
fn every_method_that_is_listed_is_there_and_listed_once() {
    let of_operations = Operation::ALL.iter().map(|operation| methods(*operation));
    let mut listed: Vec<&str> = of_operations.flatten().copied().collect();
    listed.sort_unstable();
    // Operations that differ by an argument share a method.
    listed.dedup();
    listed.extend(OTHERS.iter().flat_map(|(_, names)| *names));
    listed.sort_unstable();
    assert_eq!(listed, SERVICE.methods.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn whatever_leads_up_is_refused() {
    let cases: &[(&str, &str, &str)] = &[
        // A path to a function, and to what the page lends its name to.
        ("memory/x.rs", "fn f() { crate::service::access::facts::of() }", "1: memory names access, which is above it"),
        ("access/x.rs", "use crate::service::{Change, Error};", "1: access names Change of change, which is above it"),
        (
            "access/x.rs",
            "fn f() { super::super::authorize() }",
            "1: access names authorize of caller, which is above it",
        ),
        (
            "error.rs",
            "use crate::service::CommitVersion;",
            "1: the ground names CommitVersion of memory, which is above it",
        ),
        // A method of `Service`, by whatever way the service is reached.
        ("caller/x.rs", "fn f(service: &Service) {\n service.verify() }", "2: caller calls verify of keys"),
        ("keys/x.rs", "fn f(change: &Change) { change\n.service\n.search() }", "3: keys calls search of directory"),
        ("change/x.rs", "fn f(&self) { self.other().issue_key(1) }", "1: change calls issue_key of keys"),
        ("memory/x.rs", "impl Service { fn enter(&self) { self.apply() } }", "1: memory calls apply of apply"),
        ("log/x.rs", "fn f() { run(Service::back_up) }", "1: log calls back_up of backup"),
        ("memory/x.rs", "fn f() { service.inner.policies.clear() }", "1: memory calls policies of access"),
        ("clocks.rs", "fn f(service: &Service) { service.enter() }", "1: the ground calls enter of caller"),
        // Methods that are no operation's, and methods of another room's type.
        ("keys/x.rs", "impl Service {\n fn issue_key(&self) {}\n fn step(&self) {} }", "3: step is no operation's"),
        ("mod.rs", "impl Service {\n pub fn step(&self) {} }", "2: step is no operation's"),
        ("keys/x.rs", "impl<'c> Change<'c> { fn f(&self) {} }", "1: keys adds methods to Change, which is of change"),
        (
            "impact/x.rs",
            "\nimpl Context { fn f(&self) {} }",
            "2: impact adds methods to Context, which is of the ground",
        ),
    ];
    for (path, text, expected) in cases {
        let offences = floors(&Source::new(format!("src/service/{path}"), *text));
        let expected = format!("src/service/{path}:{expected}");
        assert!(offences.len() == 1 && offences[0].starts_with(&expected), "{expected}: {offences:?}");
    }
}

#[test]
fn whatever_leads_down_is_let_be() {
    let cases: &[(&str, &str)] = &[
        ("directory/x.rs", "use crate::service::{Change, Told, authorize, change, keys};"),
        ("reports/x.rs", "fn f(service: &Service) { service.search(); service.now(); service.inner.cache.get() }"),
        ("mod.rs", "use self::keys::issue;\nimpl Service { fn open() { tenants::init(service) } }"),
        // Methods of others that have the same name, and calls within a room.
        ("memory/x.rs", "fn f(patch: &Patch) { patch.apply(); list.search(); texts.is_empty() }"),
        ("memory/x.rs", "impl Cache { fn f(&self) { self.names(); } }\nimpl Rest for Change<'_> { fn g() {} }"),
        ("keys/x.rs", "impl Service { fn issue_key(&self) { self.list_keys(); fn step() {} } }"),
    ];
    for (path, text) in cases {
        let offences = floors(&Source::new(format!("src/service/{path}"), *text));
        assert_eq!(offences, Vec::<String>::new(), "{text}");
    }
}
