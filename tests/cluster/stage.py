"""The stage: cluster, nodes and clients together, and one fault after the other."""

import random
import subprocess
import threading
import time
from pathlib import Path

import bare
import net
import processes
import report
from checker import Checker
from database import Database
from faults import ALONE, KINDS
from nodes import Nodes
from people import People
from samplers import Feed, Sampler
from writers import USER, Writer

WRITERS = 4  # on each node
HEALTHY_SECONDS, READY_SECONDS = 240, 20


class Stage:
    """Everything that runs."""

    def __init__(self, folder, program, options, seed):
        self.folder, self.options, self.asynchronous = Path(folder), options, options.asynchronous
        self.chance = random.Random(seed)
        library = self.folder / "shim.so"
        source = Path(__file__).with_name("shim.c")
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        times = {"ttl": 10, "loop_wait": 2, "retry_timeout": 3} if options.short else \
            {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}
        self.database = Database(self.folder, library, options.asynchronous, times)
        url = self.database.url(options.haproxy)
        self.nodes = Nodes(self.folder, program, url, library, insists=not options.asynchronous)
        self.people, self.log = People(), {}
        self.acks = {name: [] for name in net.KEYROLL}
        self.bare_acks = []

    def start(self):
        """Starts all of it."""
        net.make()
        self.database.start()
        if not processes.until(120, self.database.is_whole, 0.5):
            raise RuntimeError(f"the database does not start: {self.database.members()}")
        self.database.prepare()
        if self.options.haproxy:
            self.database.start_haproxy()
            time.sleep(3)
        self.nodes.start_all()
        if not processes.until(60, lambda: all(self.nodes.is_ready(name)[0] for name in net.KEYROLL)):
            raise RuntimeError(f"the nodes are not ready: {[self.nodes.is_ready(name) for name in net.KEYROLL]}")
        self.start_clients()

    def start_clients(self):
        schema = USER.replace("User", "Group")
        body = {"schemas": [schema], "displayName": "Readers"}
        made = net.inside("k1", lambda: self.nodes.link(provisioning=True).ask("POST", "/scim/v2/Groups", body))
        if made[0] != 201:
            raise RuntimeError(f"no group: {made}")
        group = made[1]["id"]
        hosts = [net.ADDRESSES[name] for name in (("h1",) if self.options.haproxy else net.POSTGRES)]
        self.writers = [
            Writer(number, net.KEYROLL[number % 3], self.nodes, self.people, group, self.acks[net.KEYROLL[number % 3]])
            for number in range(3 * WRITERS)]
        self.samplers = [Sampler(name, self.nodes, self.people) for name in net.KEYROLL]
        self.feeds = [Feed(name, self.nodes, self.people, self.log) for name in net.KEYROLL]
        for one in (*self.writers, *self.samplers, *self.feeds):
            one.start()
        bare.start(hosts, self.bare_acks)
        self.checker = Checker(self.nodes, self.people)

    def any_node(self):
        return self.chance.choice(net.KEYROLL)

    def kill_machine(self, name):
        """Ends Patroni and PostgreSQL of a machine."""
        processes.kill(self.database.running[name].pid)
        root = self.database.postmaster(name)
        if root is not None:
            processes.kill(root)

    def later(self, work, *what):
        threading.Thread(target=work, args=what, daemon=True).start()

    def writes(self, acks, since=0.0):
        """Whether a write was acknowledged just now that began after a moment."""
        last = acks[-1] if acks else (0.0, 0.0)
        return last[0] > since and time.monotonic() - last[1] < 1.5

    def all_write(self, names, since):
        return self.writes(self.bare_acks, since) and all(self.writes(self.acks[name], since) for name in names)

    def play(self, number, kind):
        """One fault from begin to end: what there is to say of it."""
        processes.until(HEALTHY_SECONDS, lambda: self.database.is_whole() and self.all_write(net.KEYROLL, 0.0), 0.5)
        found, changes, self.accepted = len(self.people.findings), self.people.changes, []
        for sampler in self.samplers:
            sampler.slowest, sampler.lates, sampler.statuses = 0.0, [], {}
        start = time.monotonic()
        fault = {**KINDS, **ALONE}[kind](self)
        self.hold(fault, start)
        heal = time.monotonic()
        fault.heal()
        whole = processes.until(HEALTHY_SECONDS, self.database.is_whole, 0.5)
        healthy = time.monotonic()
        hands = [] if whole else [f"the database: {self.database.members()}"]
        hands += self.wait_for_nodes()
        end = time.monotonic()
        if whole:
            time.sleep(2)
        looked = self.checker.look(self.any_node())
        said = self.outcome(fault, start, heal, end, kind)
        findings = self.people.findings[found:]
        said |= {
            "number": number, "changes": self.people.changes - changes, "looked_at": looked, "hands": hands,
            "forked_after": self.accepted,
            "healthy": round(healthy - heal, 2), "ready": round(end - healthy, 2),
            "findings": self.counted(findings), "texts": [one["text"] for one in findings][:10],
        }
        return said

    def hold(self, fault, start):
        """Leaves it as it is until what can work works again."""
        time.sleep(fault.hold)
        if fault.failover:
            another = lambda: self.database.leader() not in (None, fault.leader)
            if not processes.until(75, another, 0.5):
                print(f"    nobody took over from {fault.leader}", flush=True)
        if not fault.counted_from_heal:
            since = time.monotonic()
            names = [name for name in net.KEYROLL if name not in fault.away]
            processes.until(30, lambda: self.all_write(names, since), 0.1)
            time.sleep(2)

    def wait_for_nodes(self):
        """The nodes that do not come back by themselves once the database is whole."""
        since, hands = time.monotonic(), []
        # /readyz may be behind a write by some seconds.
        whole = lambda: self.all_write(net.KEYROLL, since) and all(self.nodes.is_ready(name)[0] for name in net.KEYROLL)
        processes.until(READY_SECONDS, lambda: self.accept_forks() and whole(), 0.1)
        for name in net.KEYROLL:
            ready, said = self.nodes.is_ready(name)
            if not ready or not any(begun > since for begun, _ in self.acks[name][-5:]):
                troubles = {writer.trouble for writer in self.writers if writer.machine == name}
                hands.append(f"{name}: {said}, writes {self.acks[name][-1:]}, {troubles}")
        return hands

    def accept_forks(self):
        """Accepts, where standbys may lack what was acknowledged, that it is lost, as the host of a node would."""
        if self.options.asynchronous:
            for name in net.KEYROLL:
                ready, said = self.nodes.is_ready(name)
                if not ready and isinstance(said, dict) and "log_forked" in said:
                    print(f"    {name}: the log forked after record {said['log_forked']}", flush=True)
                    self.nodes.run(name, "log", "accept-fork", "--at", str(said["log_forked"]))
                    self.accepted.append(said["log_forked"])
        return True

    def outcome(self, fault, start, heal, end, kind):
        """How long nobody could write."""
        times = lambda acks, from_heal: report.back(acks, start, heal, end, from_heal)
        from_heal = {name: fault.counted_from_heal and (not fault.away or name in fault.away) for name in net.KEYROLL}
        nodes = {name: times(self.acks[name], from_heal[name]) for name in net.KEYROLL}
        bares = {way: times(self.bare_acks, way) for way in (True, False)}
        behind = {name: nodes[name] - bares[from_heal[name]] for name in net.KEYROLL}
        lates = sorted(late for sampler in self.samplers for late in sampler.lates)
        relative = lambda acks: [[round(a - start, 2), round(b - start, 2)] for a, b in report.gaps(acks, start, end)]
        return {
            "kind": kind, "text": fault.text, "held": round(heal - start, 2),
            "bare": round(bares[fault.counted_from_heal and not fault.away], 2), "keyroll": round(max(nodes.values()), 2),
            "behind": round(max(behind.values()), 2), "gaps": {name: relative(self.acks[name]) for name in net.KEYROLL},
            "bare_gaps": relative(self.bare_acks), "latest_ms": round(1000 * (lates[-1] if lates else 0)),
            "slowest": {one.machine: round(one.slowest, 2) for one in self.samplers},
            "samples": {one.machine: one.statuses for one in self.samplers},
        }

    def finish(self):
        """Stops the writers, looks at everybody on every node, and at the log: what there is to say of the batch."""
        for writer in self.writers:
            writer.stopping = True
        for writer in self.writers:
            writer.join(10)
        found = len(self.people.findings)
        looked = {name: self.checker.look(name, everybody=True) for name in net.KEYROLL}
        log = self.checker.log("k1")
        for one in (*self.samplers, *self.feeds):
            one.stopping = True
        findings = self.people.findings[found:]
        print(f"at the end: {looked} people looked at, {len(self.log)} records followed; {log}", flush=True)
        for finding in findings:
            print(f"    {finding['kind']}: {finding['text']}", flush=True)
        return {"looked_at": looked, "log": log, "records": len(self.log), "starts": self.nodes.starts,
                "findings": self.counted(findings), "texts": [one["text"] for one in findings][:10]}

    def counted(self, findings):
        return {name: sum(one["kind"] == name for one in findings) for name in {one["kind"] for one in findings}}
