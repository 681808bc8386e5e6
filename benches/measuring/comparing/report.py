"""What came out, as Markdown and as a plot: each scenario's rounds are kept in `results/compare/NAME.json`, with date, commit
and machine, and `results/compare.md` and `compare.svg` are made of all that lie there, so that one scenario can be
measured again alone."""

import json
import statistics

from .. import chart, figures, ground, machine, peers
from . import bars
from .rounds import added, ratios
from .scenarios import SCENARIOS

RESULTS = ground.BENCHES / "results"
KEPT = RESULTS / "compare"


def keep(scenario, rounds, seconds):
    KEPT.mkdir(parents=True, exist_ok=True)
    versions = [(name, peers.version(name)) for name in rounds[0] if name in ("nginx", "haproxy", "envoy", "pingora")]
    told = {"date": machine.today(), "commit": machine.commit(), "machine": machine.described(versions),
            "seconds": seconds, "rounds": rounds}
    (KEPT / f"{scenario.name}.json").write_text(json.dumps(told, indent=1) + "\n")


def write():
    """Both files anew, of all that is kept."""
    kept = {name: json.loads(file.read_text()) for name in SCENARIOS if (file := KEPT / f"{name}.json").exists()}
    rounds = {name: told["rounds"] for name, told in kept.items()}
    judged = bars.verdicts(rounds)
    parts = ["# Linkgate and other proxies, doing the same work",
             "Shared machine: only ratios of paired rounds mean anything. Figures are the median of the rounds [least–most]; "
             "the bars are those that the project set itself.",
             "![CPU of other proxies, as multiples of Linkgate's](compare.svg)", bars.table(judged)]
    for name, told in kept.items():
        where = f"{told['date']}, commit {told['commit']}, {told['machine']}; {len(told['rounds'])} rounds of {told['seconds']} s."
        parts += [f"## {name}: {SCENARIOS[name].title}", where, table(SCENARIOS[name], told["rounds"])]
    parts.append((ground.BENCHES / "compare-notes.md").read_text())
    (RESULTS / "compare.md").write_text("\n\n".join(parts).rstrip() + "\n")
    (RESULTS / "compare.svg").write_text(plot(rounds, kept))


def table(scenario, rounds):
    return {"callers": memory_table, "failing": failing_table, "steady": fixed_table}.get(scenario.load, cost_table)(scenario, rounds)


def column(rounds, name, figure, places=0):
    return figures.spread((r[name][figure] for r in rounds), places)


def rows(heads, lines):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *lines))


def cost_table(scenario, rounds):
    heads = ["", f"CPU µs/{scenario.unit}", "user", "system", f"{scenario.unit}s/s", "p50 µs", "p99 µs", "MiB resident", "CPU / Linkgate's"]
    lines = []
    for name in rounds[0]:
        costs = [column(rounds, name, figure, 1) for figure in ("cpu", "user", "system")]
        seen = [column(rounds, name, figure) for figure in ("rate", "p50", "p99", "rss")]
        ratio = "" if name == "linkgate" else f"**{figures.spread(ratios(rounds, 'cpu', 'linkgate', name))}**"
        lines.append([name, *costs, *seen, ratio])
    return rows(heads, lines)


def fixed_table(_, rounds):
    heads = ["", "CPU µs/request", "p50 µs", "p99 µs", "added p50 µs", "added p99 µs", "CPU / Linkgate's"]
    lines = []
    for name in rounds[0]:
        seen = [column(rounds, name, figure) for figure in ("p50", "p99")]
        if name == "direct":
            lines.append(["origin alone", "", *seen, "", "", ""])
            continue
        more = [figures.spread(added(rounds, figure, name), 0) for figure in ("p50", "p99")]
        ratio = "" if name == "linkgate" else f"**{figures.spread(ratios(rounds, 'cpu', 'linkgate', name))}**"
        lines.append([name, column(rounds, name, "cpu", 1), *seen, *more, ratio])
    return rows(heads, lines)


def memory_table(_, rounds):
    heads = ["", "MiB at rest", "with 1,000 idle callers", "with 1,000 busy callers"]
    return rows(heads, [[name, *(column(rounds, name, figure, 1) for figure in ("rest", "idle", "busy"))] for name in rounds[0]])


def failing_table(_, rounds):
    heads = ["", "CPU µs/request", "user", "system", "requests/s", "of them in the support log"]
    kept = {"linkgate": "", "failing": figures.spread((100 * r["failing"]["captured"] for r in rounds), 1) + " %"}
    titles = {"linkgate": "good calls", "failing": "failing calls, captured"}
    return rows(heads, [[titles[name], *(column(rounds, name, f, 1) for f in ("cpu", "user", "system")),
                         column(rounds, name, "rate"), kept[name]] for name in rounds[0]])


def plot(rounds, kept):
    """One row for each scenario and peer: how many times Linkgate's CPU the peer needs, and where the bar is."""
    groups = [(name, each) for name, found in rounds.items() if (each := dots(name, found))]
    told = sorted({f"{each['date']}, {each['commit']}" for each in kept.values()})
    return chart.dots("CPU of the same work, as a multiple of Linkgate's", groups, "; ".join(told))


def dots(name, found):
    """Those of one scenario. A good call stands for the peer where failing ones are compared with it."""
    all_ = []
    for peer in found[0]:
        if peer == "linkgate" or "cpu" not in found[0][peer]:
            continue
        ours, theirs, label = ("failing", "linkgate", "a good call") if peer == "failing" else ("linkgate", peer, peer)
        values = ratios(found, "cpu", ours, theirs)
        all_.append(chart.Dot(label, statistics.median(values), min(values), max(values), bar_of(name, found, values)))
    return all_


def bar_of(name, found, values):
    """The bar that is about these values, if there is one."""
    return next((bar.bar for bar in bars.BARS if name in bar.scenarios and bars.judge(bar, found) == values), None)
