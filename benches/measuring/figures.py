"""Sums over rounds."""

import statistics


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def spread(values, places=2):
    """`median [least–most]`."""
    values = list(values)
    if not values:
        return "–"
    return f"{statistics.median(values):.{places}f} [{min(values):.{places}f}–{max(values):.{places}f}]"
