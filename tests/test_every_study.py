"""What is true of every study, figure and statement that is discovered: a new one is tested without a line here."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import learnability
from learnability import discovery, plotting, study
from learnability.results import tidy
from learnability.theory import Verdict

FOUND = discovery.installed()
EXPERIMENTS, STATEMENTS = FOUND.experiments, FOUND.statements
SECONDS_A_TASK = (1e-2, 1800)
"""What a task may be said to take at any scale."""
MOST_TASKS = 5000


def plain(value):
    return type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


@pytest.mark.parametrize("name", FOUND.studies)
def test_a_study_says_which_paper_it_is(name):
    found = FOUND.studies[name]
    assert found.name == name
    assert found.paper
    assert re.search(r"\b(19|20)\d\d\b", found.citation)
    assert any(id.startswith(f"{name}/") for id in EXPERIMENTS)
    assert any(id.startswith(f"{name}/") for id in STATEMENTS)


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_an_experiment_is_well_described(id):
    experiment = EXPERIMENTS[id]
    assert experiment.id == id
    assert re.fullmatch(r"[a-z]+/[a-z0-9-]+", id)
    assert 0 < len(experiment.title) <= 110
    assert experiment.source.startswith(FOUND.studies[id.partition("/")[0]].paper)
    assert experiment.revision >= 1


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_scales_are_plausible(id):
    scales = EXPERIMENTS[id].scales
    assert tuple(scales) == study.SCALES
    once = all(scale.seeds == 1 for scale in scales.values())  # nothing in it is random
    for name, scale in scales.items():
        assert scale.settings
        keys = [json.dumps(dict(s), sort_keys=True) for s in scale.settings]
        assert len(set(keys)) == len(keys)
        assert all(plain(value) for s in scale.settings for value in s.values())
        assert len({frozenset(s) for s in scale.settings}) == 1, "all settings have the same names"
        assert not any("seed" in s for s in scale.settings)
        assert scale.tasks < MOST_TASKS
        assert SECONDS_A_TASK[0] <= scale.seconds / scale.tasks <= SECONDS_A_TASK[1], (name, scale.seconds)
        assert once or name == "smoke" or scale.seeds >= 3, "fewer than three seeds measure nothing"
    assert scales["smoke"].seconds <= 60
    assert scales["laptop"].seconds <= 3600
    assert scales["paper"].seeds >= scales["laptop"].seeds
    assert len(scales["paper"].settings) >= len(scales["laptop"].settings)


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_a_smoke_run_gives_rows_a_figure_and_claims_that_can_turn(id):
    experiment = EXPERIMENTS[id]
    scale = experiment.scales["smoke"]
    seeds = 1 if scale.seeds == 1 else 3
    result = learnability.run(id, scale="smoke", seeds=seeds)
    assert result.failures == []
    assert result.tasks == {"run": len(scale.settings) * seeds, "cached": 0, "failed": 0, "missing": 0}
    table = result.table
    assert table.groupby([*scale.settings[0], "seed"], dropna=False).ngroups == len(scale.settings) * seeds
    # rows are a function of setting and seed
    setting = scale.settings[-1]
    with threadpool_limits(limits=1):  # as in a sweep: sums on two threads are other sums
        again = tidy([{**setting, "seed": 0, **row} for row in experiment.run(setting, 0)])
    before = table[np.logical_and.reduce([table[k] == v for k, v in {**setting, "seed": 0}.items()])]
    assert before.reset_index(drop=True)[list(again)].astype(object).equals(again.astype(object))

    assert isinstance(result.figure, Figure)
    assert isinstance(experiment.figure(table), plotting.Plot | Figure)
    shown = [ax for ax in result.figure.axes if ax.get_visible() and ax.axison]
    assert shown
    assert all(ax.get_xlabel() or ax.get_ylabel() or ax.get_title() for ax in shown)

    claims = experiment.claims(table)
    check_guarantees(id, claims)
    assert claims
    assert turns(experiment, claims, doctor(table, scale.settings[0])), "no claim of it could have failed"


def turns(experiment, claims, doctored):
    """Whether a claim says otherwise of other results; what is outside its hypotheses (stand-in data) counts too."""
    seen = defaultdict(set)
    while True:
        for guarantee in claims:
            seen[guarantee.id].add(replace(guarantee, hypotheses=()).verdict)
        if any({Verdict.HOLDS, Verdict.VIOLATED} <= verdicts for verdicts in seen.values()):
            return True
        claims = []
        try:
            claims = experiment.claims(next(doctored))
        except StopIteration:
            return False
        except (ValueError, ArithmeticError, LookupError, TypeError, RuntimeWarning):
            pass  # numbers that no run can give


def doctor(table, setting):
    """The same runs with other results: one measured column at a time, and all of them, at several values."""
    measured = [name for name in table if name not in (*setting, "seed") and table[name].dtype.kind in "fib"]
    steps = {"epoch", "step", "updates"}  # where along a run a row stands
    for value in (0.0, 0.3, 1.0, 50.0):
        for column in measured:
            yield table.assign(**{column: np.full(len(table), value).astype(table[column].dtype)})
        yield table.assign(**{c: np.full(len(table), value) for c in measured if c not in steps})
    order = table["seed"].rank(method="first").to_numpy()
    for column in measured:
        if table[column].dtype.kind == "f":
            spread = table[column].to_numpy()
            yield table.assign(**{column: spread[::-1]})
            yield table.assign(**{column: spread + 10 * order})
            yield table.assign(**{column: spread - 10 * order})


def check_guarantees(id, guarantees):
    name = id.partition("/")[0]
    assert len({g.id for g in guarantees}) == len(guarantees)
    for guarantee in guarantees:
        assert guarantee.id.startswith(f"{name}/")
        assert guarantee.source
        assert json.loads(json.dumps(guarantee.to_json(), allow_nan=False)) == guarantee.to_json()


@pytest.mark.parametrize("id", STATEMENTS)
def test_a_statement_is_not_violated_at_smoke(id):
    check = STATEMENTS[id]
    assert id == f"{id.partition('/')[0]}/{check.name}"
    paper = FOUND.studies[id.partition("/")[0]].paper
    assert paper in check.source or "this project" in check.source
    found = check.run("smoke")
    assert found
    check_guarantees(id, found)
    assert all(g.verdict is not Verdict.VIOLATED for g in found)
