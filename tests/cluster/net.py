"""Machines: network namespaces on one bridge, and what of their traffic is dropped.

A packet is dropped by a wrong hardware address of its target at the sender: nobody takes it, and nobody is told.
All of it is inside namespaces of the run itself (see `run`), so that it ends with the run.
"""

import ctypes
import os
import subprocess
import threading

ADDRESSES = {
    "e1": "10.77.0.11", "e2": "10.77.0.12", "e3": "10.77.0.13",  # etcd
    "p1": "10.77.0.21", "p2": "10.77.0.22", "p3": "10.77.0.23",  # PostgreSQL and Patroni
    "k1": "10.77.0.31", "k2": "10.77.0.32", "k3": "10.77.0.33",  # Keyroll and its clients
    "h1": "10.77.0.41",  # haproxy
    "c1": "10.77.0.51",  # the bare client
}
ETCD, POSTGRES, KEYROLL = ("e1", "e2", "e3"), ("p1", "p2", "p3"), ("k1", "k2", "k3")
NOBODY = "02:00:00:00:00:ff"
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def ip(*words, batch=None):
    """Runs ip(8); with a batch, its lines."""
    done = subprocess.run(["ip", *words], input=batch, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def make():
    """Makes all machines."""
    ip("link", "set", "lo", "up")
    ip("link", "add", "br0", "type", "bridge")
    ip("link", "set", "br0", "up")
    for name, address in ADDRESSES.items():
        ip("netns", "add", name)
        ip("link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"v-{name}", "master", "br0", "up")
        lines = f"link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n"
        ip("-n", name, "-batch", "-", batch=lines)


def drop(sender, targets):
    """From now on nothing that `sender` sends arrives at the targets."""
    line = "neigh replace {} lladdr " + NOBODY + " dev eth0 nud permanent\n"
    ip("-n", sender, "-batch", "-", batch="".join(line.format(ADDRESSES[target]) for target in targets))


def cut(name, others):
    """Between `name` and the others nothing passes, either way."""
    drop(name, others)
    for other in others:
        drop(other, [name])


def everybody_but(name):
    return [other for other in ADDRESSES if other != name]


def join_all():
    """Everything passes again."""
    for name in ADDRESSES:
        ip("-n", name, "neigh", "flush", "nud", "permanent", "dev", "eth0")


def enter(name):
    """The sockets that this thread makes from now on are this machine's."""
    file = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if _libc.setns(file, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {name}")
    finally:
        os.close(file)


def inside(name, work):
    """What `work` returns when it is done by a thread on this machine."""
    result = []

    def run():
        try:
            enter(name)
            result.append((work(), None))
        except Exception as error:  # it is the caller's
            result.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value
