"""From no failing call to nothing but, each of them captured."""

from ..comparing.failing import until_quiet
from .answer import Answer
from .world import CAPTURE_ALL, gateway, median_cost, request_cost, row

SHARES = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)


def measured(bench):
    rows = []
    for share in SHARES:
        with gateway(bench, tune=CAPTURE_ALL) as (running, key):
            settle = lambda: until_quiet(running.process)
            costs = [request_cost(bench, running, key, refused_share=share, settle=settle) for _ in range(bench.repeats)]
            kept, dropped = (running.metric(f"linkgate_incidents_{name}total") for name in ("", "dropped_"))
        rows.append(row("% failing", share * 100, median_cost(costs), captured=kept, dropped=dropped))
        bench.tell(rows[-1])
    all_kept = all(each["dropped"] == 0 for each in rows)
    ratio = rows[0]["CPU µs/request"] / rows[-1]["CPU µs/request"]
    return Answer("failing", "Share of failing calls, all captured", "% failing", rows, ("CPU µs/request",), False,
                  [("no record was dropped", all_kept), (f"good / failing = {ratio:.2f} (bar 0.5, beyond 0.7)", ratio >= 0.5)],
                  "403 from LinkedIn, `incidents.max_per_minute` raised so that all of them are kept. What the writer does after the "
                  "load has ended is counted, too.")
