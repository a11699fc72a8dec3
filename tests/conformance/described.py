#!/usr/bin/env python3
"""Plays the description of the API (OpenAPI) against the server that serves it, by schemathesis.

    KEYROLL_ADMIN_KEY=... KEYROLL_IDP_KEY=... described.py URL

No answer is a 5xx, and each has a status, a media type, headers and a body that are described. The exit status is 1 if
one is not, if an operation never succeeded (then what was tried says little), or if the key in use has ended meanwhile.

schemathesis imports this file as well, for the hooks below.
"""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import schemathesis

HERE = pathlib.Path(__file__).resolve().parent
# What others build on cannot be removed; these go in its place.
SPARED, SPARE = {"DELETE /v1/apis/{id}": "billing", "DELETE /v1/roles/{id}": "billing.reader"}, "spare"
NOBODY = "00000000-0000-7000-8000-000000000000"
# What the hooks are told: which ids stand for which in requests, which besides in those of one operation, and the file
# that statuses are written to.
NAMES, INSTEAD, STATUSES = "DESCRIBED_NAMES", "DESCRIBED_INSTEAD", "DESCRIBED_STATUSES"

# What is made before the rest, since the rest speaks of it.
STORY = ["/v1/apis", "/v1/roles", "/v1/agents", "/v1/mappings", "/v1/keys"]


def named(value, names):
    text = json.dumps(value, ensure_ascii=False)
    for example, real in names.items():
        text = text.replace(example, real)
    return json.loads(text)


@schemathesis.hook
def before_call(context, case, kwargs):
    names = json.loads(os.environ[NAMES])
    if case.operation.label in SPARED:
        names[SPARED[case.operation.label]] = SPARE
    names |= json.loads(os.environ[INSTEAD]).get(case.operation.label, {})
    case.path_parameters = named(case.path_parameters or {}, names)
    if isinstance(case.body, (dict, list)):
        case.body = named(case.body, names)


@schemathesis.hook
def after_call(context, case, response):
    with open(os.environ[STATUSES], "a") as file:
        file.write(f"{case.operation.label}\t{response.status_code}\n")


@schemathesis.deserializer("application/json")
def body(context, response):
    # schemathesis takes a signed token for JSON.
    is_token = "application/jwt" in response.headers.get("content-type", [])
    return response.text if is_token else response.json()


def ask(url, key, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as response:
        return json.load(response)


def tell_story(url, document, admin, idp):
    """Makes what the examples speak of, and what nobody needs; gives the ids that are others than theirs, and those that
    are others in one operation: the key that the rest speaks of is not to end, nor is whose it is."""
    def example(path):
        return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]

    def example_id(path):
        return document["paths"][path]["get"]["parameters"][0]["example"]

    def user(name):
        person = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}
        return ask(f"{url}/scim/v2/Users", idp, person)["id"]

    mira = "mira@example.com"
    names = {example("/v1/keys")["owner"]["id"]: user(mira)}
    user(SPARE)
    for path in STORY:
        made = ask(f"{url}{path}", admin, named(example(path), names))
        if path in ["/v1/mappings", "/v1/keys"]:
            names[example_id(f"{path}/{{id}}")] = made["id"]
        if path == "/v1/keys":
            names[example("/v1/keys:identify")["key"]] = made["key"]
    for path in ["/v1/apis", "/v1/roles"]:
        ask(f"{url}{path}", admin, {"name": SPARE})
    spare, rotated = (ask(f"{url}/v1/keys", admin, named(example("/v1/keys"), names)) for _ in range(2))
    # Whoever revoked the key in use would try nothing behind that.
    names[ask(f"{url}/v1/whoami", admin)["key_id"]] = NOBODY
    key, text = example_id("/v1/keys/{id}"), example("/v1/keys:identify")["key"]
    # In a path it may be quoted already.
    gone = dict.fromkeys([mira, urllib.parse.quote(mira), names[example("/v1/keys")["owner"]["id"]]], SPARE)
    return names, {
        "DELETE /v1/users/{id}": gone, "DELETE /v1/agents/{id}": gone, "POST /v1/principals/{id}/revoke-all": gone,
        # No key of whoever is suspended is extended.
        "POST /v1/users/{id}/suspend": gone,
        "POST /v1/keys/{id}/revoke": dict.fromkeys([key, names[key]], spare["id"]),
        "POST /v1/keys/{id}/rotate": dict.fromkeys([key, names[key]], rotated["id"]),
        "POST /v1/exposed-credentials": dict.fromkeys([text, names[text]], spare["key"]),
    }


def main():
    url, admin, idp = sys.argv[1], os.environ["KEYROLL_ADMIN_KEY"], os.environ["KEYROLL_IDP_KEY"]
    document = ask(f"{url}/v1/openapi.json", admin)
    tried = collections.defaultdict(collections.Counter)
    # schemathesis leaves files where it is started.
    with tempfile.TemporaryDirectory() as folder:
        statuses = pathlib.Path(folder, "statuses")
        names, instead = tell_story(url, document, admin, idp)
        told = {
            NAMES: json.dumps(names),
            INSTEAD: json.dumps(instead),
            STATUSES: str(statuses),
            "SCHEMATHESIS_HOOKS": pathlib.Path(__file__).stem,
            "PYTHONPATH": str(HERE),
        }
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"]
        command += ["run", f"{url}/v1/openapi.json", "--header", f"Authorization: Bearer {admin}"]
        status = subprocess.run(command, env=os.environ | told, cwd=folder).returncode
        for line in statuses.read_text().splitlines():
            operation, code = line.split("\t")
            tried[operation][int(code)] += 1
    # The key in use still works, and still may.
    ask(f"{url}/v1/users?count=1", admin)
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    # These were asked to begin with.
    described -= {"GET /v1/openapi.json", *(f"POST {path}" for path in STORY)}
    vain = sorted(one for one in described if not any(code < 300 for code in tried[one]))
    for operation in vain:
        print(f"{operation} never succeeded: {dict(tried[operation])}")
    sys.exit(1 if status or vain else 0)


if __name__ == "__main__":
    main()
