//! What the server says about itself to a caller.

use serde_json::Value;

use crate::scim::discovery::{self, Features};
use crate::scim::tolerance::{Dialect, Tolerance, Tolerances};
use crate::service::directory::resources;
use crate::service::{Context, Service};

/// How the HTTP library of scim2-client names itself: its model of the configuration is closed.
const REFUSES_DRAFTS: &str = "python-httpx2/";

impl Service {
    /// ServiceProviderConfig: the server's view, or that of the caller's connection and its client's program;
    /// and the tolerances that this took.
    pub fn provider_config(&self, context: Option<&Context>, user_agent: &str) -> (Value, String) {
        let limits = &self.settings().limits;
        let dialect = context.and_then(|context| context.caller.connection()).map(|connection| connection.dialect);
        let mut tolerances = Tolerances::new(dialect.unwrap_or_default());
        let plain =
            dialect.is_some() && user_agent.starts_with(REFUSES_DRAFTS) && tolerances.allow(Tolerance::PlainConfig);
        let features = Features {
            bulk_operations_max: limits.bulk_operations_max as u64,
            bulk_payload_bytes_max: limits.body_bytes_max as u64,
            filter_results_max: limits.page_size_max as u64,
            page_size_default: limits.page_size_default as u64,
            page_size_max: limits.page_size_max as u64,
            cursor_timeout_seconds: limits.cursor_timeout_seconds.unsigned_abs(),
            // The profile's claim holds only where unknown attributes are refused.
            interop_profile: (dialect == Some(Dialect::Strict)).then_some(true),
            catalogue: !plain,
            documentation_uri: None,
        };
        (discovery::service_provider_config(self.scim_base_url(), &features), tolerances.header())
    }

    /// The tolerances that a request of this caller starts with.
    pub fn tolerances(&self, context: &Context) -> Tolerances {
        resources::tolerances(context).with_text_bytes_max(self.settings().limits.text_bytes_max)
    }
}
