"""What a question of `scale` is answered with: a table, curves of some of its columns, and verdicts on bars."""

import dataclasses


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


def unchanged(rows, figure, allowed=1.10):
    """The last row's figure over the first's; more than `allowed` is a change."""
    ratio = rows[-1][figure] / rows[0][figure]
    return f"{figure}: last / first = {ratio:.2f} (unchanged: ≤ {allowed:g})", ratio <= allowed
