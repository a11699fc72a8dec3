#!/usr/bin/env python3
"""Runs scim2-tester, a public conformance suite, against a SCIM server.

    SCIM_TOKEN=... tester.py BASE_URL

Prints every check that did not succeed, with the server's answer, and one line that counts them. The exit status is
1 if a check failed or was skipped (what was not tried is not shown), or if a resource type was not tried at all.
"""
import collections
import os
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

GOOD = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}
RESOURCE_TYPES = {"User", "Group", "Agent"}


def main():
    headers = {"Authorization": "Bearer " + os.environ["SCIM_TOKEN"]}
    with Client(base_url=sys.argv[1], headers=headers, timeout=60) as http:
        results = check_server(SyncSCIMClient(http))
    bad = [result for result in results if result.status not in GOOD]
    for result in bad:
        print(f"{result.status.name} {result.resource_type or 'server'} {result.title}: {result.reason}")
        if result.data is not None:
            print(f"    {str(result.data)[:2000]}")
    untried = RESOURCE_TYPES - {result.resource_type for result in results}
    for name in sorted(untried):
        print(f"ERROR {name} was not tried")
    tally = collections.Counter(result.status.name.lower() for result in results)
    print(f"scim2-tester: {len(results)} checks: " + ", ".join(f"{n} {status}" for status, n in sorted(tally.items())))
    sys.exit(1 if bad or untried else 0)


if __name__ == "__main__":
    main()
