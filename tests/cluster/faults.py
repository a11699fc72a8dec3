"""Faults: what is done to the cluster, and how it is undone.

A fault is a function that does it and returns how it is undone. What it says of itself stands in its `Fault`.
"""

import dataclasses
import signal
import time

import net
import processes

LONE_SECONDS = 3.0  # for which a leader acknowledges what no standby hears of


@dataclasses.dataclass
class Fault:
    """What was done."""
    heal: object  # undoes it
    text: str  # to whom
    away: tuple = ()  # the Keyroll nodes that cannot work meanwhile
    failover: bool = False  # whether another leader is to be waited for
    counted_from_heal: bool = False  # whether writes can only come back then
    hold: float = 5.0  # seconds at least
    leader: str = ""


def nothing():
    """Nothing has to be undone."""


def kill_postgres(stage):
    leader = stage.database.leader()
    processes.kill(stage.database.postmaster(leader))
    return Fault(nothing, leader, leader=leader)


def kill_leader(stage):
    leader = stage.database.leader()
    stage.kill_machine(leader)
    return Fault(lambda: stage.database.start_patroni(leader), leader, failover=True, leader=leader)


def roots(stage, name):
    return [stage.database.running[name].pid, stage.database.postmaster(name)]


def pause_leader(stage):
    leader = stage.database.leader()
    paused = roots(stage, leader)
    for root in paused:
        processes.pause(root)

    def heal():
        for root in paused:
            processes.resume(root)

    return Fault(heal, leader, failover=True, leader=leader)


def pause_postgres(stage):
    leader = stage.database.leader()
    root = stage.database.postmaster(leader)
    processes.pause(root)
    return Fault(lambda: processes.resume(root), leader, hold=15, leader=leader, counted_from_heal=True)


def leader_from_etcd(stage):
    leader = stage.database.leader()
    net.cut(leader, net.ETCD)
    return Fault(net.join_all, leader, failover=True, leader=leader)


def leader_from_standbys(stage):
    """The leader keeps its lock and has nobody to wait for: writes come back with the standbys."""
    leader = stage.database.leader()
    net.cut(leader, [name for name in net.POSTGRES if name != leader])
    return Fault(net.join_all, leader, hold=20, leader=leader, counted_from_heal=not stage.asynchronous)


def leader_from_everybody(stage):
    leader = stage.database.leader()
    net.cut(leader, net.everybody_but(leader))
    return Fault(net.join_all, leader, failover=True, leader=leader)


def leader_is_mute(stage):
    """It hears everybody, and nobody hears it."""
    leader = stage.database.leader()
    net.drop(leader, net.everybody_but(leader))
    return Fault(net.join_all, leader, failover=True, leader=leader)


def leader_is_deaf(stage):
    """Everybody hears it, and it hears nobody."""
    leader = stage.database.leader()
    for name in net.everybody_but(leader):
        net.drop(name, [leader])
    return Fault(net.join_all, leader, failover=True, leader=leader)


def node_from_leader(stage):
    leader, node = stage.database.leader(), stage.any_node()
    net.cut(node, [leader])
    return Fault(net.join_all, f"{node} from {leader}", away=(node,), hold=15, counted_from_heal=True)


def node_from_all(stage):
    node = stage.any_node()
    net.cut(node, net.everybody_but(node))
    return Fault(net.join_all, node, away=(node,), hold=15, counted_from_heal=True)


def node_is_deaf(stage):
    leader, node = stage.database.leader(), stage.any_node()
    net.drop(leader, [node])
    return Fault(net.join_all, f"{node} to {leader}", away=(node,), hold=15, counted_from_heal=True)


def slow_disk(stage):
    """Each commit of the leader takes half a second longer, and each of one standby a fifth."""
    leader, standby = stage.database.leader(), stage.database.standby()
    shims = [(leader, 0.5), *([(standby, 0.2)] if standby else [])]
    for name, seconds in shims:
        stage.database.shims[name].set(disk_seconds=seconds)

    def heal():
        for name, _ in shims:
            stage.database.shims[name].set()

    return Fault(heal, leader, hold=20, leader=leader, counted_from_heal=True)


def fill(stage, kind):
    leader = stage.database.leader()
    path = stage.database.folder / f"{leader}-{kind}" / "filler"
    with open(path, "wb", buffering=0) as filler:
        block = b"\0" * (1 << 20)
        for size in (len(block), 4096):
            try:
                while True:
                    filler.write(block[:size])
            except OSError:
                pass  # full
    return Fault(lambda: path.unlink(missing_ok=True), f"{kind} of {leader}", leader=leader, hold=20,
                 counted_from_heal=True)


def full_data(stage):
    return fill(stage, "data")


def full_wal(stage):
    """What was reserved for the log is used up at once, so that it shows soon. Patroni has the lock kept for minutes."""
    fault = fill(stage, "wal")
    text = "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'cluster', 'full')"
    stage.later(lambda: all(stage.database.sql(fault.leader, text) for _ in range(40)))
    return fault


def clock_of_database(stage, seconds):
    leader = stage.database.leader()
    stage.database.shims[leader].set(clock_seconds=seconds)
    return Fault(stage.database.shims[leader].set, f"{leader} by {seconds} s", leader=leader, hold=10,
                 counted_from_heal=abs(seconds) >= 60)


def clock_of_node(stage, seconds):
    node = stage.any_node()
    stage.nodes.shims[node].set(clock_seconds=seconds)
    far = abs(seconds) >= 60
    return Fault(stage.nodes.shims[node].set, f"{node} by {seconds} s", away=(node,) if far else (), hold=10,
                 counted_from_heal=far)


def clock_of_database_near(stage):
    return clock_of_database(stage, stage.chance.choice([40, -40]))


def clock_of_database_far(stage):
    return clock_of_database(stage, stage.chance.choice([3600, -3600]))


def clock_of_node_near(stage):
    return clock_of_node(stage, stage.chance.choice([40, -40]))


def clock_of_node_far(stage):
    return clock_of_node(stage, stage.chance.choice([3600, -3600]))


def switchover(stage):
    leader, standby = stage.database.leader(), stage.database.standby()
    body = {"leader": leader, **({"candidate": standby} if standby else {})}
    stage.later(stage.database.switch, leader, body)
    return Fault(nothing, f"{leader} to {standby}", failover=True, leader=leader)


def two_databases(stage):
    """The leader and its standby: the third is not to be promoted, so writes come back with one of both."""
    leader, standby = stage.database.leader(), stage.database.standby()
    lost = [leader, standby or next(name for name in net.POSTGRES if name != leader)]
    for name in lost:
        stage.kill_machine(name)

    def heal():
        for name in lost:
            stage.database.start_patroni(name)

    return Fault(heal, " and ".join(lost), hold=10, leader=leader, counted_from_heal=True)


def two_etcd(stage):
    """No majority: the leader steps down until there is one."""
    lost = stage.chance.sample(net.ETCD, 2)
    for name in lost:
        processes.kill(stage.database.running[name].pid)

    def heal():
        for name in lost:
            stage.database.start_etcd(name)

    return Fault(heal, " and ".join(lost), hold=45, counted_from_heal=True)


def leader_and_etcd(stage):
    """A majority is left of either, so another leader comes by itself."""
    leader, etcd = stage.database.leader(), stage.chance.choice(net.ETCD)
    net.cut(leader, net.everybody_but(leader))
    processes.kill(stage.database.running[etcd].pid)

    def heal():
        stage.database.start_etcd(etcd)
        net.join_all()

    return Fault(heal, f"{leader} and {etcd}", failover=True, leader=leader)


def leader_and_node(stage):
    leader, node = stage.database.leader(), stage.any_node()
    stage.kill_machine(leader)
    stage.nodes.stop(node, signal.SIGKILL)
    stage.nodes.start(node)
    return Fault(lambda: stage.database.start_patroni(leader), f"{leader} and {node}", failover=True, leader=leader)


def node_restarted(stage):
    """Killed or stopped under load, and started at once."""
    node, number = stage.any_node(), stage.chance.choice([signal.SIGKILL, signal.SIGTERM])
    stage.nodes.stop(node, number)
    stage.nodes.start(node)
    return Fault(nothing, f"{node} by {signal.Signals(number).name}", away=(node,), counted_from_heal=True)


def lone_leader_dies(stage):
    """Its standbys hear nothing of it for a while, and one takes over without what it acknowledged in that time."""
    leader = stage.database.leader()
    net.cut(leader, [name for name in net.POSTGRES if name != leader])
    time.sleep(LONE_SECONDS)
    stage.kill_machine(leader)

    def heal():
        net.join_all()
        stage.database.start_patroni(leader)

    return Fault(heal, leader, failover=True, leader=leader)


def no_fault(_stage):
    """A minute of work: how soon an end is known everywhere where nothing fails."""
    return Fault(nothing, "", hold=60)


KINDS = {one.__name__.replace("_", "-"): one for one in (
    kill_leader, leader_from_everybody, node_from_all, kill_postgres, pause_leader, pause_postgres, leader_from_etcd,
    leader_from_standbys, leader_is_mute, leader_is_deaf, node_from_leader, node_is_deaf, slow_disk, full_data,
    full_wal, clock_of_database_near, clock_of_database_far, clock_of_node_near, clock_of_node_far, switchover,
    two_databases, two_etcd, leader_and_etcd, leader_and_node, node_restarted,
)}
ALONE = {"no-fault": no_fault, "lone-leader-dies": lone_leader_dies}  # played if they are named
SHORT = ("kill-leader", "leader-from-everybody", "node-from-all")
