//! What `keyroll api` and `keyroll role` have in common.

use serde::Serialize;

use super::{ANY, Named, Output, asked, found, host, print};
use crate::service::catalogue::items::Item;
use crate::service::{Context, Error, Service};

pub(super) fn show<I: Item>(service: &Service, Named { name, output }: Named) -> Result<(), Error> {
    let context = context::<I>(service, "show")?;
    print::show(&found(I::word(), &name, service.read_item::<I>(&context, &name, &ANY))?.value, output)
}

/// Makes what flags describe: the body of a `POST`.
pub(super) fn create<I: Item>(service: &Service, flags: &impl Serialize, output: Output) -> Result<(), Error> {
    let context = context::<I>(service, "create")?;
    print::show(&service.create_item::<I>(&context, asked(flags)?)?.value, output)
}

/// Replaces the one of that name by what flags describe.
pub(super) fn replace<I: Item>(
    service: &Service,
    name: &str,
    flags: &impl Serialize,
    output: Output,
) -> Result<(), Error> {
    let context = context::<I>(service, "replace")?;
    let replaced = service.replace_item::<I>(&context, name, asked(flags)?, &ANY);
    print::show(&found(I::word(), name, replaced)?.value, output)
}

pub(super) fn delete<I: Item>(service: &Service, Named { name, output }: Named) -> Result<(), Error> {
    let context = context::<I>(service, "delete")?;
    found(I::word(), &name, service.delete_item::<I>(&context, &name, &ANY))?;
    print::deleted(I::word(), &name, output)
}

fn context<I: Item>(service: &Service, verb: &str) -> Result<Context, Error> {
    host(service, &format!("{} {verb}", I::word()))
}
