"""Very many grants due at once, under load: how long until all are renewed, and what callers feel meanwhile."""

import shutil
import time

from .. import steady, work
from ..comparing.scenarios import FIXED_RATE
from .answer import Answer
from .grants import filled
from .world import gateway

COUNT, SMALL_COUNT = 100_000, 2_000
# As fast as LinkedIn might let anybody; the default is 4 a second.
RENEWALS_A_SECOND, AT_ONCE = 1_000, 64
# Grants of which less is left than `renewal.ahead_share` asks for (0.1), and yet enough for the wave: all are due when the
# gateway starts, and are renewed ahead of need.
LIFE_SECS, AGE_SECS = 12_000, 10_900


def measured(bench):
    count = SMALL_COUNT if bench.is_small else COUNT
    calm = calls(bench, count, age=0, tune={})
    bench.tell(calm[0])
    tune = {"renewal.max_per_second": RENEWALS_A_SECOND, "renewal.max_concurrent": AT_ONCE}
    under = calls(bench, count, age=AGE_SECS, tune=tune)
    for each in under:
        bench.tell(each)
    worst = max(each["p99 µs"] for each in under)
    seconds = under[-1]["seconds"]
    return Answer("wave", f"A wave of {count:,} renewals under {FIXED_RATE:,} calls a second", "seconds", calm + under, ("p99 µs",), False,
                  [(f"all of {count:,} renewed in {seconds:.0f} s", under[-1]["renewed"] >= count),
                   (f"p99 under the wave: {worst:.0f} µs at most, {calm[0]['p99 µs']:.0f} µs without", True)],
                  f"First row: the same gateway with nothing due. {RENEWALS_A_SECOND:,} renewals a second and {AT_ONCE} at once are allowed; "
                  "renewals, store and callers share the one core that the gateway is pinned to.")


def calls(bench, count, age, tune):
    """Slices of steady load until nothing is due any more: one where nothing was."""
    store = filled(bench, count, LIFE_SECS, age)
    rows, is_calm = [], not tune
    with gateway(bench, store=store, tune=tune, patience=120) as (running, key):
        requests = [work.text(key, f"m{n * 7919 % count:07}") for n in range(min(count, 4096))]
        began, renewed = time.monotonic(), 0
        while not rows or (renewed < count and not is_calm and time.monotonic() - began < bench.wave_patience):
            before = running.process.cpu_seconds()
            told = steady.load(running.port, requests, work.ANSWER_BYTES, rate=FIXED_RATE, seconds=bench.seconds, connections=64)
            spent = sum(running.process.cpu_seconds()) - sum(before)
            renewed = running.metric("linkgate_renewals_total", 'result="renewed"')
            rows.append({"seconds": 0.0 if is_calm else time.monotonic() - began, "renewed": renewed,
                         "CPU µs/request": spent / told["requests"] * 1e6, "p50 µs": told["p50"], "p99 µs": told["p99"],
                         "most µs": told["most"], "MiB resident": running.process.resident_mib()})
    shutil.rmtree(store)
    return rows
