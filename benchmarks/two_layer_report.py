"""Tables of the two-layer benchmark."""

from __future__ import annotations

from typing import Any

PHASES = {"first": "first epoch", "whole": "whole run"}
RARE = 0.05
"""Updates per visit, below which a whole run should be three times as fast as the fastest competitor's."""

Line = dict[str, Any]


def against(line: Line, phase: str, sparse: bool) -> tuple[str, dict[str, float]]:
    """The competitor against which the engine fares worst, and the ratio; ``sparse``: CSR ones count too."""
    rows = line["rows"].values()
    rivals = [row for row in rows if "sparse" in row and (sparse or not row["sparse"])]
    near = [row for row in rivals if row[phase]["alternating"]] or rivals
    worst = min(near, key=lambda row: row[phase]["ratio"]["ratio"])
    return worst["label"], worst[phase]["ratio"]


def best_form(line: Line, phase: str) -> float:
    """The time of ``auto`` over the fastest other form's, of those that were timed; 1 if none was."""
    rows = line["rows"]
    others = {name: row[phase]["seconds"] for name, row in rows.items() if "sparse" not in row and phase in row}
    mine = others.pop("auto")
    return mine / min(others.values()) if others else 1.0


def worst(line: Line) -> float:
    """The smallest ratio of a cell."""
    return min(against(line, phase, True)[1]["ratio"] for phase in PHASES)


def markdown(lines: list[Line], every_loop: bool) -> str:
    """Everything measured, as Markdown, the worst cell first."""
    ordered = sorted(lines, key=worst)
    parts = ["# Two-layer engine beside other loops", _conditions(lines), _cells(ordered)]
    for line in ordered if every_loop else ():
        parts += [f"## {line['cell']}", _described(line), _loops(line)]
    return "\n\n".join([*parts, "## Verdict", _verdict(ordered)]) + "\n"


def table(headings: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns also line up as plain text, the first to the left."""
    sizes = [max(3, *(len(row[column]) for row in [headings, *rows])) for column in range(len(headings))]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(sizes[0]), *(c.rjust(size) for c, size in zip(cells[1:], sizes[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * sizes[0], *("-" * (size - 1) + ":" for size in sizes[1:])]
    return "\n".join([line(headings), line(rule), *map(line, rows)])


def _conditions(lines: list[Line]) -> str:
    computer = lines[-1]["machine"]
    versions = ", ".join(f"{name} {computer[name]}" for name in ("numpy", "numba", "torch", "jax") if computer[name])
    loads = [load for line in lines for load in line["load"]]
    text = (
        f"{computer['cpu']}, {computer['cores']} cores, one thread each; Python {computer['python']}, {versions}. "
        f"Load average {min(loads):.2f} to {max(loads):.2f}; {sum(line['seconds'] for line in lines):.0f} s in all."
    )
    quick = any(line["effort"] == "quick" for line in lines)
    return text + (" **`--quick`: a smoke test; none of these numbers means anything.**" if quick else "")


def _interval(ratio: dict[str, float]) -> str:
    return f"{ratio['ratio']:.3g} ({ratio['low']:.3g} to {ratio['high']:.3g})"


def _cells(lines: list[Line]) -> str:
    headings = ["cell"]
    for phase in PHASES.values():
        headings += [phase, "fastest other", "ratio", "with CSR"]
    headings += ["updates", "forms", "records"]
    rows = []
    for line in lines:
        cells = [line["cell"]]
        for phase in PHASES:
            seconds = line["rows"]["auto"][phase]["seconds"]
            length = "" if phase == "first" else f", {line['epochs']} ep."
            label, ratio = against(line, phase, False)
            _, all_ratio = against(line, phase, True)
            cells += [_seconds(seconds) + length, label, _interval(ratio), f"{all_ratio['ratio']:.3g}"]
        forms = "/".join(f"{best_form(line, phase):.2f}" for phase in PHASES)
        rows.append([*cells, f"{line['update_share']:.1%}", forms, f"{line['recording']['ratio'] - 1:+.1%}"])
    return table(headings, rows)


def _seconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _described(line: Line) -> str:
    ran = ", ".join(f"{count} epochs {form}" for form, count in line["forms"].items() if count)
    return (
        f"{line['title']}: m = {line['m']}, d = {line['d']}, {line['nonzero']:.0%} non-zero. Engine's run: "
        f"{line['outcome'].replace('_', ' ')} after {line['epochs']} epochs ({ran}), {line['updates']} updates, "
        f"{line['skipped']:.0%} of the visits skipped; first epoch: {line['first_update_share']:.1%} updates. "
        f"Windows of {line['window_visits']} visits, in the first epoch and from epoch {line['late_epoch']}; "
        "~: timed once. Arrays: turning them into a loop's own and back, which is not in its times."
    )


def _loops(line: Line) -> str:
    headings = ["loop", "first epoch, us a visit", "ratio", "whole run, us a visit", "ratio", "arrays, ms", "updates"]
    visits = {"first": line["m"], "whole": line["m"] * line["epochs"]}
    rows = []
    for row in line["rows"].values():
        cells = [row["label"]]
        for phase, count in visits.items():
            if phase not in row:
                cells += ["–", "–"]
                continue
            mark = "" if row[phase]["alternating"] else "~"
            ratio = row[phase].get("ratio")
            shown = "" if ratio is None else _interval(ratio) if not mark else f"~{ratio['ratio']:.3g}"
            cells += [f"{mark}{1e6 * row[phase]['seconds'] / count:.3g}", shown]
        outside = f"{1e3 * row['outside']:.3g}" if "outside" in row else ""
        rows.append([*cells, outside, _agreement(row["first_difference"])])
    return table(headings, rows)


def _agreement(differences: dict[str, int | None]) -> str:
    found = [f"{phase} window: visit {visit}" for phase, visit in differences.items() if visit is not None]
    return "differ at " + ", ".join(found) if found else "the reference's"


def _verdict(lines: list[Line]) -> str:
    """What falls short, by kind."""
    parts = []
    for sparse, which in ((False, "dense loops"), (True, "all loops, CSR among them")):
        for phase, title in PHASES.items():
            below = [line["cell"] for line in lines if against(line, phase, sparse)[1]["high"] < 1]
            parts.append((f"{title}, {which}: interval below 1", below))
    rare = [line for line in lines if line["update_share"] < RARE]
    slow = [line["cell"] for line in rare if against(line, "whole", False)[1]["ratio"] < 3]
    parts.append((f"whole run below 3 times the fastest dense loop, updates < {RARE:.0%}", slow))
    for phase, title in PHASES.items():
        poor = [line["cell"] for line in lines if best_form(line, phase) > 1.1]
        parts.append((f"{title}: auto more than 10 % over the fastest form", poor))
    dear = [line["cell"] for line in lines if line["recording"]["low"] > 1.05]
    parts.append(("default records cost more than 5 % (interval above)", dear))
    return "\n".join(f"- {what}: {len(cells)} of {len(lines)}{_listed(cells)}" for what, cells in parts)


def _listed(cells: list[str]) -> str:
    return ": " + ", ".join(cells) if cells else ""
