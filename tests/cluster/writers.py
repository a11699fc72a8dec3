"""Writers: they make people, give them keys and a group, take it all away again, and note what was acknowledged.

Each has people of its own, on one node. What is not acknowledged is asked for again until it is, but for the
creation of a user: of that, another one is made.
"""

import random
import threading
import time

import net
from link import Broken
from people import Person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PERMISSION = "demo:things:read"
AT_ONCE = 8  # people of each writer
PAUSE = 0.3
UNKNOWN = (0, 408, 429, 500, 502, 503, 504)


class Writer(threading.Thread):
    """One client that changes things through one node."""

    def __init__(self, number, machine, nodes, people, group, acks):
        super().__init__(daemon=True, name=f"writer {number} on {machine}")
        self.number, self.machine, self.nodes, self.people = number, machine, nodes, people
        self.group, self.acks = group, acks
        self.chance = random.Random(number)
        self.own, self.made, self.stopping, self.trouble = [], 0, False, None

    def run(self):
        net.enter(self.machine)
        self.scim, self.admin = self.nodes.link(provisioning=True), self.nodes.link()
        while not self.stopping:
            if len(self.own) < AT_ONCE:
                self.create()
            else:
                self.end(self.own.pop(0))

    def ask(self, link, person, method, path, body, done):
        """One try of a change: its answer if it is one of `done`, else None. All that it takes is noted."""
        time.sleep(PAUSE * (0.5 + self.chance.random()))
        begun = time.monotonic()
        person.tries += 1
        try:
            status, answer = link.ask(method, path, body)
        except Broken as error:
            status, answer = 0, str(error)
        if status in done:
            self.acks.append((begun, time.monotonic()))
            self.people.changes += 1
            return answer or {}
        self.trouble = f"{status} {answer}"
        if status == 404:
            self.people.find("lost", person, f"{method} {path} on {self.machine}: {answer}")
        elif status not in UNKNOWN or status == 500:
            self.people.find("odd answer", person, f"{method} {path} on {self.machine}: {status} {answer}")
        return None

    def until_done(self, *what):
        """The same again until it is acknowledged; None if the writer is to stop, or if it makes no sense."""
        tries = 0
        while not self.stopping and tries < 1000:
            answer = self.ask(*what)
            if answer is not None:
                return answer
            tries += 1
            if self.trouble[:3] in ("400", "401", "403", "404", "409", "412", "422"):
                return None
        return None

    def create(self):
        self.made += 1
        person = Person(f"w{self.number}-{self.made}@example.com", self.machine)
        person.busy = True
        body = {"schemas": [USER], "userName": person.name, "active": True}
        answer = self.ask(self.scim, person, "POST", "/scim/v2/Users", body, (201,))
        if answer is None:
            return
        person.id = answer["id"]
        body = {"name": "cluster", "owner": {"type": "user", "id": person.id}, "grant": [{"permissions": [PERMISSION]}]}
        # A grant is at most what its owner may do.
        if self.change_group(person, "add") is None:
            return
        person.joined = time.monotonic()
        answer = self.until_done(self.admin, person, "POST", "/v1/keys", body, (201,))
        if answer is None:
            return
        person.key, person.key_id = answer["key"], answer["id"]
        person.made, person.busy = time.monotonic(), False
        self.own.append(person)
        self.people.add(person)

    def change_group(self, person, op):
        if op == "add":
            change = {"op": "add", "path": "members", "value": [{"value": person.id}]}
        else:
            change = {"op": "remove", "path": f'members[value eq "{person.id}"]'}
        body = {"schemas": [PATCH], "Operations": [change]}
        return self.until_done(self.scim, person, "PATCH", f"/scim/v2/Groups/{self.group}", body, (200, 204))

    def end(self, person):
        person.busy = True
        if self.chance.random() < 0.4:
            person.leaving = time.monotonic()
            if self.change_group(person, "remove") is None:
                return
            person.left = time.monotonic()
            self.people.note_left(person)
        person.way = self.chance.choice(["deactivate", "delete", "revoke"])
        person.ending = time.monotonic()
        if getattr(self, person.way)(person) is None:
            return
        person.ended = time.monotonic()
        self.people.note_ended(person)
        person.busy = False

    def deactivate(self, person):
        body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
        return self.until_done(self.scim, person, "PATCH", f"/scim/v2/Users/{person.id}", body, (200, 204))

    def delete(self, person):
        # 404: an earlier try was done.
        return self.until_done(self.scim, person, "DELETE", f"/scim/v2/Users/{person.id}", None, (204, 404))

    def revoke(self, person):
        return self.until_done(self.admin, person, "POST", f"/v1/keys/{person.key_id}/revoke", {}, (200, 204, 409))
