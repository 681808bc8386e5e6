"""From five headers in the caller's request to a hundred."""

from .answer import Answer
from .world import gateway, median_cost, request_cost, row

# wrk adds Host; Linkgate-Member and the request's own five make seven.
OWN = 7
COUNTS = (OWN, 10, 20, 50, 100)


def measured(bench):
    rows = []
    with gateway(bench) as (running, key):
        for count in COUNTS:
            more = {f"X-Header-{n:03}": f"value of header {n:03}" for n in range(count - OWN)}
            costs = [request_cost(bench, running, key, headers=more) for _ in range(bench.repeats)]
            rows.append(row("headers", count, median_cost(costs)))
            bench.tell(rows[-1])
    each = (rows[-1]["CPU µs/request"] - rows[0]["CPU µs/request"]) / (COUNTS[-1] - OWN)
    return Answer("headers", "Headers of a request", "headers", rows, ("CPU µs/request",), False,
                  note=f"{each * 1000:.0f} ns for each header more, of 33 bytes; wrk and the origin read them, too, on the other core.")
