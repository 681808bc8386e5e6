"""Interleaved, paired rounds: in each, every proxy is measured once, and the order turns round from one to the next."""

from .. import work


def interleaved(names, count, measure, tell):
    rounds = []
    for n in range(count):
        order = names if n % 2 == 0 else tuple(reversed(names))
        done = {name: measure(name) for name in order}
        rounds.append({name: done[name] for name in names})
        tell(n, rounds[-1])
    return rounds


def cost(process, put_load, seconds, per_mib=False, settle=lambda: None):
    """CPU for each request (or MiB) of a load, and what the load saw; `settle` waits for work that was put off."""
    put_load(1)  # fills the pools
    settle()
    before = process.cpu_seconds()
    told = put_load(seconds)
    settle()
    user, system = (after - b for after, b in zip(process.cpu_seconds(), before))
    count = told["bytes"] / work.STREAM_BYTES if per_mib else told["requests"]
    return {"cpu": (user + system) / count * 1e6, "user": user / count * 1e6, "system": system / count * 1e6,
            "rss": process.resident_mib(), **latencies(told, count)}


def latencies(told, count=None):
    return {"rate": (count or told["requests"]) / told["micros"] * 1e6, "p50": told["p50"], "p99": told["p99"],
            "count": count or told["requests"], "refused": told["refused"]}


def ratios(rounds, figure, ours, theirs):
    """Theirs / ours in each round: above 1 is cheaper than they are."""
    return [r[theirs][figure] / r[ours][figure] for r in rounds if r[ours][figure] > 0]


def added(rounds, figure, name):
    """What a proxy adds to the origin's own latency, in each round."""
    return [r[name][figure] - r["direct"][figure] for r in rounds]


def told(n, found):
    """One line for whoever waits."""
    parts = []
    for name, each in found.items():
        if "cpu" in each:
            parts.append(f"{name} {each['cpu']:.1f} µs")
        elif "rest" in each:
            parts.append(f"{name} {each['rest']:.0f}/{each['idle']:.0f}/{each['busy']:.0f} MiB")
        else:
            parts.append(f"{name} p99 {each['p99']} µs")
    return f"round {n + 1}: " + ", ".join(parts)
