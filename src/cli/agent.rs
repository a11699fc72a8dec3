//! `keyroll agent`.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::user::{INACTIVE, lifted};
use super::{Named, Output, asked, found, host, print};
use crate::service::directory::agents::{AgentRequest, AgentResponse, Sponsor};
use crate::service::directory::users::Hold;
use crate::service::keys::hint;
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List agents, whoever made them
    List(Output),
    /// Show an agent
    Show(Named),
    /// Make an agent that no identity provider needs to know of: a service, a job, an AI agent
    Create(Said),
    /// Replace what was said about an agent that an admin made; what is not given is cleared
    Replace {
        /// Its name or id
        agent: String,
        #[command(flatten)]
        said: Said,
    },
    /// Suspend by an admin's hold, which no identity provider lifts; the keys stop working at once
    Suspend(Named),
    /// Lift an admin's hold
    Activate {
        #[command(flatten)]
        of: Named,
        /// Also say active: true where the identity provider says false, or is refused to say true
        #[arg(long)]
        force: bool,
    },
    /// Delete an agent; every key is revoked
    Delete(Named),
}

/// An agent as flags describe it: the body of `POST /v1/agents`.
#[derive(Args, Debug, Serialize)]
pub(super) struct Said {
    /// Its name, which no other agent has
    name: String,
    /// Who answers for it: an id, a userName, or operator; its keys work as long as one of them is live
    #[arg(long = "sponsor", value_name = "ID|userName|operator")]
    sponsors: Vec<String>,
    /// The name to show
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it does
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    output: Output,
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => {
            let context = host(service, "agent list")?;
            let columns = ["id", "name", "display_name", "origin", "sponsors.name", "live", "active", "admin_hold"];
            print::pages("agents", &columns, output, |cursor| service.list_agents(&context, print::PAGE, cursor))
        }
        Command::Show(Named { name, output }) => {
            let context = host(service, "agent show")?;
            print::show(&found("agent", &name, service.read_agent(&context, &name))?, output)
        }
        Command::Create(said) => {
            let made = service.create_agent(&host(service, "agent create")?, &asked::<AgentRequest>(&said)?)?;
            told(&made, said.output)
        }
        Command::Replace { agent, said } => {
            let context = host(service, "agent replace")?;
            let replaced =
                found("agent", &agent, service.replace_agent(&context, &agent, &asked::<AgentRequest>(&said)?))?;
            told(&replaced, said.output)
        }
        Command::Suspend(Named { name, output }) => {
            let context = host(service, "agent suspend")?;
            print::show(&found("agent", &name, service.hold_agent(&context, &name, Hold::Put, None))?, output)
        }
        Command::Activate { of: Named { name, output }, force } => {
            let context = host(service, "agent activate")?;
            let agent = found("agent", &name, service.hold_agent(&context, &name, lifted(force), None))?;
            told(&agent, output)?;
            if force && agent.live {
                print::note(&answered_for(&agent));
            }
            Ok(())
        }
        Command::Delete(Named { name, output }) => {
            found("agent", &name, service.delete_agent(&host(service, "agent delete")?, &name))?;
            print::deleted("agent", &name, output)
        }
    }
}

/// Why an agent of an admin is not live whom nothing else holds back.
pub(super) fn no_sponsor(agent: &AgentResponse) -> String {
    let texts = (agent.display_name.as_deref(), agent.description.as_deref());
    let command = hint::sponsor(&print::argument(&agent.name), &agent.name, texts.0, texts.1);
    format!("none of its sponsors is live: name one who is: {command}")
}

/// Under whom an agent comes back: its identity provider may have changed that while it was inactive.
fn answered_for(agent: &AgentResponse) -> String {
    let sponsor = |user: &Sponsor| format!("{}{}", user.name, if user.live { "" } else { " (not live)" });
    let sponsors: Vec<String> = agent.sponsors.iter().map(sponsor).collect();
    format!("these answer for it now: {}", sponsors.join(", "))
}

/// Prints an agent; and, if it is not live, why its keys do not work.
fn told(agent: &AgentResponse, output: Output) -> Result<(), Error> {
    print::show(agent, output)?;
    let why = match (agent.live, agent.active, agent.admin_hold) {
        (true, _, _) => return Ok(()),
        (false, false, _) => {
            format!("{INACTIVE}: keyroll agent activate {} --force says so in its place", print::argument(&agent.name))
        }
        (false, true, true) => {
            format!("an admin's hold suspends it: keyroll agent activate {} lifts that", print::argument(&agent.name))
        }
        (false, true, false) => no_sponsor(agent),
    };
    print::note(&format!("no key of this agent works: {why}"));
    Ok(())
}
