//! stub
use super::*;
use crate::domain::TenantKey;
use crate::scim::ResourceType;
use serde_json::{Map, Value};
pub fn write(
    _c: &mut Conn,
    _t: TenantKey,
    _r: &'static ResourceType,
    _k: ResourceKey,
    _b: Option<&Map<String, Value>>,
    _a: Option<&Map<String, Value>>,
) -> Result<()> {
    Ok(())
}
pub fn referrers(
    _c: &mut Conn,
    _t: TenantKey,
    _r: &'static ResourceType,
    _p: &str,
    _v: &str,
) -> Result<Vec<ResourceKey>> {
    Ok(vec![])
}
