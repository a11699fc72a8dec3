"""Shows samplers and checker answers that are wrong, and right ones: they must find the ones and leave the others."""

import time

from checker import Checker
from people import People, Person
from samplers import Sampler


class Fake:
    """A node that says one thing of everybody."""

    def __init__(self, code):
        self.code = code

    def ask(self, _method, path, _body=None):
        yes = self.code == "VALID"
        if path == "/v1/verify":
            return 200, {"code": self.code}
        return 200, {"decision": yes} if "evaluation" in path else {"active": yes}


def person(name, now, **known):
    """Somebody who was made ten seconds ago."""
    one = Person(name, "k1")
    one.id, one.key, one.made, one.joined = name, name, now - 10, now - 10
    for what, value in known.items():
        setattr(one, what, value)
    return one


def everybody(now):
    return [
        person("alive", now),
        person("gone", now, ending=now - 3, ended=now - 2, way="deactivate"),
        person("just gone", now, ending=now - 0.5, ended=now - 0.4, way="deactivate"),
        person("perhaps gone", now, ending=now - 2, way="delete"),
        person("left", now, leaving=now - 3, left=now - 2),
    ]


def found(code):
    """What is found if all nodes say this."""
    people, now = People(), time.monotonic()
    sampler = Sampler("k1", None, people)
    sampler.admin = sampler.scim = Fake(code)
    for one in everybody(now):
        for way in (sampler.verify, sampler.may, sampler.evaluate, sampler.read):
            way(one)
    checker = Checker(None, people)
    checker.silent = 0
    for one in everybody(now):
        if one.ending is None or one.ended is not None:
            checker.check(one, "k1", Fake(code), Fake(code))
    return sorted((finding["kind"], finding["person"]) for finding in people.findings)


def main():
    everything_works = [("lost", "gone"), ("lost", "just gone"), ("lost", "left"), ("stale", "gone"), ("stale", "left")]
    nothing_works = [("denied", "alive"), ("denied", "left"), ("lost", "alive"), ("lost", "left")]
    for code, wanted in (("VALID", everything_works), ("OWNER_INACTIVE", nothing_works)):
        if found(code) != wanted:
            raise AssertionError(f"{code}: {found(code)} and not {wanted}")


if __name__ == "__main__":
    main()
