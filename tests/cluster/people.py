"""What is known of the people that the writers make: what was acknowledged, and when.

A moment is a reading of the monotonic clock after the answer had arrived. What was begun and not acknowledged is
unknown: it may be true or not. Only the writer of a person changes what is known of it.
"""

import collections
import threading
import time

SAMPLED_SECONDS = 90  # how long those who have left are asked for
STALE_SECONDS = 1.0


class Person:
    """A user with a key, in a group that gives a permission."""

    def __init__(self, name, node):
        self.name, self.node = name, node
        self.id = self.key = self.key_id = None
        self.made = None  # when the key was acknowledged
        self.joined = None  # when being a member was
        self.leaving = self.left = None  # when the end of that was first asked for, and acknowledged
        self.ending = self.ended = None  # when the end of user or key was first asked for, and acknowledged
        self.way = None  # deactivate, delete, revoke
        self.tries = 0  # of changes, so that whoever looks twice knows that nothing was under way
        self.busy = False
        self.lost = False


class People:
    """Everybody, and what was found wrong about them."""

    def __init__(self):
        self.all, self.lock = [], threading.Lock()
        self.recent = collections.deque()  # those whose access ended lately
        self.alive = []
        self.findings = []  # of any kind
        self.changes = 0  # acknowledged

    def add(self, person):
        with self.lock:
            self.all.append(person)
            self.alive = [*self.alive, person]

    def note_left(self, person):
        with self.lock:
            self.recent.append((time.monotonic(), person))

    def note_ended(self, person):
        with self.lock:
            self.alive = [one for one in self.alive if one is not person]
            self.recent.append((time.monotonic(), person))

    def sampled(self):
        """Those to ask for: who has lost access lately, and who has it."""
        oldest = time.monotonic() - SAMPLED_SECONDS
        with self.lock:
            while self.recent and self.recent[0][0] < oldest:
                self.recent.popleft()
            return [person for _, person in self.recent], list(self.alive)

    def find(self, kind, person, text):
        """Something is wrong: once for each person and kind."""
        with self.lock:
            if person is None or not any(one["kind"] == kind and one["person"] == person.name for one in self.findings):
                self.findings.append({
                    "kind": kind, "person": person and person.name, "text": text, "at": round(time.monotonic(), 3)})
                return True
        return False
