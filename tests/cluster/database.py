"""The database: three etcd, three PostgreSQL under Patroni, and haproxy before them."""

import http.client
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import net
import processes

DATA_BYTES, WAL_BYTES = "700m", "500m"


def bin_dir():
    """The newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent


def ask(machine, method, path, body=None, seconds=3):
    """An answer of Patroni's API: its status and its text; 0 if there is none."""
    def work():
        link = http.client.HTTPConnection(net.ADDRESSES[machine], 8008, timeout=seconds)
        try:
            link.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            link.close()

    return net.inside(machine, work)


class Shim:
    """What the shim does to the processes of one machine."""

    def __init__(self, library, path):
        self.env = {"LD_PRELOAD": str(library), "CLUSTER_SHIM": str(path)}
        self.file = open(path, "wb", buffering=0)
        self.set()

    def set(self, disk_seconds=0.0, clock_seconds=0.0):
        os.pwrite(self.file.fileno(), struct.pack("qq", int(disk_seconds * 1e6), int(clock_seconds * 1e6)), 0)


class Database:
    """The cluster; its processes by the names of their machines."""

    def __init__(self, folder, shim_library, asynchronous, times):
        self.folder, self.asynchronous, self.times = folder, asynchronous, times
        self.running = {}
        self.owned(folder)
        self.shims = {name: Shim(shim_library, folder / f"{name}.shim") for name in net.POSTGRES}

    def owned(self, *folders):
        for path in folders:
            path.mkdir(exist_ok=True)
            shutil.chown(path, "postgres", "postgres")
            path.chmod(0o700 if path != self.folder else 0o755)

    def start(self):
        for name in net.ETCD:
            self.start_etcd(name)
        for name in net.POSTGRES:
            for kind, size in (("data", DATA_BYTES), ("wal", WAL_BYTES)):
                disk = self.folder / f"{name}-{kind}"
                disk.mkdir()
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
                self.owned(disk, disk / "pg")
            self.settings(name)
        for name in net.POSTGRES:
            self.start_patroni(name)

    def start_etcd(self, name):
        own, peers = net.ADDRESSES[name], ",".join(f"{one}=http://{net.ADDRESSES[one]}:2380" for one in net.ETCD)
        known = (self.folder / f"{name}-etcd").exists()
        self.owned(self.folder / f"{name}-etcd")
        command = [
            "etcd", "--name", name, "--data-dir", str(self.folder / f"{name}-etcd"), "--logger=zap",
            "--listen-client-urls", f"http://{own}:2379", "--advertise-client-urls", f"http://{own}:2379",
            "--listen-peer-urls", f"http://{own}:2380", "--initial-advertise-peer-urls", f"http://{own}:2380",
            "--initial-cluster", peers, "--initial-cluster-state", "existing" if known else "new",
            "--enable-v2", "--heartbeat-interval", "200", "--election-timeout", "2000", "--log-level", "error",
        ]
        self.running[name] = processes.start(name, processes.lowered() + command, self.folder / f"{name}.log")

    def settings(self, name):
        own, disk = net.ADDRESSES[name], self.folder
        wal = {"waldir": str(disk / f"{name}-wal" / "pg")}
        synchronous = not self.asynchronous
        everybody = "10.77.0.0/24 trust"
        # Not "etcd3": there a Patroni 3.0 that stood still takes the lock from whoever has it now, without asking.
        said = {
            "scope": "keyroll", "name": name,
            "restapi": {"listen": f"{own}:8008", "connect_address": f"{own}:8008"},
            "etcd": {"hosts": [f"{net.ADDRESSES[one]}:2379" for one in net.ETCD]},
            "bootstrap": {
                "dcs": {
                    **self.times, "maximum_lag_on_failover": 1 << 20,
                    "synchronous_mode": synchronous, "synchronous_mode_strict": synchronous,
                    "postgresql": {"use_pg_rewind": True, "parameters": {
                        "max_connections": 200, "shared_buffers": "32MB", "max_wal_size": "128MB",
                        "min_wal_size": "64MB", "wal_keep_size": "96MB", "wal_log_hints": True,
                        "checkpoint_timeout": "60s", "log_min_duration_statement": "5s", "log_checkpoints": False,
                    }},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums", wal],
            },
            "postgresql": {
                "listen": f"{own}:5432", "connect_address": f"{own}:5432", "bin_dir": str(bin_dir()),
                "data_dir": str(disk / f"{name}-data" / "pg"), "pgpass": str(disk / f"{name}-data" / "pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
                "parameters": {"unix_socket_directories": str(disk / f"{name}-data")},
                "pg_hba": ["local all all trust", f"host all all {everybody}", f"host replication all {everybody}"],
                "basebackup": [{"checkpoint": "fast"}, wal],
            },
        }
        (self.folder / f"{name}.json").write_text(json.dumps(said))

    def start_patroni(self, name):
        command = ["patroni", str(self.folder / f"{name}.json")]
        log = self.folder / f"{name}.log"
        self.running[name] = processes.start(name, processes.lowered() + command, log, self.shims[name].env)

    def start_haproxy(self):
        path = self.folder / "haproxy.cfg"
        lines = [
            "global", "  maxconn 1000", "defaults", "  mode tcp", "  timeout connect 2s", "  timeout client 30m",
            "  timeout server 30m", "listen primary", "  bind :5432", "  option httpchk OPTIONS /primary",
            "  http-check expect status 200",
            "  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions",
        ]
        lines += [f"  server {name} {net.ADDRESSES[name]}:5432 check port 8008" for name in net.POSTGRES]
        path.write_text("\n".join(lines) + "\n")
        self.running["h1"] = processes.start("h1", ["haproxy", "-f", str(path)], self.folder / "h1.log")

    def postmaster(self, name):
        """The process of PostgreSQL, or None."""
        try:
            return int((self.folder / f"{name}-data" / "pg" / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def members(self):
        """What Patroni knows of its members, by the first that answers: name, role, state, timeline."""
        for name in net.POSTGRES:
            status, text = ask(name, "GET", "/cluster")
            if status == 200:
                return {one["name"]: one for one in json.loads(text)["members"]}
        return {}

    def leader(self):
        return next((name for name, one in self.members().items() if one["role"] == "leader"), None)

    def standby(self):
        """The one that is to take over."""
        return next((name for name, one in self.members().items() if one["role"] == "sync_standby"), None)

    def is_whole(self):
        """Whether all members run on one timeline behind one leader, a synchronous standby among them."""
        members = self.members()
        roles = sorted(one["role"] for one in members.values())
        wanted = ["leader", "replica", "replica" if self.asynchronous else "sync_standby"]
        alike = len({one.get("timeline") for one in members.values()}) == 1
        running = all(one["state"] in ("running", "streaming") for one in members.values())
        return roles == wanted and alike and running and all(self.follows(name) for name in members)

    def follows(self, name):
        """Whether PostgreSQL itself agrees, as the leader or as a standby that streams."""
        status, text = ask(name, "GET", "/patroni")
        if status not in (200, 503):
            return False
        said = json.loads(text)
        return said.get("state") == "running" and (said.get("role") == "master" or self.receives(name))

    def receives(self, name):
        return self.sql(name, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "1"

    def switch(self, leader, body):
        """A planned switchover; what Patroni answers to it is told if it is no success."""
        status, text = ask(leader, "POST", "/switchover", body, seconds=60)
        if status != 200:
            print(f"    switchover: {status} {text}", flush=True)

    def sql(self, name, text, database="postgres"):
        """What one statement answers on a machine, over its socket; None if it fails."""
        command = [str(bin_dir() / "psql"), "-h", str(self.folder / f"{name}-data"), "-U", "postgres", "-d", database]
        try:
            done = subprocess.run(processes.lowered() + command + ["-XAtqc", text], capture_output=True, text=True,
                                  timeout=10, cwd="/", env={"PATH": "/usr/bin:/bin", "PGCONNECT_TIMEOUT": "3"})
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def url(self, with_proxy):
        hosts = net.ADDRESSES["h1"] if with_proxy else ",".join(net.ADDRESSES[name] for name in net.POSTGRES)
        return f"postgres://keyroll@{hosts}/keyroll?sslmode=disable"

    def prepare(self):
        """Makes role and databases."""
        leader = self.leader()
        for text in ("CREATE ROLE keyroll LOGIN SUPERUSER", "CREATE DATABASE keyroll OWNER keyroll",
                     "CREATE DATABASE bare OWNER keyroll"):
            if self.sql(leader, text) is None:
                raise RuntimeError(f"{leader}: {text}")
        if self.sql(leader, "CREATE TABLE pulse (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz)", "bare") is None:
            raise RuntimeError("no table for the bare client")
