"""The tool that finds verdicts that cannot fail: tools/doctored."""

from __future__ import annotations

import re
import types
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
from tools.doctored.page import PAGE, REASONS, never, page, reason
from tools.doctored.places import Place, apart, places
from tools.doctored.tables import doctored_tables
from tools.doctored.trials import answers
from tools.doctored.wrong import kinds, wrong

from learnability.theory import margins


def test_a_row_turns_or_is_found_out():
    X, y = np.array([[1.0, 0.2], [-0.5, 1.0], [2.0, -0.3]]), np.array([1.0, -1.0, 1.0])

    def verdicts():
        found = margins.hard_margin(X, y)
        with np.errstate(invalid="ignore"):
            least = float(np.min(y * (X @ found.w)) / np.linalg.norm(found.w))
        return {
            "margin": "holds" if abs(found.margin - least) < 1e-6 else "violated",
            "positive": "holds" if found.margin**2 >= 0 else "violated",
            "false": "violated",
        }

    rooms = [place for place in places(["theory.margins"]) if place.name.endswith(".hard_margin")]
    assert apart(rooms, margins) == (rooms, [])
    assert apart(rooms, np) == ([], rooms)
    before = margins.hard_margin
    first, *found = answers(verdicts, rooms)
    assert margins.hard_margin is before
    assert first["base"] == verdicts()
    assert first["count"] == len(found) > 3
    assert len([*answers(verdicts, rooms, only="doubled")]) < len(found)
    turned = {id for one in found for id in one.get("turned", ())}
    assert turned == {"margin"}  # what cannot fail never turns, and what is violated is not tried
    result = {"rows": verdicts(), "turned": {id: ["", False] for id in turned}}
    assert never(result) == ["positive"]
    assert "| `positive` |  |" in page({"x/y": result}, {}, scale="smoke")


def test_an_option_that_is_left_out():
    def verdicts():
        return {"step": "holds" if scaled.scaled(3.0, times=2.0) == 6.0 else "violated"}

    scaled = types.SimpleNamespace(scaled=lambda x, times=1.0: x * times)
    place = Place("scaled", scaled.scaled, ((scaled, "scaled"),))
    (_, found) = answers(verdicts, [place], only="left out")
    assert found["told"] == "scaled(times left out)"
    assert found["turned"] == ["step"]


def test_the_page_gives_a_reason_for_each_row_that_never_turns():
    rows = dict(re.findall(r"^\| `(.+)` \| (.*) \|$", PAGE.read_text().partition("## What turns")[0], re.MULTILINE))
    never_turned = {id: told for id, told in rows.items() if "/" in id and not told[:1].isdigit()}
    assert never_turned
    assert all(told == reason(id) for id, told in never_turned.items())
    assert all(any(id.startswith(start) for id in never_turned) for start in REASONS)


class Weights(NamedTuple):
    W: np.ndarray
    count: int
    names: tuple[str, ...]


def test_wrong_values():
    value = Weights(np.array([[1.0, 2.0], [3.0, 4.0]]), 7, ("a",))
    assert kinds(value) == {"number", "rows", "count"}
    off = wrong(value, "off by 1 %")
    assert 0 < np.abs(off.W / value.W - 1).max() <= 0.01
    assert np.ptp(off.W / value.W) > 0  # a network that is scaled decides as before
    assert (off.count, off.names) == (7, ("a",))
    assert wrong(value, "one more").count == 8
    np.testing.assert_array_equal(wrong(value, "permuted").W, [[3, 4], [1, 2]])
    labels = np.array([1.0, 1.0, -1.0])
    assert kinds(labels) == {"labels", "rows"}
    np.testing.assert_array_equal(wrong(labels, "flipped"), -labels)
    np.testing.assert_array_equal(wrong(value.W, "flipped"), -value.W)
    assert kinds(np.array([1, 1])) == {"count", "rows"}
    np.testing.assert_array_equal(wrong(value.W, "shifted"), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(wrong(value.W, "averaged"), value.W / 2)
    assert kinds((1, 1, -1)) == {"labels", "rows"}
    assert wrong((1, 1, -1), "permuted") == (1, -1, 1)
    assert kinds((1, 1)) == {"count"}
    assert wrong(Fraction(1, 3), "halved") == Fraction(1, 6)
    assert wrong((2.0, 3), "tenfold") == (20.0, 30)
    assert wrong((2.0, 3), "halved") == (1.0, 1)
    assert wrong((True, 0.0, None), "off by 1 %") == (True, 0.01, None)
    assert [*wrong((x for x in (1.0, 2.0)), "doubled")] == [2.0, 4.0]


def test_tables_are_doctored_in_what_was_measured_alone():
    table = pd.DataFrame({"n": [1, 2], "seed": [0, 0], "error": [0.25, 0.5], "right": [True, False]})
    table["end"] = ["converged", "diverged"]
    found = dict(doctored_tables(table, ["n"]))
    assert found["error halved"]["error"].tolist() == [0.125, 0.25]
    assert found["error taken from 1 where n is 2"]["error"].tolist() == [0.25, 0.5]
    assert found["right taken from 1"]["right"].tolist() == [False, True]
    assert found["end negated"]["end"].tolist() == ["not converged", "not diverged"]
    assert all(other[["n", "seed"]].equals(table[["n", "seed"]]) for other in found.values())
