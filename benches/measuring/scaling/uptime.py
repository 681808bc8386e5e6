"""The same load for many minutes: cost and memory at the end as at the beginning."""

from .answer import Answer, unchanged
from .world import CAPTURE_ALL, gateway, request_cost, row

SLICES = 10
# A share of failing calls, so that the support log grows as it does in real life.
REFUSED_SHARE = 0.01


def measured(bench):
    slice_seconds = max(2, round(bench.minutes * 60 / SLICES))
    rows = []
    with gateway(bench, tune=CAPTURE_ALL) as (running, key):
        for n in range(SLICES):
            found = request_cost(bench, running, key, seconds=slice_seconds, refused_share=REFUSED_SHARE)
            rows.append(row("minute", round((n + 1) * slice_seconds / 60, 2), found))
            bench.tell(rows[-1])
    grown = rows[-1]["MiB resident"] - rows[1]["MiB resident"]
    return Answer("uptime", "Minutes under the same load", "minute", rows, ("CPU µs/request", "MiB resident"), False,
                  [unchanged(rows, "CPU µs/request", ends=3),
                   (f"resident memory grew by {grown:.1f} MiB after the first slices (flat: ≤ 4)", grown <= 4)],
                  "64 connections as fast as they go, one call in a hundred failing and captured.")
