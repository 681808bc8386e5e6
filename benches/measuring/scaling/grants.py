"""From one grant to a million: start, memory, and what a request costs."""

import shutil
import subprocess

from .. import ground
from .answer import Answer, unchanged
from .world import gateway, median_cost, request_cost, row, warm_up

COUNTS = (1, 1_000, 10_000, 100_000, 1_000_000)
SMALL_COUNTS = (1, 1_000, 10_000)
LIFE_SECS = 5_000_000
# Requests that wrk has ready: enough that their members' grants do not all stay in the processor's caches.
DISTINCT = 65_536


def measured(bench):
    rows = []
    for count in SMALL_COUNTS if bench.is_small else COUNTS:
        store = filled(bench, count, LIFE_SECS)
        rows.append(point(bench, count, store, rows[0] if rows else None))
        shutil.rmtree(store)
        bench.tell(rows[-1])
    last = rows[-1]
    verdicts = [unchanged(rows, "CPU µs/request")]
    if last["grants"] == 1_000_000:
        verdicts.append((f"start with 1,000,000 grants: {last['start s']:.2f} s (bar 5, beyond 2)", last["start s"] < 5))
        verdicts.append((f"memory a grant: {last['KiB a grant']:.2f} KiB (bar 3, beyond 2)", last["KiB a grant"] <= 3))
    return Answer("grants", "Grants", "grants", rows, ("CPU µs/request", "start s", "KiB a grant"), True, verdicts,
                  "Access and refresh tokens of 500 characters each. Start: from the process's begin, on both cores, until the callers' "
                  "listener answers. Memory a grant: what is resident after start beyond that with one grant, and before any call. A request's cost: "
                  f"of {DISTINCT:,} prepared requests for random members, after each was sent once, as a grant's first call opens it.")


def point(bench, count, store, first):
    with gateway(bench, store=store, patience=300, cores=ground.BOTH_CORES) as (running, key):
        resident = running.process.resident_mib()
        asked = {"members": count, "name": "m%07d", "distinct": DISTINCT}
        warm_up(bench, running, key, **asked)
        costs = [request_cost(bench, running, key, **asked) for _ in range(bench.repeats)]
    # Below, what an allocator rounds up is more than the grants.
    each = (resident - first["MiB at rest"]) * 1024 / count if first and count >= 10_000 else 0.0
    return row("grants", count, median_cost(costs), **{"MiB at rest": resident, "KiB a grant": each, "start s": running.start_seconds})


def filled(bench, count, life, age=0):
    """A data folder with so many grants, whose access tokens live `life` seconds and came `age` seconds ago. Written in
    memory where there is room, as a million commits take a disk long."""
    folder = bench.fast_folder() / f"grants-{count}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["taskset", "-c", ground.BOTH_CORES, bench.fill, folder, count, life, age]
    subprocess.run([str(word) for word in words], check=True)
    return folder
