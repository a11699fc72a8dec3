//! What the removal of a mapping would take away, before anybody does it.

use crate::domain::loss::Loss;
use crate::domain::{Id, Operation};
use crate::service::catalogue::mappings;
use crate::service::conditions::Conditions;
use crate::service::cursor::page_size;
use crate::service::reports::holders::Sought;
use crate::service::reports::response::{LossList, LossResponse};
use crate::service::reports::shown::named;
use crate::service::reports::{cursor, holders, moment};
use crate::service::{Context, Error, Service, caller};
use crate::store;

impl Service {
    /// Who would lose what if a mapping were removed, a page at a time. Changes nothing and records nothing.
    ///
    /// # Errors
    /// Those of the removal itself, 412 included; 400 for a cursor that is not of this question.
    pub fn try_delete_mapping(
        &self,
        context: &Context,
        id: &str,
        count: Option<usize>,
        cursor: Option<&str>,
        conditions: &Conditions,
    ) -> Result<LossList, Error> {
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        let (tenant, text) = (context.caller.tenant.key, id.to_string());
        let question = ["losses", text.as_str()];
        caller::ask(self, context, Operation::MappingDelete, None, |conn| {
            store::snapshot(conn, |conn| {
                let moment = moment::at(self, conn, tenant, None)?;
                let policy = &moment.policy;
                let (at, mapped) = policy.find(&id).ok_or(Error::NotFound)?;
                conditions.check_write(policy.mapping_version(mapped))?;
                mappings::check_way_back(conn, tenant, &mapped.mapping)?;
                let after = cursor.map(|text| cursor::open_place(self, context, &question, text)).transpose()?;
                let sought = Sought { mappings: [at].into(), after, count: page_size(self, count) };
                let page = holders::find(self, conn, tenant, &moment, &sought, |holder| {
                    !Loss::of(policy, &holder.hits, at).is_empty()
                })?;
                let losses = page.found.iter().map(|holder| {
                    let loss = Loss::of(policy, &holder.hits, at);
                    let roles = loss.roles.into_iter().collect();
                    LossResponse { principal: named(&holder.facts), roles, permissions: loss.permissions }
                });
                let losses = losses.collect();
                let next = page.next.map(|place| cursor::seal_place(self, context, &question, place)).transpose()?;
                Ok(LossList { dry_run: true, mapping: id, losses, next, as_of_seq: moment.as_of_seq })
            })
        })
    }
}
