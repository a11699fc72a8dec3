"""What the faults showed: gaps between acknowledged writes, a histogram, a verdict."""

import json

OUTAGE_SECONDS = 1.0
STEPS = (0.0, 1, 2, 5, 10, 15, 20, 25, 30, 35, 45, 60, 90)
P95_SECONDS, BEHIND_SECONDS = 35.0, 2.0
BEHIND_SECONDS_SHORT = 10.0  # of three faults, on a machine that has other things to do


def gaps(acks, start, end):
    """Where, between two moments, no write was acknowledged for more than a second."""
    inside = sorted(ack for _, ack in list(acks) if start <= ack <= end)
    edges = [start, *inside, end]
    return [(a, b) for a, b in zip(edges, edges[1:]) if b - a > OUTAGE_SECONDS]


def back(acks, start, heal, end, from_heal):
    """Seconds until the writes were back for good: of the outages that began before the fault was undone from its
    begin (or its end), and of those that began later from its end. The larger of both."""
    longest = 0.0
    for begin, until in gaps(acks, start, end):
        base = start if begin < heal and not from_heal else heal
        longest = max(longest, until - base)
    return longest


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def histogram(faults):
    """Lines with the number of faults by the time until writes were back."""
    lines = ["seconds until writes are back      bare client                Keyroll"]
    for low, high in zip(STEPS, (*STEPS[1:], 1e9)):
        counts = [sum(1 for one in faults if low <= one[who] < high or (low == 0 and one[who] <= 0))
                  for who in ("bare", "keyroll")]
        if any(counts):
            name = f"{low:g} to {high:g}" if high < 1e9 else f"over {low:g}"
            bars = [f"{count:3} {'#' * min(count, 22)}".ljust(27) for count in counts]
            lines.append(f"{name:>29}  {bars[0]}{bars[1]}".rstrip())
    return lines


def by_kind(faults):
    lines = [f"{'kind':24} {'n':>3} {'bare':>7} {'Keyroll':>8} {'behind':>7}   (medians, the largest behind)"]
    for kind in sorted({one["kind"] for one in faults}):
        these = [one for one in faults if one["kind"] == kind]
        bare, keyroll = (percentile([one[who] for one in these], 0.5) for who in ("bare", "keyroll"))
        behind = max(one["behind"] for one in these)
        lines.append(f"{kind:24} {len(these):3} {bare:7.1f} {keyroll:8.1f} {behind:7.1f}")
    return lines


def verdict(faults, ends, options):
    """The lines of the verdict, and whether all bounds hold."""
    count = lambda kind: sum(one["findings"].get(kind, 0) for one in [*faults, *ends])
    hands = sum(len(one["hands"]) for one in faults)
    back, behind = percentile([one["keyroll"] for one in faults], 0.95), percentile([one["behind"] for one in faults], 0.95)
    wrong = {
        "acknowledged changes lost": count("lost") + count("denied"), "stale": count("stale"), "forks": count("fork"),
        "odd answers": count("odd answer"), "hands": hands,
    }
    lines = [f"{len(faults)} faults, {sum(one['changes'] for one in faults)} acknowledged changes"]
    lines += [f"{number:6} {name}" for name, number in wrong.items()]
    lines.append(f"{back:6.1f} s until writes are back, p95 (at most {P95_SECONDS:g})")
    behind_max = BEHIND_SECONDS_SHORT if options.short else BEHIND_SECONDS
    lines.append(f"{behind:6.1f} s behind the bare client, p95 (at most {behind_max:g}); "
                 f"{max((one['behind'] for one in faults), default=0):.1f} s at most")
    lates = [one["latest_ms"] for one in faults]
    lines.append(f"{max(lates, default=0):6} ms after an end was acknowledged the last question that was answered yes")
    holds = not any(wrong.values()) and back <= P95_SECONDS and behind <= behind_max
    if options.asynchronous:
        forks = sum(len(one.get("forked_after", [])) for one in faults)
        lines.append(f"asynchronous: what was lost is measured, and no bound; {forks} forks of the log were found and accepted")
        holds = hands == 0
    return lines, holds


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
