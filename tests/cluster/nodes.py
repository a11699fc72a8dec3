"""The Keyroll nodes: they share a database and two key files, and listen on their own machine alone."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time

import link
import net
import processes
from database import Shim

PORT = 8080
ACCESS = """
[[apis]]
name = "demo"
description = "What the cluster test asks for"
owner_team = "tests"
permissions = [{ name = "things:read", description = "See things" }]

[[roles]]
name = "demo.reader"
permissions = ["demo:things:read"]

[[mappings]]
role = "demo.reader"
source.group.displayName = "Readers"
"""


class Nodes:
    """The nodes; their processes by the names of their machines."""

    def __init__(self, folder, program, url, shim_library, insists):
        self.folder, self.program, self.url = folder, program, url
        self.insists, self.running, self.starts, self.stopped = insists, {}, {}, set()
        self.shims = {name: Shim(shim_library, folder / f"{name}.shim") for name in net.KEYROLL}
        for name in net.KEYROLL:
            (folder / name).mkdir()

    def command(self, name, *words):
        data = ["--data-dir", str(self.folder / name / "data"), "--database-url", self.url]
        return [str(self.program), *words, *data]

    def run(self, name, *words, given=None, seconds=120):
        """What a command on the host prints."""
        command = ["ip", "netns", "exec", name, *self.command(name, *words)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds,
                              cwd=self.folder / name, env={"PATH": os.environ["PATH"]})
        if done.returncode != 0:
            raise RuntimeError(f"keyroll {' '.join(words)}: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout

    def start_all(self):
        first, *others = net.KEYROLL
        self.keys = json.loads(self.run(first, "init", "--json"))
        for name in others:
            (self.folder / name / "data").mkdir(mode=0o700)
            for key in ("root.key", "signing.key"):
                shutil.copy(self.folder / first / "data" / key, self.folder / name / "data" / key)
        (self.folder / first / "access.toml").write_text(ACCESS)
        self.run(first, "apply", "-f", "access.toml")
        for name in net.KEYROLL:
            self.start(name)
        threading.Thread(target=self.supervise, daemon=True).start()

    def supervise(self):
        """As a supervisor does: a node that ends by itself is started again."""
        while True:
            time.sleep(0.5)
            for name, node in list(self.running.items()):
                if name not in self.stopped and node.poll() is not None:
                    print(f"    {name} ended with {node.returncode} and is started again", flush=True)
                    self.start(name)

    def start(self, name):
        words = ["serve", "--listen", f"127.0.0.1:{PORT}", "--rate-limit", "off", "--log-level", "info,keyroll::http=warn"]
        if self.insists:
            words.append("--require-synchronous-standby")
        log = self.folder / f"{name}.log"
        self.starts[name] = self.starts.get(name, 0) + 1
        self.stopped.discard(name)
        self.running[name] = processes.start(
            name, self.command(name, *words), log, self.shims[name].env, self.folder / name)

    def stop(self, name, number=signal.SIGTERM):
        """Ends a node and waits for its end."""
        node = self.running[name]
        self.stopped.add(name)
        node.send_signal(number)
        try:
            node.wait(40)
        except subprocess.TimeoutExpired:
            node.kill()
            return False
        return True

    def link(self, provisioning=False, seconds=5):
        """To the node of the thread's own machine."""
        key = self.keys["provisioning_key" if provisioning else "admin_key"]
        media = "application/scim+json" if provisioning else "application/json"
        return link.Link(("127.0.0.1", PORT), key, seconds, media)

    def is_ready(self, name):
        """Whether it says so; and what it says."""
        def work():
            try:
                return self.link(seconds=10).ask("GET", "/readyz")
            except link.Broken as error:
                return 0, str(error)

        status, said = net.inside(name, work)
        return status == 200, said
