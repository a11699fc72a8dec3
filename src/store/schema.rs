//! The tables, as both databases have them: portable types only.
//!
//! Ids are 16 bytes, times are milliseconds since 1970 in UTC (the log's: microseconds), JSON is text.

#![expect(missing_docs, reason = "the macro writes the items; the migrations say what the tables are for")]

/// The tables of a backup, each behind those that it refers to; a test holds it to the migrations. Left out
/// is what whoever makes the tables says anew (`migration_steps`), and what is over then: which nodes there were (`nodes`),
/// and which of them did a job of the worker (`worker_leases`).
pub const TABLES: [&str; 20] = [
    "installation",
    "tenants",
    "connections",
    "principals",
    "resources",
    "counters",
    "index_paths",
    "resource_index",
    "unique_values",
    "external_ids",
    "memberships",
    "credentials",
    "log_records",
    "log_heads",
    "catalogue",
    "principal_history",
    "resource_history",
    "subject_keys",
    "revocation_notes",
    "worker_cursors",
];

diesel::table! {
    installation (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    tenants (key) {
        key -> BigInt,
        id -> Binary,
        name -> Text,
        created -> BigInt,
    }
}

diesel::table! {
    connections (key) {
        key -> BigInt,
        tenant -> BigInt,
        id -> Binary,
        name -> Text,
        dialect -> Text,
        agent -> Binary,
        unique_group_names -> Bool,
        created -> BigInt,
        unique_external_ids -> Bool,
    }
}

diesel::table! {
    principals (tenant, id) {
        tenant -> BigInt,
        id -> Binary,
        kind -> Text,
        local -> Bool,
        name -> Text,
        active -> Bool,
        admin_hold -> Bool,
        suspended_at -> Nullable<BigInt>,
        deleted_at -> Nullable<BigInt>,
        created_seq -> BigInt,
        direct_grant -> Nullable<Text>,
        version -> BigInt,
    }
}

diesel::table! {
    resources (key) {
        key -> BigInt,
        tenant -> BigInt,
        id -> Binary,
        #[sql_name = "type"]
        type_name -> Text,
        connection -> Nullable<BigInt>,
        display -> Nullable<Text>,
        document -> Text,
        version -> BigInt,
        created -> BigInt,
        modified -> BigInt,
    }
}

diesel::table! {
    counters (tenant, type_name) {
        tenant -> BigInt,
        #[sql_name = "type"]
        type_name -> Text,
        total -> BigInt,
    }
}

diesel::table! {
    index_paths (key) {
        key -> Integer,
        #[sql_name = "type"]
        type_name -> Text,
        path -> Text,
    }
}

diesel::table! {
    resource_index (tenant, path, value, resource, element) {
        tenant -> BigInt,
        path -> Integer,
        value -> Text,
        resource -> BigInt,
        element -> Integer,
        is_primary -> Bool,
        cut -> Bool,
    }
}

diesel::table! {
    unique_values (tenant, scope, hash) {
        tenant -> BigInt,
        scope -> Text,
        hash -> Binary,
        resource -> BigInt,
    }
}

diesel::table! {
    external_ids (resource, connection) {
        connection -> BigInt,
        resource -> BigInt,
        tenant -> BigInt,
        #[sql_name = "type"]
        type_name -> Text,
        value -> Text,
    }
}

diesel::table! {
    memberships (key) {
        key -> BigInt,
        tenant -> BigInt,
        group_key -> BigInt,
        member_key -> BigInt,
        from_seq -> BigInt,
        until_seq -> Nullable<BigInt>,
        nested -> Bool,
    }
}

diesel::table! {
    credentials (key) {
        key -> BigInt,
        tenant -> BigInt,
        id -> Binary,
        owner -> Binary,
        class -> Text,
        connection -> Nullable<Binary>,
        selector -> Text,
        digest -> Binary,
        name -> Text,
        permissions -> Nullable<Text>,
        created_at -> BigInt,
        created_by -> Nullable<Binary>,
        expires_at -> BigInt,
        reasons -> Text,
        revoked_at -> Nullable<BigInt>,
        revoke_reason -> Nullable<Text>,
        version -> BigInt,
        mac -> Binary,
        text_hash -> Nullable<Binary>,
        grant_parts -> Nullable<Text>,
        lineage -> Nullable<Binary>,
        slot -> Nullable<Text>,
        predecessor -> Nullable<Binary>,
        retires_at -> Nullable<BigInt>,
        retire_on -> Nullable<Text>,
        first_used_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    revocation_notes (tenant, credential) {
        tenant -> BigInt,
        credential -> Binary,
        owner -> Binary,
        note -> Text,
    }
}

diesel::table! {
    log_records (tenant, seq) {
        tenant -> BigInt,
        seq -> BigInt,
        time -> BigInt,
        action -> Text,
        subject_kind -> Text,
        subject_id -> Text,
        bytes -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    log_heads (tenant) {
        tenant -> BigInt,
        next_seq -> BigInt,
        hash -> Binary,
        time -> BigInt,
        policy_seq -> BigInt,
        policy_epoch -> BigInt,
        forked_after -> Nullable<BigInt>,
        fork_accepted -> Nullable<BigInt>,
    }
}

diesel::table! {
    catalogue (key) {
        key -> BigInt,
        tenant -> BigInt,
        kind -> Text,
        name -> Text,
        document -> Text,
        from_seq -> BigInt,
        until_seq -> Nullable<BigInt>,
    }
}

diesel::table! {
    principal_history (tenant, id, until_seq) {
        tenant -> BigInt,
        id -> Binary,
        until_seq -> BigInt,
        active -> Bool,
        admin_hold -> Bool,
    }
}

diesel::table! {
    resource_history (key) {
        key -> BigInt,
        tenant -> BigInt,
        resource -> BigInt,
        id -> Binary,
        #[sql_name = "type"]
        type_name -> Text,
        connection -> Nullable<BigInt>,
        until_seq -> BigInt,
        at -> BigInt,
        sealed -> Binary,
    }
}

diesel::table! {
    subject_keys (tenant, id) {
        tenant -> BigInt,
        id -> Binary,
        wrapped -> Binary,
    }
}

diesel::table! {
    worker_cursors (tenant, job) {
        tenant -> BigInt,
        job -> Text,
        next_seq -> BigInt,
        updated -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    tenants,
    connections,
    principals,
    resources,
    resource_index,
    unique_values,
    external_ids,
    memberships,
    credentials,
);
