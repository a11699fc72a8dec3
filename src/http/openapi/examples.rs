//! A request for each operation. Together they tell one story, which a test sends to the server: Mira has a key for
//! invoices.

use serde_json::{Value, json};

use crate::domain::Operation;

const USER: &str = "mira@example.com";
const USER_ID: &str = "019b8d3c-1a00-7000-8000-00000000000a";
const AGENT: &str = "invoice-robot";
const API: &str = "billing";
const ROLE: &str = "billing.reader";
const MAPPING_ID: &str = "019b8d3c-1a00-7000-8000-00000000000b";
const KEY_ID: &str = "019b8d3c-1a00-7000-8000-00000000000c";
const PERMISSION: &str = "billing:invoices:read";

/// The `{id}` in the path of an operation.
pub(super) fn id(template: &str) -> &'static str {
    match template.split('/').nth(2) {
        Some("keys") => KEY_ID,
        Some("users" | "principals") => USER,
        Some("agents") => AGENT,
        Some("apis") => API,
        Some("roles") => ROLE,
        _ => MAPPING_ID,
    }
}

/// The body of a request.
pub(super) fn body(operation: Operation) -> Option<Value> {
    let user = json!({"type": "user", "id": USER_ID});
    let resource = json!({"type": "billing:invoices", "id": "4711"});
    let question = json!({"subject": user, "action": {"name": "read"}, "resource": resource});
    Some(match operation {
        Operation::KeyIssue => json!({
            "owner": user,
            "name": "month-end report",
            "grant": [{"permissions": [PERMISSION]}],
            "expires_in": "P30D",
        }),
        Operation::KeyRevokeAll => json!({"reason": "leaves_tomorrow"}),
        Operation::KeyRevoke => json!({"reason": "laptop_lost"}),
        Operation::KeyHold | Operation::KeyRelease => json!({"reason": "leak_suspected"}),
        Operation::KeyRename => json!({"name": "month-end report, old laptop"}),
        Operation::KeyNarrow => json!({"grant": [{"permissions": [PERMISSION]}]}),
        Operation::KeyExtend => json!({"expires_in": "P60D"}),
        Operation::KeyRotate => json!({"grace": "PT1H"}),
        Operation::KeyIdentify => json!({"key": "kru_…"}),
        Operation::KeyExpose => json!({"credentials": ["kru_…"]}),
        Operation::KeyVerify => json!({"key": "kru_…", "permission": PERMISSION}),
        Operation::UserSuspend | Operation::AgentSuspend => json!({"reason": "investigation"}),
        Operation::UserActivate | Operation::AgentActivate => json!({"reason": "investigation_closed"}),
        Operation::AgentCreate | Operation::AgentReplace => json!({
            "name": AGENT,
            "display_name": "Invoice robot",
            "description": "Sends reminders.",
            "sponsors": [USER],
        }),
        Operation::ApiCreate | Operation::ApiReplace => json!({
            "name": API,
            "description": "Invoices and payments.",
            "owner_team": "finance",
            "permissions": [{"name": "invoices:read", "description": "Reads invoices."}],
            "routes": [{"method": "GET", "path": "/v2/invoices/{id}", "permission": "invoices:read"}],
        }),
        Operation::RoleCreate | Operation::RoleReplace => json!({
            "name": ROLE,
            "description": "Reads invoices.",
            "permissions": [PERMISSION],
        }),
        Operation::MappingCreate | Operation::MappingReplace => json!({
            "role": ROLE,
            "source": {"person": user, "reason": "covers for finance", "expires_at": "2026-12-31T00:00:00Z"},
        }),
        Operation::AccessExplain => json!({"principal": user, "permission": PERMISSION}),
        Operation::AccessEvaluate => question,
        Operation::AccessEvaluations => json!({
            "subject": user,
            "action": {"name": "read"},
            "evaluations": [{"resource": resource}, {"resource": {"type": "billing:payments", "id": "1"}}],
        }),
        Operation::SearchSubjects => json!({
            "subject": {"type": "user"},
            "action": {"name": "read"},
            "resource": resource,
            "page": {"limit": 10},
        }),
        Operation::SearchResources => {
            json!({"subject": user, "action": {"name": "read"}, "resource": {"type": "billing:invoices"}})
        }
        Operation::SearchActions => json!({"subject": user, "resource": resource}),
        _ => return None,
    })
}
