"""One sweep over several experiments: what is missing is executed, and figures and claims follow.

Nothing here prints: progress goes to a callback, and what a caller must know comes as a warning.

- :mod:`~learnability.runner.plan`: what is asked for, how much of it there is already, and what it would take;
- :mod:`~learnability.runner.loop`: the sweep itself;
- :mod:`~learnability.runner.result`: what comes out of it;
- :mod:`~learnability.runner.claims`: whose the claims are;
- :mod:`~learnability.runner.keep`: figure, table, verdicts and manifest in the output folder.
"""

from learnability.runner.attempts import FailureWarning, attempt
from learnability.runner.claims import as_guarantees, different, own_id, without_study
from learnability.runner.keep import command, occasion
from learnability.runner.loop import IN_PROCESS_SECONDS, iterate, lightened
from learnability.runner.plan import Estimate, Planned, Wishes, estimate
from learnability.runner.result import Progress, Result, Unfinished

__all__ = [
    "IN_PROCESS_SECONDS",
    "Estimate",
    "FailureWarning",
    "Planned",
    "Progress",
    "Result",
    "Unfinished",
    "Wishes",
    "as_guarantees",
    "attempt",
    "command",
    "different",
    "estimate",
    "iterate",
    "lightened",
    "occasion",
    "own_id",
    "without_study",
]
