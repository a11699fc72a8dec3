"""Plays faults on a cluster of three etcd, three PostgreSQL and three Keyroll nodes; see `run --help`."""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import report
import self_test
from faults import ALONE, KINDS, SHORT
from stage import Stage


def arguments():
    parser = argparse.ArgumentParser(prog="tests/cluster/run", description="Faults on a cluster, one after the other.")
    parser.add_argument("--faults", type=int, default=25, help="how many there are to be in all (default 25)")
    parser.add_argument("--batch", type=int, default=25, help="how many on one cluster (default 25)")
    parser.add_argument("--short", action="store_true", help="three faults on a cluster with short times")
    parser.add_argument("--kind", choices=[*KINDS, *ALONE], metavar="KIND",
                        help=f"this one only: {', '.join([*KINDS, *ALONE])}")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="without a synchronous standby")
    parser.add_argument("--haproxy", action="store_true", help="one address in the URL, haproxy's")
    parser.add_argument("--results", type=Path, help="where results are kept; a run goes on where the last one ended")
    parser.add_argument("--program", type=Path, required=True, help="the keyroll to run")
    parser.add_argument("--folder", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def order(number):
    """The kind of a fault: every kind once in each round, in an order of its own."""
    kinds = sorted(KINDS)
    random.Random(number // len(kinds)).shuffle(kinds)
    return kinds[number % len(kinds)]


def kinds(options, numbers):
    if options.short and not options.kind:
        return list(SHORT)
    return [options.kind or order(number) for number in numbers]


def tell(one):
    found = "".join(f", {count} {name}" for name, count in one["findings"].items())
    hands = f", a hand: {one['hands']}" if one["hands"] else ""
    print(f"{one['number'] + 1:4} {one['kind']:24} {one['text']:22} held {one['held']:5.1f} s, back after: bare "
          f"{one['bare']:5.1f} s, Keyroll {one['keyroll']:5.1f} s, behind {one['behind']:5.1f} s, last yes "
          f"{one['latest_ms']} ms{found}{hands}", flush=True)
    for text in one["texts"]:
        print(f"       {text}", flush=True)


def note(path, one):
    with open(path, "a") as out:
        out.write(json.dumps(one) + "\n")


def batch(options, results, numbers):
    """Plays some faults on a cluster of its own."""
    folder = options.folder / f"from-{numbers[0]}"
    folder.mkdir()
    stage, begun = Stage(folder, options.program, options, seed=numbers[0]), time.monotonic()
    try:
        stage.start()
        print(f"the cluster runs after {time.monotonic() - begun:.0f} s", flush=True)
        time.sleep(3 if options.short else 10)
        for number, kind in zip(numbers, kinds(options, numbers)):
            one = stage.play(number, kind)
            tell(one)
            note(results, one)
            if one["hands"]:
                break  # the next one would tell of this one
        note(results.with_name("ends.jsonl"), stage.finish())
    finally:
        keep(options, folder)
        stop(stage)


def keep(options, folder):
    """Logs outlive the run where results do."""
    if options.results:
        target = options.results / f"logs-{folder.name}"
        target.mkdir(exist_ok=True)
        for path in folder.glob("*.log"):
            shutil.copy(path, target / path.name)


def stop(stage):
    """Ends what was started; the rest ends with the namespace of its processes."""
    for process in (*stage.nodes.running.values(), *stage.database.running.values()):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    self_test.main()
    folder = options.results or options.folder
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / "faults.jsonl"
    done = len(report.read(results))
    wanted = done + len(SHORT) if options.short else options.faults
    numbers = list(range(done, wanted))[: options.batch]
    if numbers:
        batch(options, results, numbers)
    faults, ends = report.read(results), report.read(results.with_name("ends.jsonl"))
    for line in (*report.by_kind(faults), "", *report.histogram(faults), ""):
        print(line)
    lines, holds = report.verdict(faults, ends, options)
    print("\n".join(lines))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
