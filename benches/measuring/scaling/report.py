"""What came out: `results/scale/NAME.json` for each question, and `results/scale.md` and `scale.svg` of all that lie there."""

import json

from .. import chart, ground, machine

RESULTS = ground.BENCHES / "results"
KEPT = RESULTS / "scale"
ORDER = ("grants", "connections", "busy", "failing", "headers", "uptime", "wave")


def keep(answer):
    KEPT.mkdir(parents=True, exist_ok=True)
    told = {"date": machine.today(), "commit": machine.commit(), "machine": machine.described(), **vars(answer)}
    (KEPT / f"{answer.name}.json").write_text(json.dumps(told, indent=1) + "\n")


def write():
    kept = [json.loads(file.read_text()) for name in ORDER if (file := KEPT / f"{name}.json").exists()]
    parts = ["# Linkgate with more of everything",
             "The gateway on one core, origin and load on the other; shared machine: compare within a table. Figures are those of the "
             "measurement with the median CPU.", "![Cost of a request against what there is more of](scale.svg)"]
    for told in kept:
        parts += [f"## {told['title']}", f"{told['date']}, commit {told['commit']}, {told['machine']}.", table(told), verdicts(told), told["note"]]
    (RESULTS / "scale.md").write_text("\n\n".join(part for part in parts if part).rstrip() + "\n")
    drawn = [chart.Curve(told["title"], [(row[told["x"]], row[column]) for row in told["rows"]], told["x"], column, told["is_log"])
             for told in kept for column in told["drawn"]]
    commits = ", ".join(sorted({f"{told['date']}, {told['commit']}" for told in kept}))
    (RESULTS / "scale.svg").write_text(chart.curves("Linkgate with more of everything", drawn, commits))


def table(told):
    columns = list(told["rows"][0])
    lines = [columns, ["---"] * len(columns), *([number(row[column]) for column in columns] for row in told["rows"])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value):
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def verdicts(told):
    return "\n".join(f"- {sentence}: {'so' if is_so else '**not so**'}" for sentence, is_so in told["verdicts"])
