"""Processes: they are started on a machine, and stopped with all that they have started, by their ids."""

import os
import pwd
import signal
import subprocess
import time
from pathlib import Path


def lowered(user="postgres"):
    """What goes before a command that is to run as this user."""
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def start(machine, command, log, env=None, cwd="/"):
    """Starts a command on a machine; what it says goes to the end of the file `log`."""
    with open(log, "ab") as out:
        return subprocess.Popen(
            ["ip", "netns", "exec", machine, *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd, start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **(env or {})},
        )


def parents():
    """The parent of each process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass  # it has ended meanwhile
    return found


def family(root):
    """A process and all that descend from it, the eldest first."""
    found, known = [root], parents()
    for pid in found:
        found.extend(child for child, parent in known.items() if parent == pid and child not in found)
    return found


def tell(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill(root):
    """Ends a process and its descendants without a word to them."""
    tell([root], signal.SIGSTOP)  # so that it starts no others
    tell(family(root), signal.SIGKILL)


def pause(root):
    tell(family(root), signal.SIGSTOP)


def resume(root):
    tell(family(root), signal.SIGCONT)


def until(seconds, wanted, pace=0.2):
    """Whether it becomes true within so many seconds."""
    end = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > end:
            return False
        time.sleep(pace)
    return True
