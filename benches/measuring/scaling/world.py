"""One gateway for one point of a curve, and what a request costs it."""

import contextlib

from .. import ground, linkgate, wrk
from ..comparing.rounds import cost

# All alike, and yet all kept.
CAPTURE_ALL = {"incidents.max_per_minute": 1_000_000}


@contextlib.contextmanager
def gateway(bench, *, store=None, tune=None, **starting):
    """Runs one in front of the bench's origin, with the 1,000 members or with what lies in the folder `store`; gives it and a
    key."""
    members, key = bench.members
    tune = dict(tune or {})
    if store:
        tune |= {"store.url": f"sqlite:{store / 'linkgate.db'}", "store.key_file": store / "linkgate.key"}
    running = linkgate.start(bench.place, bench.binary, bench.origin, tune=tune, data=None if store else members,
                             **({"patience": 20} | starting))
    try:
        yield running, running.new_key() if store else key
    finally:
        bench.place.end(running.process)


def warm_up(bench, running, key, *, connections=64, distinct, **script):
    """Has every request of a load sent once before it is measured."""
    file = wrk.write_script(bench.place.folder / "load.lua", key, distinct=distinct, **script)
    wrk.go_through(file, running.port, connections, distinct)


def request_cost(bench, running, key, *, seconds=None, connections=64, settle=lambda: None, **script):
    """CPU, rate and latencies of one load by wrk; `script` says what is asked."""
    file = wrk.write_script(bench.place.folder / "load.lua", key, **script)

    def load(time_):
        told = wrk.load(file, running.port, connections, time_)
        if told["refused"] and not script.get("refused_share"):
            ground.fail(f"{told['refused']} requests were refused")
        return told

    return cost(running.process, load, seconds or bench.seconds, settle=settle)


def row(x, value, found, **more):
    """A row of the table: what is common to all questions, and `more`."""
    return {x: value, "CPU µs/request": found["cpu"], "user": found["user"], "requests/s": found["rate"], "p50 µs": found["p50"],
            "p99 µs": found["p99"], "MiB resident": found["rss"], **more}


def median_cost(costs):
    """Of several measurements of one point that with the median CPU."""
    return sorted(costs, key=lambda each: each["cpu"])[len(costs) // 2]
