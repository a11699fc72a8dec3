//! Agents as admins see and make them: machine identities that no identity provider needs to know of.
//!
//! An agent of an admin is a SCIM resource that comes from no connection: connections read it, and none writes it
//! (design §5).

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Operation, Principal, TenantKey};
use crate::scim::ResourceType;
use crate::scim::text::{fold, render_time};
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::scim::validate;
use crate::service::access::facts::sponsors;
use crate::service::access::people;
use crate::service::conditions::Conditions;
use crate::service::cursor::{Behind, question_hash};
use crate::service::directory::resources::{self, create_in, replace_in};
use crate::service::directory::users::{self, Hold, Origin};
use crate::service::document::stored_document;
use crate::service::error::Conflict;
use crate::service::request::{List, NonEmptyText, Text};
use crate::service::{Change, Context, Error, Service, caller, change, cursor, principal_type};
use crate::store::resources::Resource;
use crate::store::{self, Conn, ResourceKey};

/// What an admin says about an agent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRequest {
    /// Its name, which no other agent has. A replacement may leave it out: it stays.
    pub name: Option<NonEmptyText>,
    /// The name to show.
    pub display_name: Option<Text>,
    /// What it does.
    pub description: Option<Text>,
    /// The Users who answer for it, by id or userName, or `operator`: its keys work as long as one of them is live.
    pub sponsors: Option<List<Text, 100>>,
}

/// An agent, as an admin sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Agent")]
pub struct AgentResponse {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// The name to show.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Who made it: an identity provider or an admin.
    pub origin: Origin,
    /// The connection that it comes from.
    pub connection: Option<String>,
    /// Who answers for it.
    pub sponsors: Vec<Sponsor>,
    /// Whether its keys can work.
    pub live: bool,
    /// Whether its identity provider says `active: true`.
    pub active: bool,
    /// Whether an admin's hold suspends it.
    pub admin_hold: bool,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When it was changed last.
    #[schemars(extend("format" = "date-time"))]
    pub modified_at: String,
}

/// A User who answers for an agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sponsor {
    /// Its id.
    pub id: Id,
    /// The userName.
    pub name: String,
    /// Whether it is live.
    pub live: bool,
}

/// A page of agents.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentList {
    /// The agents.
    pub agents: Vec<AgentResponse>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// What an admin says about an agent, checked.
struct Said {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    sponsors: Vec<String>,
}

/// What the cursors of this list are good for.
const QUESTION: [&str; 1] = ["agents"];
/// The attributes that a request says something about beside the name and the sponsors.
const DISPLAY_NAME: &str = "displayName";
const DESCRIPTION: &str = "description";

impl Service {
    /// Makes an agent (`POST /v1/agents`).
    ///
    /// # Errors
    /// 422 for a body that cannot be met, sponsors whom nobody knows among it; 409 for a name that is taken.
    pub fn create_agent(&self, context: &Context, request: &AgentRequest) -> Result<AgentResponse, Error> {
        let said = said(request, None)?;
        change::perform(self, context, Operation::AgentCreate, None, move |change| {
            let mut exact = exact(change);
            let (agent_type, incoming) = document(change, &said, &mut exact)?;
            let saved = create_in(change, agent_type, incoming, &mut exact);
            let saved = saved.map_err(|error| taken(error, &said.name))?;
            shown(change, saved.view.resource)
        })
    }

    /// Replaces what an admin said about an agent (`PUT /v1/agents/{id}`): what the body leaves out is cleared, but
    /// for the name, which stays.
    ///
    /// # Errors
    /// 404 if there is none, 409 for one that an identity provider made, and as [`Service::create_agent`].
    pub fn replace_agent(&self, context: &Context, name: &str, request: &AgentRequest) -> Result<AgentResponse, Error> {
        let (name, request) = (name.to_owned(), request.clone());
        change::perform(self, context, Operation::AgentReplace, None, move |change| {
            let found = find(change.conn, change.key(), &name)?;
            if found.connection.is_some() {
                let detail = "an identity provider made this agent: it is changed there".to_owned();
                return Err(Error::Conflict { code: Conflict::NotOfAnAdmin, detail });
            }
            let said = said(&request, Some(&own_name(&found)?))?;
            let mut exact = exact(change);
            let (agent_type, incoming) = document(change, &said, &mut exact)?;
            let conditions = Conditions { if_match: None, if_none_match: None };
            let saved = replace_in(change, agent_type, &found.id.to_string(), incoming, &conditions, &mut exact);
            let saved = saved.map_err(|error| taken(error, &said.name))?;
            shown(change, saved.view.resource)
        })
    }

    /// Lists agents, oldest first (`GET /v1/agents`); those of connections themselves are not among them.
    ///
    /// # Errors
    /// 400 for a cursor that is none.
    pub fn list_agents(
        &self,
        context: &Context,
        count: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<AgentList, Error> {
        let question = question_hash(context, &QUESTION);
        let after = cursor.map(|text| cursor::open(self, question, text)).transpose()?;
        let after = after.map_or(0, |behind| behind.last);
        let count = cursor::page_size(self, count);
        caller::ask(self, context, Operation::AgentList, None, |conn| {
            let tenant = context.caller.tenant.key;
            let after = ResourceKey(after);
            let mut rows = store::resources::of_type(conn, tenant, &agent_type()?.name, after, count as i64 + 1)?;
            let more = rows.len() > count;
            rows.truncate(count);
            let last = if more { rows.last() } else { None };
            let behind = |agent: &Resource| Behind { sort: None, last: agent.key.0, count: 0 };
            let next = last.map(|agent| cursor::seal(self, question, behind(agent))).transpose()?;
            Ok(AgentList { agents: render(conn, tenant, &rows)?, next })
        })
    }

    /// Reads an agent, by id or by name (`GET /v1/agents/{id}`).
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn read_agent(&self, context: &Context, name: &str) -> Result<AgentResponse, Error> {
        caller::ask(self, context, Operation::AgentRead, None, |conn| {
            let tenant = context.caller.tenant.key;
            let resource = find(conn, tenant, name)?;
            render(conn, tenant, &[resource])?.pop().ok_or(Error::NotFound)
        })
    }

    /// Suspends an agent by an admin's hold, or lifts the hold; its keys stop working at once.
    ///
    /// # Errors
    /// 404 if there is none, 422 for a reason that is no code.
    pub fn hold_agent(
        &self,
        context: &Context,
        name: &str,
        hold: Hold,
        reason: Option<&str>,
    ) -> Result<AgentResponse, Error> {
        let operation = if hold == Hold::Put { Operation::AgentSuspend } else { Operation::AgentActivate };
        reason.map_or(Ok(()), crate::service::keys::check_reason)?;
        let (name, reason) = (name.to_owned(), reason.map(str::to_owned));
        change::perform(self, context, operation, None, move |change| {
            let found = find(change.conn, change.key(), &name)?;
            users::hold(change, &found.id, hold, reason.as_deref())?;
            shown(change, found)
        })
    }

    /// Deletes an agent as DELETE in SCIM does: every key of its is dead when this returns.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn delete_agent(&self, context: &Context, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        change::perform(self, context, Operation::AgentDelete, None, move |change| {
            let found = find(change.conn, change.key(), &name)?;
            resources::delete(change, agent_type()?, &found)
        })
    }
}

fn agent_type() -> Result<&'static ResourceType, Error> {
    principal_type(PrincipalKind::Agent)
}

/// Finds an agent by id or by name.
fn find(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Resource, Error> {
    let type_name = &agent_type()?.name;
    if let Some(id) = Id::parse(name) {
        return store::resources::find(conn, tenant, type_name, &id)?.ok_or(Error::NotFound);
    }
    let scope = people::names_of(PrincipalKind::Agent)?;
    let key = store::unique::holder(conn, tenant, &scope, &fold(name))?.ok_or(Error::NotFound)?;
    store::resources::by_keys(conn, tenant, &[key])?.pop().ok_or(Error::NotFound)
}

fn own_name(agent: &Resource) -> Result<String, Error> {
    let document = stored_document(agent)?;
    Ok(agent_type()?.name_in(&document).unwrap_or_default().to_owned())
}

/// What a request says; `own` is the name of the agent that it is about.
fn said(request: &AgentRequest, own: Option<&str>) -> Result<Said, Error> {
    let refuse = |detail: &str| Err(Error::invalid("/name", format!("name: {detail}")));
    let name = match (&request.name, own) {
        (None, Some(own)) => own,
        (Some(name), _) => name,
        (None, None) => return refuse("is required"),
    };
    if Id::parse(name).is_some() || name.trim() != name || fold(name).starts_with("keyroll:") {
        return refuse("no id, without blanks around it, and not beginning with keyroll:");
    }
    let text = |text: &Option<Text>| text.as_deref().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Said {
        name: name.to_owned(),
        display_name: text(&request.display_name),
        description: text(&request.description),
        sponsors: request.sponsors.iter().flat_map(|list| list.0.iter().map(|name| name.0.clone())).collect(),
    })
}

/// The SCIM document that says the same, checked as one from an identity provider is.
fn document(
    change: &mut Change<'_>,
    said: &Said,
    exact: &mut Tolerances,
) -> Result<(&'static ResourceType, validate::Incoming), Error> {
    let agent_type = agent_type()?;
    let owners: Vec<Value> = known(change, &said.sponsors)?.into_iter().map(|id| json!({"value": id})).collect();
    let mut document = Map::from_iter([("schemas".to_owned(), json!([agent_type.schema.id]))]);
    document.extend(agent_type.naming.map(|naming| (naming.name.clone(), said.name.as_str().into())));
    document.extend(agent_type.sponsors.map(|sponsors| (sponsors.name.clone(), owners.into())));
    for (name, text) in [(DISPLAY_NAME, &said.display_name), (DESCRIPTION, &said.description)] {
        document.extend(text.as_ref().map(|text| (name.to_owned(), text.as_str().into())));
    }
    let incoming = validate::document(document.into(), agent_type, exact)?;
    Ok((agent_type, incoming))
}

/// What an admin says is not guessed at.
fn exact(change: &Change<'_>) -> Tolerances {
    Tolerances::new(Dialect::Strict).with_text_bytes_max(change.service.settings().limits.text_bytes_max)
}

/// The sponsors whom a body names: Users of this tenant, by id or userName, and the operator.
fn known(change: &mut Change<'_>, names: &[String]) -> Result<Vec<Id>, Error> {
    let (mut found, mut unknown) = (vec![], vec![]);
    for (place, name) in names.iter().enumerate() {
        match people::find_user(change.conn, change.key(), name)? {
            Some(user) if !found.contains(&user.id) => found.push(user.id),
            Some(_) => {}
            None => unknown.push((place, name)),
        }
    }
    let Some((place, _)) = unknown.first() else { return Ok(found) };
    let names = unknown.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!("/sponsors/{place}"), format!("sponsors: no user has the id or userName {names}")))
}

/// A name that is taken, as `/v1` says it.
fn taken(error: Error, name: &str) -> Error {
    match error {
        Error::Scim(error) if error.status == 409 => {
            Error::Conflict { code: Conflict::NameTaken, detail: format!("an agent is named {name} already") }
        }
        other => other,
    }
}

fn shown(change: &mut Change<'_>, agent: Resource) -> Result<AgentResponse, Error> {
    let tenant = change.key();
    render(change.conn, tenant, &[agent])?.pop().ok_or(Error::NotFound)
}

/// Agents with their sponsors, which are read together.
fn render(conn: &mut Conn, tenant: TenantKey, agents: &[Resource]) -> Result<Vec<AgentResponse>, Error> {
    let documents = agents.iter().map(stored_document).collect::<Result<Vec<_>, Error>>()?;
    let named: Vec<Vec<Id>> = documents.iter().map(|one| sponsors(PrincipalKind::Agent, one)).collect();
    let ids: Vec<Id> = agents.iter().map(|agent| agent.id).chain(named.iter().flatten().copied()).collect();
    let principals = store::principals::many(conn, tenant, &ids)?;
    let principals: HashMap<Id, Principal> =
        principals.into_iter().map(|(principal, _)| (principal.id, principal)).collect();
    let connections = store::connections::list(conn, tenant)?;
    let connections: HashMap<i64, String> = connections.into_iter().map(|one| (one.key, one.name)).collect();
    let one = |((agent, document), sponsors): ((&Resource, &Map<String, Value>), &Vec<Id>)| {
        let principal = principals.get(&agent.id).ok_or_else(|| Error::internal("an agent without its principal"))?;
        let sponsors: Vec<&Principal> = sponsors.iter().filter_map(|id| principals.get(id)).collect();
        let live = principal.is_live_with(sponsors.iter().any(|sponsor| sponsor.is_live()));
        let sponsor = |user: &Principal| Sponsor { id: user.id, name: user.name.clone(), live: user.is_live() };
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(AgentResponse {
            id: agent.id,
            name: principal.name.clone(),
            display_name: text(DISPLAY_NAME),
            description: text(DESCRIPTION),
            origin: if agent.connection.is_some() { Origin::Scim } else { Origin::Admin },
            connection: agent.connection.and_then(|key| connections.get(&key).cloned()),
            sponsors: sponsors.into_iter().map(sponsor).collect(),
            live,
            active: principal.active,
            admin_hold: principal.admin_hold,
            created_at: render_time(agent.created),
            modified_at: render_time(agent.modified),
        })
    };
    agents.iter().zip(&documents).zip(&named).map(one).collect()
}
