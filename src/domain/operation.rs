//! The one list of what the server can do.
//!
//! Surface, routes, required permission, log action, summary, where the work runs and which keys may ask are columns of
//! one table; the router, the authorization check and the matrix test read it. To add an operation, add a
//! line: what lacks a column, or nobody carries out, does not compile.

/// What an operation is part of: it decides how errors are written, and what else a request is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// SCIM 2.0 (RFC 7644).
    Scim,
    /// Keyroll's own API.
    V1,
    /// OpenID AuthZEN (Authorization API 1.0).
    AuthZen,
    /// Documents and probes that anybody may read.
    Open,
    /// The command line on the host: there is no route.
    Host,
}

/// How an operation's work reaches a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Cheaper than a thread hop on SQLite: an index look-up.
    Inline,
    /// May take long or writes.
    Blocking,
    /// The same, and may be much: many operations, or a hundred thousand members.
    Long,
}

/// Which keys may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// No key is needed, and none is looked at: what is sent with the request makes no difference.
    Open,
    /// No key is needed; one that is sent must work.
    None,
    /// Any key that works; what it may see is decided further in.
    Any,
    /// Any key that has the permission, provisioning keys included.
    Scim,
    /// Keys of people and services that have the permission; never a provisioning key.
    Admin,
    /// No key: only the command line on the host.
    Host,
}

/// An HTTP method and a path template.
pub type Route = (&'static str, &'static str);

macro_rules! operations {
    ($($surface:ident { $($(#[doc = $doc:literal])+ $variant:ident: $keys:ident, $permission:literal, $action:literal, $place:ident, [$($method:ident $path:literal),*];)* })*) => {
        /// Everything that the server can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation { $($($(#[doc = $doc])+ $variant,)*)* }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Operation] = &[$($(Operation::$variant,)*)*];

            /// What it is part of.
            pub fn surface(self) -> Surface {
                match self { $($(Operation::$variant => Surface::$surface,)*)* }
            }

            /// Which keys may ask.
            pub fn keys(self) -> Keys {
                match self { $($(Operation::$variant => Keys::$keys,)*)* }
            }

            /// The permission it needs; `{type}` stands for the endpoint of the resource type in lower
            /// case, and empty means that none is needed.
            pub fn permission(self) -> &'static str {
                match self { $($(Operation::$variant => $permission,)*)* }
            }

            /// The action in the log; `{type}` stands for the resource type in lower case, and empty
            /// means that it is not recorded.
            pub fn action(self) -> &'static str {
                match self { $($(Operation::$variant => $action,)*)* }
            }

            /// Where its work runs.
            pub fn place(self) -> Place {
                match self { $($(Operation::$variant => Place::$place,)*)* }
            }

            /// Its methods and path templates; empty for what only the command line does.
            pub fn routes(self) -> &'static [Route] {
                match self { $($(Operation::$variant => &[$((stringify!($method), $path)),*],)*)* }
            }

            /// What it does, in a sentence.
            pub fn summary(self) -> &'static str {
                match self { $($(Operation::$variant => concat!($($doc),+).trim_ascii(),)*)* }
            }

            /// The name in structured logs.
            pub fn name(self) -> &'static str {
                match self { $($(Operation::$variant => stringify!($variant),)*)* }
            }
        }
    };
}

operations! {
    Scim {
        /// Creates a resource.
        Create: Scim, "keyroll:{type}:write", "{type}.created", Long, [POST "/scim/v2/{endpoint}"];
        /// Reads a resource.
        Read: Scim, "keyroll:{type}:read", "", Inline, [GET "/scim/v2/{endpoint}/{id}"];
        /// Replaces a resource.
        Replace: Scim, "keyroll:{type}:write", "{type}.replaced", Long, [PUT "/scim/v2/{endpoint}/{id}"];
        /// Changes a resource.
        Patch: Scim, "keyroll:{type}:write", "{type}.patched", Long, [PATCH "/scim/v2/{endpoint}/{id}"];
        /// Deletes a resource.
        Delete: Scim, "keyroll:{type}:write", "{type}.deleted", Blocking, [DELETE "/scim/v2/{endpoint}/{id}"];
        /// Lists and searches resources of one type.
        Search: Scim, "keyroll:{type}:read", "", Blocking,
            [GET "/scim/v2/{endpoint}", POST "/scim/v2/{endpoint}/.search"];
        /// Searches resources of every type.
        SearchAll: Scim, "keyroll:{type}:read", "", Blocking, [GET "/scim/v2", GET "/scim/v2/", POST "/scim/v2/.search"];
        /// Reads the catalogue of roles.
        Roles: Scim, "keyroll:roles:read", "", Blocking,
            [GET "/scim/v2/Roles", GET "/scim/v2/Roles/{id}", POST "/scim/v2/Roles/.search"];
        /// Reads the catalogue of permissions.
        Entitlements: Scim, "keyroll:entitlements:read", "", Blocking,
            [GET "/scim/v2/Entitlements", GET "/scim/v2/Entitlements/{id}", POST "/scim/v2/Entitlements/.search"];
        /// Reads the resource of the key's owner.
        Me: Any, "", "", Blocking, [GET "/scim/v2/Me"];
        /// Refuses to write that resource by this name (design §5).
        MeWrite: Any, "", "", Inline,
            [POST "/scim/v2/Me", PUT "/scim/v2/Me", PATCH "/scim/v2/Me", DELETE "/scim/v2/Me"];
        /// Carries out many operations; each is authorized by itself.
        Bulk: Any, "", "", Long, [POST "/scim/v2/Bulk"];
        /// Tells what the server can do.
        Discover: None, "", "", Inline, [
            GET "/scim/v2/ServiceProviderConfig", GET "/scim/v2/ServiceProviderConfigs", GET "/scim/v2/Schemas", GET "/scim/v2/Schemas/{id}", GET "/scim/v2/ResourceTypes", GET "/scim/v2/ResourceTypes/{id}"];
    }

    V1 {
        // Keys.
        /// Issues a key.
        KeyIssue: Admin, "keyroll:keys:issue", "credential.issued", Blocking, [POST "/v1/keys"];
        /// Lists keys.
        KeyList: Admin, "keyroll:keys:read", "", Blocking, [GET "/v1/keys"];
        /// Reads the record of a key.
        KeyRead: Admin, "keyroll:keys:read", "", Blocking, [GET "/v1/keys/{id}"];
        /// Revokes a key; every holder may revoke its own.
        KeyRevoke: Any, "keyroll:keys:revoke", "credential.revoked", Blocking, [POST "/v1/keys/{id}/revoke"];
        /// Revokes every key of an owner.
        KeyRevokeAll: Admin, "keyroll:keys:revoke", "credential.revoked", Blocking, [POST "/v1/principals/{id}/revoke-all"];
        /// Holds a key back until it is released.
        KeyHold: Admin, "keyroll:keys:hold", "credential.suspended", Blocking, [POST "/v1/keys/{id}/hold"];
        /// Releases a key that was held back, for that reason alone.
        KeyRelease: Admin, "keyroll:keys:hold", "credential.released", Blocking, [POST "/v1/keys/{id}/release"];
        /// Gives a key another name.
        KeyRename: Admin, "keyroll:keys:write", "credential.renamed", Blocking, [PATCH "/v1/keys/{id}"];
        /// Takes permissions away from a key.
        KeyNarrow: Admin, "keyroll:keys:write", "credential.narrowed", Blocking, [POST "/v1/keys/{id}/narrow"];
        /// Gives a key a later end.
        KeyExtend: Admin, "keyroll:keys:issue", "credential.extended", Blocking, [POST "/v1/keys/{id}/extend"];
        /// Gives a key a successor; every key may do that with itself.
        KeyRotate: Any, "keyroll:keys:issue", "credential.rotated", Blocking, [POST "/v1/keys/{id}/rotate"];
        /// Tells which permissions a key has at this moment, and why it lacks the others.
        KeyEffective: Admin, "keyroll:keys:read", "", Blocking, [GET "/v1/keys/{id}/effective"];
        /// Tells whose a key is by its text, its public part, or a hash of its text.
        KeyIdentify: Admin, "keyroll:keys:identify", "credential.identified", Blocking, [POST "/v1/keys:identify"];
        /// Ends keys that somebody found where none belongs; who has a key's whole text needs no other.
        KeyExpose: Open, "", "credential.revoked", Blocking, [POST "/v1/exposed-credentials"];
        /// Tells whether a key works and whose it is.
        KeyVerify: Admin, "keyroll:keys:verify", "", Inline, [POST "/v1/verify"];
        /// Tells the caller who it is.
        Whoami: Any, "", "", Inline, [GET "/v1/whoami"];

        // People, local ones included.
        /// Lists principals.
        UserList: Admin, "keyroll:users:read", "", Blocking, [GET "/v1/users"];
        /// Reads a principal.
        UserRead: Admin, "keyroll:users:read", "", Blocking, [GET "/v1/users/{id}"];
        /// Suspends a principal by an admin's hold.
        UserSuspend: Admin, "keyroll:users:suspend", "principal.suspended", Blocking, [POST "/v1/users/{id}/suspend"];
        /// Lifts an admin's hold.
        UserActivate: Admin, "keyroll:users:suspend", "principal.activated", Blocking, [POST "/v1/users/{id}/activate"];
        /// Deletes a User, as DELETE in SCIM does.
        UserDelete: Admin, "keyroll:users:delete", "user.deleted", Blocking, [DELETE "/v1/users/{id}"];

        // Agents, whoever made them; an admin's are read by connections and written by none.
        /// Lists agents.
        AgentList: Admin, "keyroll:agents:read", "", Blocking, [GET "/v1/agents"];
        /// Reads an agent.
        AgentRead: Admin, "keyroll:agents:read", "", Blocking, [GET "/v1/agents/{id}"];
        /// Makes an agent that no identity provider knows of.
        AgentCreate: Admin, "keyroll:agents:write", "agent.created", Blocking, [POST "/v1/agents"];
        /// Replaces what an admin said about an agent.
        AgentReplace: Admin, "keyroll:agents:write", "agent.replaced", Blocking, [PUT "/v1/agents/{id}"];
        /// Suspends an agent by an admin's hold.
        AgentSuspend: Admin, "keyroll:agents:write", "principal.suspended", Blocking, [POST "/v1/agents/{id}/suspend"];
        /// Lifts an admin's hold.
        AgentActivate: Admin, "keyroll:agents:write", "principal.activated", Blocking, [POST "/v1/agents/{id}/activate"];
        /// Deletes an agent, as DELETE in SCIM does.
        AgentDelete: Admin, "keyroll:agents:write", "agent.deleted", Blocking, [DELETE "/v1/agents/{id}"];

        // Access.
        /// Lists apis.
        ApiList: Admin, "keyroll:apis:read", "", Blocking, [GET "/v1/apis"];
        /// Reads an api.
        ApiRead: Admin, "keyroll:apis:read", "", Blocking, [GET "/v1/apis/{id}"];
        /// Registers an api.
        ApiCreate: Admin, "keyroll:apis:write", "api.created", Blocking, [POST "/v1/apis"];
        /// Replaces an api.
        ApiReplace: Admin, "keyroll:apis:write", "api.replaced", Blocking, [PUT "/v1/apis/{id}"];
        /// Removes an api.
        ApiDelete: Admin, "keyroll:apis:write", "api.deleted", Blocking, [DELETE "/v1/apis/{id}"];
        /// Lists roles.
        RoleList: Admin, "keyroll:roles:read", "", Blocking, [GET "/v1/roles"];
        /// Reads a role.
        RoleRead: Admin, "keyroll:roles:read", "", Blocking, [GET "/v1/roles/{id}"];
        /// Defines a role.
        RoleCreate: Admin, "keyroll:roles:write", "role.created", Blocking, [POST "/v1/roles"];
        /// Replaces the definition of a role.
        RoleReplace: Admin, "keyroll:roles:write", "role.replaced", Blocking, [PUT "/v1/roles/{id}"];
        /// Removes a role.
        RoleDelete: Admin, "keyroll:roles:write", "role.deleted", Blocking, [DELETE "/v1/roles/{id}"];
        /// Tells who holds a role, and why.
        RoleHolders: Admin, "keyroll:access:read", "", Blocking, [GET "/v1/roles/{id}/holders"];
        /// Lists mappings with what their roles give: what services keep and decide by.
        MappingList: Admin, "keyroll:mappings:read", "", Blocking, [GET "/v1/mappings"];
        /// Reads a mapping.
        MappingRead: Admin, "keyroll:mappings:read", "", Blocking, [GET "/v1/mappings/{id}"];
        /// Makes a mapping.
        MappingCreate: Admin, "keyroll:mappings:write", "mapping.created", Blocking, [POST "/v1/mappings"];
        /// Replaces the role and the source of a mapping.
        MappingReplace: Admin, "keyroll:mappings:write", "mapping.replaced", Blocking, [PUT "/v1/mappings/{id}"];
        /// Removes a mapping, or tells who would lose what.
        MappingDelete: Admin, "keyroll:mappings:write", "mapping.deleted", Blocking, [DELETE "/v1/mappings/{id}"];
        /// Tells what a user may do, and why.
        UserAccess: Admin, "keyroll:access:read", "", Blocking, [GET "/v1/users/{id}/access"];
        /// Tells what an agent may do, and why.
        AgentAccess: Admin, "keyroll:access:read", "", Blocking, [GET "/v1/agents/{id}/access"];
        /// Tells whether a principal may do something, and why or what it lacks.
        AccessExplain: Admin, "keyroll:access:read", "", Blocking, [POST "/v1/access/explain"];

        // What services follow.
        /// Reads the log from a position on, or waits for what comes.
        Changes: Admin, "keyroll:changes:read", "", Blocking, [GET "/v1/changes"];
    }

    AuthZen {
        /// Decides whether a subject may do something.
        AccessEvaluate: Admin, "keyroll:access:evaluate", "", Inline, [POST "/access/v1/evaluation"];
        /// Decides many such questions.
        AccessEvaluations: Admin, "keyroll:access:evaluate", "", Blocking, [POST "/access/v1/evaluations"];
        /// Tells which subjects may carry out an action on a resource.
        SearchSubjects: Admin, "keyroll:access:evaluate", "", Blocking, [POST "/access/v1/search/subject"];
        /// Tells on which resources a subject may carry out an action.
        SearchResources: Admin, "keyroll:access:evaluate", "", Blocking, [POST "/access/v1/search/resource"];
        /// Tells which actions a subject may carry out on a resource.
        SearchActions: Admin, "keyroll:access:evaluate", "", Blocking, [POST "/access/v1/search/action"];
    }

    Open {
        /// Tells where decisions are to be had.
        AccessConfiguration: Open, "", "", Inline, [GET "/.well-known/authzen-configuration"];
        /// Publishes the keys that Keyroll's signatures are verified with.
        SigningKeys: Open, "", "", Inline, [GET "/.well-known/jwks.json"];
        /// Describes this API (OpenAPI 3.1).
        OpenApi: Open, "", "", Inline, [GET "/v1/openapi.json"];
        /// Tells that the process runs.
        Health: Open, "", "", Inline, [GET "/healthz"];
        /// Tells that requests can be served.
        Ready: Open, "", "", Blocking, [GET "/readyz"];
    }

    Host {
        /// Makes the first tenant, operator, connection and keys.
        Init: Host, "", "tenant.created", Blocking, [];
        /// Brings apis, roles and mappings to what a file says; each of them is recorded by itself.
        Apply: Host, "", "", Blocking, [];
        /// Checks the log's chain.
        LogVerify: Host, "", "", Blocking, [];
        /// Shows the newest records.
        LogTail: Host, "", "", Blocking, [];
        /// Accepts that a log has lost what servers knew.
        LogAcceptFork: Host, "", "log.fork_accepted", Blocking, [];
        /// Lists the servers on this database.
        NodeList: Host, "", "", Blocking, [];
        /// Writes all data into a folder.
        Backup: Host, "", "", Blocking, [];
        /// Puts a backup in the place of the database; which of its records are newest, the log keeps.
        Restore: Host, "", "installation.restored", Blocking, [];
    }
}

impl Operation {
    /// Whether it changes anything: then it appends to the log, in the change's transaction.
    pub fn writes(self) -> bool {
        !self.action().is_empty()
    }

    /// The permission for a resource type, given its endpoint: `keyroll:users:write`.
    pub fn permission_for(self, endpoint: &str) -> String {
        self.permission().replace("{type}", &endpoint.trim_start_matches('/').to_ascii_lowercase())
    }

    /// The action for a resource type: `user.created`.
    pub fn action_for(self, type_name: &str) -> String {
        self.action().replace("{type}", &type_name.to_ascii_lowercase())
    }
}
