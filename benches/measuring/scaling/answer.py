"""What a question of `scale` is answered with: a table, curves of some of its columns, and verdicts on bars."""

import dataclasses
import statistics


@dataclasses.dataclass
class Answer:
    name: str
    title: str
    # Name of the first column, what the others hang on.
    x: str
    # Rows: each a dict of column → number, the first column first.
    rows: list
    # Columns that are drawn.
    drawn: tuple
    # Whether the first column spans magnitudes.
    is_log: bool = False
    # Pairs of a sentence and whether it is so.
    verdicts: list = dataclasses.field(default_factory=list)
    note: str = ""


def unchanged(rows, figure, allowed=1.10, ends=1):
    """The median of the last rows' figure over that of the first; more than `allowed` is a change."""
    first, last = (statistics.median(row[figure] for row in some) for some in (rows[:ends], rows[-ends:]))
    return f"{figure}: last / first = {last / first:.2f} (unchanged: ≤ {allowed:g})", last / first <= allowed
