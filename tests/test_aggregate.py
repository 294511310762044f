"""Many cases of one statement as one guarantee."""

import pytest

from learnability.theory import Guarantee, Hypothesis, Kind, Verdict
from learnability.theory.aggregate import tightest


def guarantee(measured, bound=1.0, identity="symmetry/x[case]", **changes):
    return Guarantee(identity, "test", Kind.UPPER_BOUND, bound, measured, **changes)


def test_tightest_lets_the_case_nearest_to_failing_speak():
    loose, tight = guarantee(0.1, identity="symmetry/x[a]"), guarantee(1.8, bound=2.0, identity="symmetry/x[b]")
    chosen = tightest("symmetry/all", [loose, tight, loose])
    assert (chosen.id, chosen.measured, chosen.bound) == ("symmetry/all", 1.8, 2.0)
    assert "3 cases, least relative slack at b" in chosen.note
    outside = guarantee(0.1, hypotheses=(Hypothesis("no", False),))
    unmeasured = guarantee(None)
    violated = guarantee(1.1)
    assert tightest("x", [tight, outside]).verdict is Verdict.OUTSIDE
    assert tightest("x", [tight, outside, unmeasured]).verdict is Verdict.NOT_MEASURED
    assert tightest("x", [tight, outside, unmeasured, violated]).verdict is Verdict.VIOLATED
    with pytest.raises(ValueError, match="at least one"):
        tightest("x", [])


def test_a_number_without_a_verdict_says_why_and_promises_nothing():
    shown = Guarantee("symmetry/x", "test", Kind.NUMBER, None, 0.3, note="vacuous at every size that can be run")
    assert (shown.verdict, shown.slack, shown.to_json()["direction"]) == (Verdict.NUMBER, None, "")
    assert repr(shown) == "Guarantee('symmetry/x': number, measured 0.3; vacuous at every size that can be run)"
    for wrong in ({"bound": 1.0}, {"note": " "}, {"hypotheses": (Hypothesis("no", True),)}):
        with pytest.raises(ValueError, match="must have a note that says why, no bound and no hypotheses"):
            Guarantee(**{"id": "x", "source": "", "kind": Kind.NUMBER, "bound": None, "note": "so", **wrong})
