"""What never turned, why it stays, and the page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Found = Mapping[str, Any]
"""What came of one statement: its ``rows``, and what ``turned`` each."""

PAGE = Path(__file__).parents[2] / "docs" / "verdicts" / "doctored.md"
REASONS: Mapping[str, str] = {
    "separable/thm2-width": (
        "no function knows the width alone, so a wrong one is wrong at every width alike; updates that grow with it "
        "turn the row in tests/test_separable_checks.py"
    ),
    "symmetry/sample-compression-needs-small-steps": (
        "runs at 500,000 times Lemma 4's step must fail, and no wrong value makes them succeed; the same runs at "
        "Lemma 4's step do not fail (`symmetry/sample-compression`)"
    ),
    "parity/theorem2-parseval": "sums that the check makes with NumPy: nothing of the package is measured",
    "parity/lemma12-sparsity-q": (
        "neurons within twice the least norm: a wrong norm cancels, and what is wrong at every q alike leaves the "
        "exponent; separators that need more neurons turn the row in tests/test_parity_checks.py"
    ),
    "residual/thm3[random layers": (
        "D <= C(d, k) / 1000 leaves three features, which do not know x_i either: the error is eight times what is "
        "claimed, and a factor of two is no matter; `thm3-average` turns by less"
    ),
    "residual/thm3-count[made to succeed": (
        "counts sets whose error is 0, half of which is 0; the exact count beside it, `[attained]`, turns"
    ),
    "residual/prop-b4[left behind]": "a statement about arrays of NumPy: nothing of the package is measured",
    "residual/claim-c7[training]": (
        "fails only where what V adds to the output outweighs twice the risk, and no wrong value that was tried "
        "makes V's part that large while the risk stays small"
    ),
    "residual/kernels[V part,given the bottleneck": (
        "with the bottleneck of another start the spread does not shrink, exponent 0 for -1/2, which the few draws "
        "of this scale leave undecided"
    ),
    "residual/alpha/below-every-kernel[alpha=0.8]": (
        "the risk is 5,000 times below the bound; with the samples counted tenfold it is above it, which three seeds "
        "do not decide"
    ),
    "residual/alpha/samples": (
        "times that grow by another alpha^-4 turn it, as the promised alpha^-8 would, and no single wrong column "
        "makes such times"
    ),
}
"""Why a row that never turns stays, by the start of its id."""


def never(found: Found) -> list[str]:
    """Rows of a check that held and that nothing turned."""
    return [id for id, verdict in found["rows"].items() if verdict == "holds" and id not in found["turned"]]


def reason(id: str) -> str:
    """Why such a row stays."""
    return next((text for start, text in REASONS.items() if id.startswith(start)), "")


def page(statements: Mapping[str, Found], figures: Mapping[str, Found], *, scale: str) -> str:
    """The page of the documentation: a summary, what never turns and why, and what turns each of the others."""
    both = {**statements, **figures}
    open_ = [id for one in both.values() for id in never(one)]
    lines = [
        "# Could it have failed?",
        "",
        f"Made by `python -m tools.doctored --scale {scale} --out FILE --page`, which runs every check with",
        "something wrong underneath, one function at a time: what it returns is off by 1 %, one more, permuted, with",
        "the other sign, halved, doubled, a row late, a mean for a sum, a tenth or tenfold; or an argument of",
        "it is doubled or left out. A row that holds must be violated by some of it, otherwise no measurement could",
        "have refuted it. *By a formula only* counts rows that only a wrong formula of the study's own turns: they",
        "compare formulas, which are off by 1 %, by one or by a factor of two, never negated. FILE may have been",
        f"collected in several runs, some with `--only`. What the scale `{scale}` leaves undecided is not tried.",
        "Figures are tried on tables in which a measured column is wrong (`--tables FOLDER`); those whose table was",
        "not at hand are not listed.",
        "",
        f"Rows: {sum(len(one['rows']) for one in both.values())}; they hold and turn:"
        f" {sum(len(one['turned']) for one in both.values())}; they hold and never turn: {len(open_) or 'none'}.",
        "",
        *_summary(statements, "statement"),
    ]
    if figures:
        lines += ["", *_summary(figures, "figure")]
    if open_:
        lines += ["", "## What never turns, and why it stays", "", "| row | why it stays |", "|---|---|"]
        lines += [f"| {_row(id)} | {reason(id)} |" for id in open_]
    lines += ["", "## What turns each of the others, for one", "", "| row | turned by |", "|---|---|"]
    lines += [f"| {_row(id)} | {_code(told)} |" for one in both.values() for id, (told, _) in one["turned"].items()]
    return "\n".join(lines) + "\n"


def _summary(found: Mapping[str, Found], what: str) -> list[str]:
    """Counts for every statement or figure."""
    lines = [
        f"| {what} | rows | hold | turn | of these by a formula only | without a verdict or not told | never turn |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in found.items():
        verdicts = list(one["rows"].values())
        numbers = [
            len(verdicts),
            verdicts.count("holds"),
            len(one["turned"]),
            sum(by for _, by in one["turned"].values()),
            len(verdicts) - verdicts.count("holds") - verdicts.count("violated"),
            len(never(one)),
        ]
        lines.append(f"| `{name.removeprefix('figure ')}` | {' | '.join(str(number or '') for number in numbers)} |")
    return lines


def _row(id: str) -> str:
    """An id as code in a table."""
    return f"`{id}`".replace("|", r"\|")


def _code(told: str) -> str:
    """What was wrong, the name in front set as code."""
    return re.sub(r"^[\w.]+", r"`\g<0>`", told)
