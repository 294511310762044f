"""What Brutzkus et al. promise for anyone's data, next to what SGD does on them: from arrays, without files.

:func:`prepare` checks and scales, :func:`certify` does the rest. Files, figures on disk and the command line are
above: :func:`learnability.certify`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learnability import shown
from learnability.certification.findings import Inputs, find, prepare
from learnability.certification.options import SCALES, Options, chosen_widths
from learnability.certification.result import Certificate, Certification, certificate
from learnability.certification.runs import SgdRun, sgd_runs
from learnability.certification.statements import promises

__all__ = [
    "SCALES",
    "Certificate",
    "Certification",
    "Inputs",
    "Options",
    "SgdRun",
    "certify",
    "chosen_widths",
    "prepare",
]


def certify(
    inputs: Inputs, options: Options, *, advance: Callable[[str, int, int], None] | None = None
) -> Certification:
    """Margin or certificate, runs of SGD, and every bound beside them.

    Parameters
    ----------
    inputs : Inputs
        From :func:`prepare` with the same options.
    options : Options
    advance : callable, optional
        Called with what is being done, how many parts are done and how many there are.
    """
    runs_planned = len(options.widths) * options.repeats
    done, total = 0, 1 + runs_planned

    def tell(part: str, detail: str = "") -> None:
        nonlocal done
        done += not detail
        if advance is not None:
            advance(f"{part}: {detail}" if detail else part, done - 1, max(total, done))

    found = find(inputs, options, tell)
    total = done + runs_planned  # now that it is known how much there was to find
    runs, notes = sgd_runs(found, options, tell)
    if advance is not None:
        advance("", total, total)
    data = inputs.data
    positive = int(np.count_nonzero(data.y > 0))
    one_class: tuple[str, ...] = ()
    if len(np.unique(found.y)) == 1:
        one_class = ("the training sample holds one class only: what is said of it is not about telling two apart",)
    return Certification(
        source=data.origin,
        classes=data.classes,
        examples=len(data.y),
        features=data.X.shape[1],
        counts=(len(data.y) - positive, positive),
        notes=tuple(shown.line(note, 2000) for note in (*data.notes, *notes, *one_class)),
        scaling=inputs.how,
        constants=inputs.constants,
        options=options,
        found=found,
        certificate=certificate(found, inputs),
        guarantees=promises(inputs, found, runs, options),
        runs=runs,
    )
