"""The bars that the project set itself, and whether a scenario's rounds reach them.

A bar is reached by the median of its rounds. Ratios are the peer's / Linkgate's: above 1, Linkgate is cheaper.
"""

import dataclasses
import statistics

from .. import figures
from .rounds import added, ratios


@dataclasses.dataclass(frozen=True)
class Bar:
    what: str
    # The best of these counts.
    scenarios: tuple
    # rounds → a figure for each round
    figure: object
    bar: float
    beyond: float
    # Whether less is better.
    is_limit: bool = False


@dataclasses.dataclass(frozen=True)
class Verdict:
    bar: Bar
    values: list

    @property
    def reached(self):
        median = statistics.median(self.values)
        return median <= self.bar.bar if self.bar.is_limit else median >= self.bar.bar

    def row(self):
        sign = "≤" if self.bar.is_limit else "≥"
        word = "reached" if self.reached else "**missed**"
        return f"| {self.bar.what} | {sign} {self.bar.bar:g} | {self.bar.beyond:g} | {figures.spread(self.values)} | {word} |"


def cpu(peer):
    return lambda rounds: ratios(rounds, "cpu", "linkgate", peer)


def added_p99(rounds):
    """What Linkgate adds to the origin's own p99, over what nginx adds; only rounds in which nginx adds anything."""
    both = zip(added(rounds, "p99", "linkgate"), added(rounds, "p99", "nginx"))
    return [ours / theirs for ours, theirs in both if theirs > 0]


def idle_memory(rounds):
    return [r["linkgate"]["idle"] for r in rounds]


def failing(rounds):
    return [r["linkgate"]["cpu"] / r["failing"]["cpu"] for r in rounds]


H1_BAR = Bar("h1 plain, 64 connections, CPU of nginx / ours", ("h1",), cpu("nginx"), 1.0, 1.2)
BARS = (
    H1_BAR,
    Bar("TLS to the origin (the better of h1 and h2), CPU of nginx by h1 / ours", ("tls-h1", "tls-h2"), cpu("nginx"), 1.1, 1.25),
    Bar("h2 from callers, CPU of HAProxy / ours", ("h2",), cpu("haproxy"), 0.9, 1.05),
    Bar("POSTs of 10 KiB, CPU of nginx / ours", ("post10k",), cpu("nginx"), 1.0, 1.2),
    Bar("1 MiB answers, CPU a MiB of HAProxy / ours", ("stream1m",), cpu("haproxy"), 1.5, 2.0),
    Bar("MiB resident with 1,000 idle callers", ("idle",), idle_memory, 40, 20, is_limit=True),
    Bar("failing and captured: CPU of a good call / a failing one", ("failing",), failing, 0.5, 0.7),
    Bar("added p99 at 5,000/s: ours / nginx's", ("fixed",), added_p99, 1.0, 0.8, is_limit=True),
    *(Bar(f"{name}, CPU of {peer.capitalize()} / ours", (name,), cpu(peer), 1.8, 2.5)
      for peer in ("envoy", "pingora") for name in ("h1", "h1-16", "h1-1", "tls-h1", "tls-h2", "h2", "post10k", "stream1m")),
)


def verdicts(found, bars=BARS):
    """For every bar that the scenarios in `found` (name → rounds) say something of."""
    judged = []
    for bar in bars:
        values = [value for name in bar.scenarios if name in found if (value := judge(bar, found[name]))]
        if values:
            pick = min if bar.is_limit else max
            judged.append(Verdict(bar, pick(values, key=statistics.median)))
    return judged


def judge(bar, rounds):
    """The figures, or none where a proxy that is needed took no part."""
    try:
        return bar.figure(rounds)
    except KeyError:
        return None


def table(judged):
    lines = ["| bar | to reach | beyond | median [least–most] | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(verdict.row() for verdict in judged)])
