"""Free values of the figures: at their defaults the settings are as ever, and what depends on one follows it."""

from __future__ import annotations

import contextlib
import re

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import learnability
from learnability import datasets, discovery, records, sweep
from learnability.study import SCALES, Scale
from learnability.theory import Kind, Verdict

EXPERIMENTS = {id: e for id, e in discovery.installed().experiments.items() if e.home.packaged}
FREE = [(id, name) for id, e in EXPERIMENTS.items() for name in e.scales["smoke"].free]

SETTINGS = {
    "parity/fig1": ("d49b690732c75ccf", "76689802f1724768", "76689802f1724768"),
    "parity/first-step": ("1041cb77d3f6f504", "b3da09a1a81ce3e4", "3712c099071f8134"),
    "parity/mixture": ("3e87e09336100d7b", "ff981e3f0a461e8a", "ff981e3f0a461e8a"),
    "parity/separation": ("76538b444e5f07fb", "b185f74e0ef86a0a", "03b487a47ba60e79"),
    "parity/theorem3": ("be530a17c3b83341", "bf4b55115065ed30", "3f250b29084708fb"),
    "residual/alpha": ("80bdd491b4354afc", "d55eb0b7d1cad702", "6f3d7690c2645b2b"),
    "residual/fig1": ("58d6b29ebb01d522", "ede576e81e1e3246", "acb74bf7dc33c6a8"),
    "residual/fig2a": ("69fc37c475e9e1e0", "063136c3624ab1c3", "6831fdd06649d5db"),
    "residual/fig2b": ("766b035c443c5337", "a84694eb53b162f7", "153e3cd593e1d422"),
    "residual/fig3a": ("6f078fb3afc40efd", "8bc6fe52feb9503f", "526a80634eaf9ef1"),
    "residual/fig3b": ("38d2a8767cfd3bcf", "2fe6e27e0ae21a7e", "8e772d8413e37fe8"),
    "residual/fig4b": ("0e1995d62dc71de8", "e04cf4dc14e1c2a1", "a2562256fc6d36a1"),
    "separable/fig1": ("feb528884bc170ed", "794a8cb3e92d66e0", "794a8cb3e92d66e0"),
    "separable/fig2": ("eee26ff0a22e33c8", "2563276f8c3d36d1", "2563276f8c3d36d1"),
    "separable/fig3": ("88b163ee99a1af31", "d9968d77bf11279f", "d9968d77bf11279f"),
    "separable/steps": ("c85424be974150f9", "d8d8351f1d1a1e94", "c4fc537dd192e30f"),
    "separable/thm2": ("70d5f322c0a11911", "f6571f525dd64f93", "f6571f525dd64f93"),
    "separable/thm4": ("d8708ef52d2fe84e", "7369737b004e3b5e", "fccf89e7aa160f54"),
    "separable/thm9": ("6316b9a30e59fd1f", "f026c521a4a13618", "ba9d541434e4ba52"),
    "symmetry/fig1": ("517500a8d4de1035", "517500a8d4de1035", "517500a8d4de1035"),
    "symmetry/fig2": ("fa46e46f13afde0c", "4ee432f5cb8ba0ce", "4ee432f5cb8ba0ce"),
    "symmetry/fig3": ("77f869b86ffea0da", "681293f0bda4aa6f", "681293f0bda4aa6f"),
    "symmetry/fig4": ("65a88b132c8b3342", "494d9eed7f3415bd", "494d9eed7f3415bd"),
    "symmetry/fig5": ("cf464708949d7070", "c3c63b6718ffe908", "c3c63b6718ffe908"),
    "symmetry/fig6": ("010030bd3a072233", "20fcc621d71d534b", "20fcc621d71d534b"),
    "symmetry/fig7": ("1b2ebdabe86c8cb0", "faeb529f4fb67cfb", "faeb529f4fb67cfb"),
    "symmetry/fig8": ("d51880e072230510", "3c73416ebb876fd5", "3c73416ebb876fd5"),
    "symmetry/lemma3": ("45b482a40bb46a38", "da516604bace630b", "b83de2b36f41e334"),
    "symmetry/random-init": ("a2340bf59ac6eb60", "c08a60d992030d11", "5e20231e6522c2b7"),
    "symmetry/theorem1": ("d2a22d3b0a3a0cde", "28e1de316aa35b68", "f1194da9810c3ce9"),
    "symmetry/variants": ("97aea19641a25817", "35a7a68e379b4fc8", "35a7a68e379b4fc8"),
}
"""Hashes of the settings at smoke, laptop and paper, without MNIST. Stored results and records stand by them."""

CHANGED = {
    "parity/fig1": {"k": 2, "learning_rates": 0.5, "epochs": 1, "strips": 150, "machine_strips": 60},
    "parity/first-step": {"n": 40, "q": 16, "n_enumerated": 9, "q_enumerated": 20},
    "parity/mixture": {"n": 16, "shares": (0.05, 0.5), "longer": 0.2, "estimated": 0.2, "steps": 40, "q": 16},
    "parity/separation": {"k": (1, 5), "ratio": 8, "widths": 16, "steps": 20, "examples": 1000, "cube": 6},
    "parity/theorem3": {
        "n": 20,
        "eta": 0.4,
        "q": 16,
        "widths": (4, 8),
        "steps": 40,
        "k_larger": 7,
        "steps_larger": 40,
    },
    "residual/alpha": {"d": 12, "k": 2, "alphas": (0.2, 0.5), "steps": 1000, "m": 20},
    "residual/fig1": {"d": 10, "widths": 32, "samples": 100, "epochs": 20},
    "residual/fig2a": {"d": 10, "widths": (8, 12), "wide": 8, "by_sgd": 8, "epochs": 4, "samples": 40},
    "residual/fig2b": {"alpha": 0.5, "widths": (8, 12), "wide": 8, "by_sgd": 8, "epochs": 4, "samples": 40},
    "residual/fig3a": {"betas": (2.0, 0.1), "alpha": 0.4, "epochs": 8, "samples": 50},
    "residual/fig3b": {"d": 10, "widths": (8, 12), "epochs": 8, "samples": 50},
    "residual/fig4b": {"d": 9, "widths": 32, "samples": 100, "epochs": 20},
    "separable/fig1": {"data": "ball", "widths": (4, 6), "train": 60, "alpha": 0.2},
    "separable/fig2": {"widths": (4, 6), "eta": 0.5, "train": 60},
    "separable/fig3": {"widths": (4, 6), "eta_each": 0.5, "train": 60},
    "separable/steps": {"widths": 6, "first": (0.5, 2.0), "both": (0.2, 0.4), "train": 60},
    "separable/thm2": {
        "data": ("sequence", "ball"),
        "d": 16,
        "ball_d": 10,
        "margin": 0.3,
        "widths": (4, 8),
        "pair": 4,
    },
    "separable/thm4": {"d": 4, "units": (2, 8, 32, 128), "alphas": 0.5, "steps": (-1, 1), "eta": 0.25, "largest": 1},
    "separable/thm9": {"d": (10, 30), "beyond": 2, "draws": 20, "C": 2.0, "eta": 0.25, "delta": 0.2},
    "symmetry/fig1": {"n": 12, "A": (1, 5, 12)},
    "symmetry/fig2": {"n": (6, 8), "longer": 2, "sample": 2, "beta": "0", "h_power": 5},
    "symmetry/fig3": {"n": 6, "h_powers": (2, 5), "beta": "0"},
    "symmetry/fig4": {"n": 6, "h_powers": 5, "sample": 2},
    "symmetry/fig5": {"n": 5, "powers": (1, 3), "h_power": 5, "random_init": "normal", "random_h_power": 4},
    "symmetry/fig6": {"n": 6, "powers": (1, 2), "epochs": 30},
    "symmetry/fig7": {"n": 6, "flips": (0.2, 0.05), "h_powers": 5, "epochs": 40},
    "symmetry/fig8": {"n": 6, "shift": 0.2, "h_powers": (5, 3), "epochs": 40},
    "symmetry/lemma3": {"n": (3, 12, 16), "inits": ("quarter", "integer"), "draws": 3},
    "symmetry/random-init": {"n": 5, "sizes": (1, 2), "h_powers": 2, "epochs": 20},
    "symmetry/theorem1": {"n": (6, 7), "section5": 1, "epsilon": 0.2, "delta": 0.05, "distributions": "few weights"},
    "symmetry/variants": {"n": 6, "batches": 3, "samples": (1, 2), "h_power": 5, "epochs": 60},
}
"""Other values at smoke, chosen to be cheap; of a figure without a line here one free value is changed."""


@pytest.mark.parametrize("id", SETTINGS)
def test_at_the_defaults_the_settings_are_as_ever(id):
    for name, frozen in zip(SCALES, SETTINGS[id], strict=True):
        settings = EXPERIMENTS[id].scales[name].settings
        if name != "smoke" and datasets.mnist_path() is not None and any("data" in s for s in settings):
            continue
        assert records.digest(settings) == frozen, name


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_something_is_free_and_the_same_at_every_scale(id):
    scales = EXPERIMENTS[id].scales
    free = scales["smoke"].free
    assert free
    for scale in scales.values():
        assert [*scale.free] == [*free]
        assert [type(value) for value in scale.free.values()] == [type(value) for value in free.values()]
        assert scale.at({name: value for name, value in scale.free.items() if value != ()}) is scale


def other(scale: Scale, name: str) -> Scale:
    """The scale with the free value changed a little: the first value that it accepts and that changes anything."""
    usual = scale.free[name]
    for value in candidates(scale, name, usual):
        with contextlib.suppress(ValueError):
            changed = scale.at({name: value})
            if changed.changed and records.digest(changed.settings) != records.digest(scale.settings):
                return changed
    raise LookupError(f"no other value of {name} than {usual!r} was found")


def candidates(scale, name, usual):
    if isinstance(usual, tuple):
        if len(usual) > 1:
            yield usual[:-1]
        if not usual:
            yield from ((50,), (0.5,), (100,))
        for value in candidates(scale, name, usual[0]) if usual else ():
            yield (value, *usual[1:])
            yield (value,)
        yield tuple(value + 1 for value in usual)  # such as sizes that must go on rising
    elif isinstance(usual, str):
        with pytest.raises(ValueError, match="must be one of") as refused:
            scale.at({name: "nonsense"})
        yield from re.findall(r"'([^']*)'", str(refused.value).partition("one of")[2].partition(", got")[0])
    elif isinstance(usual, int):
        yield from (
            usual + 1,
            usual - 1,
            usual + 2,
            usual - 2,
            2 * usual,
            4 * usual,
            usual + 10,
            usual + 40,
            1000 * usual,
        )
    else:
        yield from (0.9 * usual, usual / 2, 2 * usual)


@pytest.mark.parametrize(("id", "name"), FREE)
def test_a_free_value_is_in_the_settings_or_in_what_depends_on_it(id, name):
    found = 0
    for scale in EXPERIMENTS[id].scales.values():
        with contextlib.suppress(LookupError):  # at smoke some things are left out
            changed = other(scale, name)
            assert {frozenset(s.items()) for s in changed.settings} != {frozenset(s.items()) for s in scale.settings}
            found += 1
    assert found >= 2


@pytest.mark.parametrize(("id", "name"), FREE)
def test_values_without_sense_are_refused_by_name(id, name):
    scale = EXPERIMENTS[id].scales["smoke"]
    usual = scale.free[name]
    of = usual[0] if isinstance(usual, tuple) and usual else 1
    one = usual if not isinstance(usual, tuple) else of
    wrong = "nonsense" if isinstance(one, str) else -(10**6) if isinstance(one, int) else -1e6
    refused = [(wrong,) if isinstance(usual, tuple) else wrong]
    if isinstance(usual, tuple):
        refused += [(one, one, one)] if name != "epochs" else []  # panels may be as long as each other
        refused += [()] if usual else []
    for value in refused:
        with pytest.raises(ValueError, match=rf"\b{name}\b.*(must|got)|free") as error:
            scale.at({name: value})
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("id", "values", "said"),
    [
        ("symmetry/fig1", {"n": 3}, "each of A must be <= 3, got 5"),
        ("symmetry/fig2", {"n": (8, 10, 12)}, "n must hold one value or two, got 3"),
        ("symmetry/fig3", {"h_powers": (4, 2)}, "h_powers must rise"),
        ("symmetry/fig5", {"epochs": (10, 20)}, "epochs must hold 4 numbers, one for each panel, or"),
        ("symmetry/fig5", {"h_neighbour": 6}, "h_neighbour must differ from h_power, got 6"),
        ("symmetry/variants", {"batches": 9}, "each of batches must be <= 8, got 9"),
        ("separable/fig1", {"widths": (4, 5)}, "each of widths must be even"),
        ("separable/fig1", {"train": 300}, "train must be <= 275, got 300"),
        ("separable/thm4", {"d": 8}, "d must be a power of 4"),
        ("separable/thm4", {"eta": 0.3}, "eta must be a multiple of 1/1024"),
        ("separable/thm9", {"d": (16, 8)}, "d must rise"),
        ("parity/mixture", {"k": 4}, "k must be odd, got 4"),
        ("parity/mixture", {"n": 2}, "k must be <= 2, got 3"),
        ("parity/theorem3", {"k_larger": 3}, "k_larger must be >= 4, got 3"),
        ("parity/first-step", {"samples": 5000}, "samples must be >= 8192, got 5000"),
        ("parity/first-step", {"samples": 10_000}, "samples must be a power of 2, got 10000"),
        ("parity/separation", {"cube": 2}, "cube must be >= 3, got 2"),
        ("residual/fig2a", {"d": 9}, "d must be even"),
        ("residual/fig3a", {"alpha": 1.0}, "alpha must be < 1"),
        ("residual/fig1", {"further": 64}, "further must hold other values than widths, got 64"),
        ("residual/alpha", {"steps": 1500}, "steps must be a multiple of 1000"),
        ("residual/alpha", {"k": 17}, "d must be >= 17, got 16"),
    ],
)
def test_what_makes_no_sense_together_is_said(id, values, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        learnability.run(id, scale="smoke", set=values)


def test_samples_axes_and_steps_follow_n():
    scale = EXPERIMENTS["symmetry/fig5"].scales["paper"]
    cells = scale.at({"n": 40}).settings
    assert {(s["n"], s["panel"], s["m"]) for s in cells} == {
        (40, panel, 40**power) for panel, power in zip("abcd", (1, 2, 3, 4), strict=True)
    }
    assert {(s["panel"], s["epochs"]) for s in cells} == {("a", 48_000), ("b", 1600), ("c", 4800), ("d", 140)}
    assert {s["epochs"] for s in scale.at({"n": 40, "epochs": 100}).settings} == {100}
    assert [s["epochs"] for s in EXPERIMENTS["symmetry/fig2"].scales["laptop"].at({"n": 15}).settings] == [
        15_000, 15_000, 90_000
    ]  # fmt: skip


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("id", EXPERIMENTS)
def test_with_another_value_figure_and_claims_follow(id):
    experiment = EXPERIMENTS[id]
    usual = experiment.scales["smoke"]
    changed = usual.at(CHANGED[id]) if id in CHANGED else other(usual, next(iter(usual.free)))
    keys, before = ({task.key for task in sweep.tasks(experiment, scale, 1)} for scale in (changed, usual))
    assert keys - before
    result = learnability.run(id, scale="smoke", seeds=1, set=changed.changed)
    assert result.failures == []
    assert result.changed == changed.changed
    assert isinstance(result.figure, Figure)
    empirical = [g for g in result.guarantees if g.kind in (Kind.THRESHOLD, Kind.TREND)]
    assert result.guarantees
    for guarantee in empirical:
        assert guarantee.verdict is Verdict.OUTSIDE
        (named,) = [h for h in guarantee.hypotheses if h.name == "published parameters"]
        assert f"{changed.told} was set" in named.detail
    told = texts(result.figure) + "\n".join(f"{g.id} {g.source} {g.note}" for g in result.guarantees)
    for name, value in changed.changed.items():
        if not isinstance(value, tuple):  # what a figure or a claim says of it is not the old value
            assert not re.search(rf"(?<![\w.]){name} ?= ?{re.escape(str(usual.free[name]))}(?![\w.])", told)
