"""The checker: whether what was acknowledged is there, and whether the log holds."""

import threading
import time

import net
from link import Broken
from writers import PERMISSION

CODES = {None: "VALID", "deactivate": "OWNER_INACTIVE", "delete": "REVOKED", "revoke": "REVOKED"}
SILENT_MAX = 3  # people in a row of whom nothing is told


class Checker:
    """Looks at everybody who changed since it looked last."""

    def __init__(self, nodes, people):
        self.nodes, self.people = nodes, people
        self.seen = {}  # the number of tries at which a person was last found right

    def look(self, machine, everybody=False):
        """How many were looked at; -1 if the node does not answer."""
        if everybody:
            self.seen.clear()
        result = []

        def work():
            net.enter(machine)
            links = self.nodes.link(seconds=15), self.nodes.link(provisioning=True, seconds=15)
            self.silent, looked = 0, 0
            for person in list(self.people.all):
                looked += self.check(person, machine, *links)
                if self.silent > SILENT_MAX:
                    return  # nobody is there who could tell
            result.append(looked)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join()
        return result[0] if result else -1

    def check(self, person, machine, admin, scim):
        tries = person.tries
        if person.busy or person.lost or self.seen.get(person.name) == tries:
            return False
        wanted = self.wanted(person)
        got = self.got(person, admin, scim)
        self.silent = self.silent + 1 if got is None else 0
        if got is None or person.busy or person.tries != tries:
            return False  # the next look will tell
        if got != wanted:
            self.people.find("lost", person, f"{person.way} on {person.node}: {machine} tells {got} and not {wanted}")
            person.lost = True
        self.seen[person.name] = tries
        return True

    def wanted(self, person):
        """What must be told: of the key, of the key for the permission, of the user."""
        gone = person.ended is not None
        plain = CODES[person.way if gone else None]
        may = "INSUFFICIENT_PERMISSIONS" if plain == "VALID" and person.left is not None else plain
        return plain, may, None if gone and person.way == "delete" else not (gone and person.way == "deactivate")

    def got(self, person, admin, scim):
        answers = []
        for body in ({"key": person.key}, {"key": person.key, "permission": PERMISSION}):
            answers.append(self.ask(admin, "POST", "/v1/verify", body))
        answers.append(self.ask(scim, "GET", f"/scim/v2/Users/{person.id}"))
        if None in answers:
            return None
        (_, plain), (_, may), (status, user) = answers
        return plain["code"], may["code"], user["active"] if status == 200 else None

    def ask(self, link, *what):
        for _ in range(5):
            try:
                status, answer = link.ask(*what)
                if status in (200, 404):
                    return status, answer
            except Broken:
                pass
            time.sleep(0.5)
        return None

    def log(self, machine):
        """Whether `keyroll log verify` is content; a finding if not."""
        try:
            said = self.nodes.run(machine, "log", "verify").strip()
        except (RuntimeError, OSError) as error:
            self.people.find("fork", None, f"log verify: {error}")
            return "not content"
        return said
