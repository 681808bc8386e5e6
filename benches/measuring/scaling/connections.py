"""From one caller's connection to ten thousand, all busy."""

from .. import ground
from .answer import Answer
from .world import gateway, median_cost, request_cost, row

COUNTS = (1, 10, 100, 1_000, 5_000, 10_000)
SMALL_COUNTS = (1, 100, 1_000)


def measured(bench):
    ground.allow_open_files(60_000)
    rows = []
    tune = {"gateway.max_connections": 12_000, "gateway.max_in_flight": 12_000}
    with gateway(bench, tune=tune) as (running, key):
        for count in SMALL_COUNTS if bench.is_small else COUNTS:
            costs = [request_cost(bench, running, key, connections=count) for _ in range(bench.repeats)]
            rows.append(row("connections", count, median_cost(costs)))
            bench.tell(rows[-1])
    return Answer("connections", "Callers' connections, all busy", "connections", rows, ("CPU µs/request", "MiB resident"), True,
                  note="`gateway.max_connections` and `max_in_flight` are raised for it. A single connection waits for its answer each "
                       "time, so that each request wakes everybody: that is why it costs most.")
