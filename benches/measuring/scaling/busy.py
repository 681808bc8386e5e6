"""From one busy caller to four thousand: each has a call under way all the time."""

from .answer import Answer
from .world import gateway, median_cost, request_cost, row

# A call under way holds two sockets; more of them would ask for more open files than systems allow by default.
COUNTS = (1, 16, 64, 256, 1_000, 4_000)
SMALL_COUNTS = (1, 64, 1_000)


def measured(bench):
    rows = []
    with gateway(bench) as (running, key):
        for count in SMALL_COUNTS if bench.is_small else COUNTS:
            costs = [request_cost(bench, running, key, connections=count) for _ in range(bench.repeats)]
            rows.append(row("busy callers", count, median_cost(costs)))
            bench.tell(rows[-1])
    return Answer("busy", "Busy callers", "busy callers", rows, ("CPU µs/request", "MiB resident"), True,
                  note="A single caller waits for its answer each time, so that every call wakes everybody: that is why it costs most.")
