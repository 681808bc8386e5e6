"""From a few callers' connections to ten thousand, of which 64 are busy."""

from .. import ground
from ..comparing.callers import idle_caller
from .answer import Answer, unchanged
from .world import gateway, median_cost, request_cost, row

BUSY = 64
COUNTS = (BUSY, 1_000, 3_000, 10_000)
SMALL_COUNTS = (BUSY, 500)


def measured(bench):
    ground.allow_open_files(60_000)
    rows, crowd = [], []
    # Nobody is to be sent away while the others are measured.
    tune = {"gateway.max_connections": 11_000, "gateway.keep_alive_idle_ms": 3_600_000}
    with gateway(bench, tune=tune) as (running, key):
        for count in SMALL_COUNTS if bench.is_small else COUNTS:
            crowd += [idle_caller(running.port, key, n) for n in range(len(crowd), count - BUSY)]
            costs = [request_cost(bench, running, key, connections=BUSY) for _ in range(bench.repeats)]
            rows.append(row("connections", count, median_cost(costs)))
            bench.tell(rows[-1])
        for each in crowd:
            each.close()
    each = (rows[-1]["MiB resident"] - rows[0]["MiB resident"]) * 1024 / (rows[-1]["connections"] - BUSY)
    return Answer("connections", f"Connections, {BUSY} of them busy", "connections", rows, ("CPU µs/request", "MiB resident"), True,
                  [unchanged(rows, "CPU µs/request")],
                  f"The others have had one answer each and are silent; {each:.1f} KiB each. Only `gateway.max_connections` and "
                  "`keep_alive_idle_ms` are raised.")
