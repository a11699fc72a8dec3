"""Samplers: without pause they ask one node for people who have access and for those who have lost it.

An answer is judged by what was acknowledged a second before the question was sent, so that nobody's clock matters.
"""

import threading
import time

import net
from link import Broken
from people import STALE_SECONDS
from writers import PERMISSION

PAUSE = 0.004
FEED_PAUSE = 0.5


def before(moment, asked):
    return moment is not None and asked > moment + STALE_SECONDS


class Sampler(threading.Thread):
    """Asks one node for verdicts, decisions and users, in turn."""

    def __init__(self, machine, nodes, people):
        super().__init__(daemon=True, name=f"sampler on {machine}")
        self.machine, self.nodes, self.people = machine, nodes, people
        self.stopping, self.statuses = False, {}
        self.slowest = 0.0  # seconds that an answer took
        self.lates = []  # seconds from the acknowledgement of an end to a question that was answered yes

    def run(self):
        net.enter(self.machine)
        self.admin, self.scim = self.nodes.link(seconds=15), self.nodes.link(provisioning=True, seconds=15)
        ways = [self.verify, self.verify, self.may, self.may, self.evaluate, self.read]
        turn = 0
        while not self.stopping:
            gone, alive = self.people.sampled()
            # The latest first: what is stale is so soon after the end.
            for person in [*gone[-40:], *alive[:60], *gone[:-40:3]]:
                if self.stopping:
                    return
                turn += 1
                ways[turn % len(ways)](person)
                time.sleep(PAUSE)
            time.sleep(PAUSE)

    def ask(self, link, *what):
        """The answer, if it is one; None is what services take for a no."""
        begun = time.monotonic()
        try:
            status, answer = link.ask(*what)
        except Broken as error:
            status, answer = 0, str(error)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status in (401, 403, 500):
            self.people.find("odd answer", None, f"{what[0]} {what[1]} on {self.machine}: {status} {answer}")
        return (status, answer) if status in (200, 404) else None

    def judge(self, person, asked, yes, ended, begun, what, said):
        """A yes after the end, or a no without any reason, is a finding."""
        text = f"{what} on {self.machine}: {said}"
        if yes and ended is not None and asked > ended:
            self.lates.append(asked - ended)
            if before(ended, asked):
                self.people.find("stale", person, f"{text}, {asked - ended:.3f} s after {person.way}")
        if not yes and begun is None and not person.lost:
            self.people.find("denied", person, f"{text}, {asked - person.made:.3f} s after it was made")

    def end_of(self, person, permission):
        """When access ended, and when the end was first asked for, the earlier of both ways."""
        ends = [person.ended, person.left if permission else None]
        begins = [person.ending, person.leaving if permission else None]
        first = lambda moments: min((moment for moment in moments if moment is not None), default=None)
        return first(ends), first(begins)

    def verdict(self, person, permission):
        body = {"key": person.key}
        if permission:
            body["permission"] = PERMISSION
        ended, _ = self.end_of(person, permission)
        asked = time.monotonic()
        answer = self.ask(self.admin, "POST", "/v1/verify", body)
        if answer is not None and before(person.made, asked):
            said = answer[1].get("code")
            _, begun = self.end_of(person, permission)
            self.judge(person, asked, said == "VALID", ended, begun, "verify", said)

    def verify(self, person):
        self.verdict(person, False)

    def may(self, person):
        self.verdict(person, True)

    def evaluate(self, person):
        body = {"subject": {"type": "user", "id": person.id}, "action": {"name": "read"},
                "resource": {"type": "demo:things", "id": "1"}}
        if person.way == "revoke":  # of a key: its owner still may
            return
        ended, _ = self.end_of(person, True)
        asked = time.monotonic()
        answer = self.ask(self.admin, "POST", "/access/v1/evaluation", body)
        if answer is not None and before(person.made, asked) and person.way != "revoke":
            said = answer[1].get("decision")
            _, begun = self.end_of(person, True)
            self.judge(person, asked, said is True, ended, begun, "evaluation", said)

    def read(self, person):
        if person.way == "revoke":
            return
        ended, asked = person.ended, time.monotonic()
        answer = self.ask(self.scim, "GET", f"/scim/v2/Users/{person.id}")
        if answer is not None and before(person.made, asked) and person.way != "revoke":
            status, document = answer
            active = status == 200 and document.get("active") is True
            self.judge(person, asked, active, ended, person.ending, "SCIM", f"{status}, active {active}")


class Feed(threading.Thread):
    """Follows the log through one node; what two nodes tell of one number must be the same."""

    def __init__(self, machine, nodes, people, log):
        super().__init__(daemon=True, name=f"feed on {machine}")
        self.machine, self.nodes, self.people, self.log = machine, nodes, people, log
        self.stopping, self.next = False, -1

    def run(self):
        net.enter(self.machine)
        link = self.nodes.link(seconds=15)
        while not self.stopping:
            try:
                status, page = link.ask("GET", f"/v1/changes?after={self.next}&wait=0&count=1000")
            except Broken:
                status = 0
            if status == 200:
                self.take(page)
            time.sleep(FEED_PAUSE)

    def take(self, page):
        for change in page["changes"]:
            known = self.log.setdefault(change["seq"], change)
            if known != change:
                self.people.find("fork", None, f"on {self.machine}: {known} and {change}")
        if page["next"] < self.next:
            self.people.find("fork", None, f"on {self.machine}: the log goes back from {self.next} to {page['next']}")
        self.next = page["next"]
