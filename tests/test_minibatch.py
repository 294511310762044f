"""The mini-batch trainer: equal to the reference, to PyTorch, and to itself in every layout."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks.strips import relu
from learnability.training import minibatch
from learnability.training.minibatch import LOSSES, compiled, train
from learnability.training.minibatch import reference as minibatch_reference
from learnability.training.minibatch.optimisers import Adadelta, Adam, Sgd
from learnability.training.minibatch.reference import Hidden
from learnability.training.minibatch.sources import Source, examples, fresh
from learnability.training.record import Outcome

RULES = {
    "sgd": (Sgd(), minibatch_reference.sgd(0.0)),
    "momentum": (Sgd(0.9), minibatch_reference.sgd(0.9)),
    "adadelta": (Adadelta(0.9, 1e-6), minibatch_reference.adadelta(0.9, 1e-6)),
}


@pytest.fixture(params=["fused", "jax"])
def form(request, monkeypatch):
    """Both forms of the calls that both can do."""
    monkeypatch.setattr(sys.modules[__name__], "FORM", request.param)
    return request.param


FORM = "auto"


def case(seed=0, m=23, n=5, p=7):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((m, n)), rng.choice([-1.0, 1.0], m)
    start = Hidden(*(rng.standard_normal(shape) for shape in ((p, n), p, p)), np.asarray(rng.standard_normal()))
    return start, X, y


def close(one, other, tolerance=1e-9):
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def run(start, X, y, **options):
    options = {
        "rule": Sgd(0.9), "learning_rate": 0.05, "batch": 5, "epochs": 4, "rng": np.random.default_rng(1),
        "dtype": "float64", "record": range(options.get("epochs", 4) + 1), "form": FORM, **options,
    }  # fmt: skip
    return train(relu, start, examples(X, y), **options)


# Oracles


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(sorted(LOSSES)),
    rule=st.sampled_from(sorted(RULES)),
    batch=st.sampled_from([1, 5, 12]),
    rate=st.sampled_from([0.3, 0.02]),
    decay=st.sampled_from([0.0, 0.05]),
    trainable=st.sampled_from([None, ("u", "c"), ("W", "b")]),
)
def test_jax_reaches_the_references_weights(seed, loss, rule, batch, rate, decay, trainable):
    start, X, y = case(seed, m=12)
    rate /= 100 if loss == "squared" else 1  # the squared loss grows without bound where steps are too long
    options = {"learning_rate": rate, "weight_decay": decay, "batch": batch, "epochs": 4, "loss": loss}

    def schedule(epoch):
        return 1.0 if epoch <= 2 else 0.1

    rng = np.random.default_rng
    chosen = {} if trainable is None else {"trainable": trainable}
    expected, means = minibatch_reference.train(
        start, X, y, step=RULES[rule][1], rng=rng(seed), schedule=schedule, **chosen, **options
    )
    (ours,) = run(
        start, X, y, rule=RULES[rule][0], rng=rng(seed), schedule=schedule, form="jax", **chosen, **options
    )  # fmt: skip
    close(ours.params, expected)
    np.testing.assert_allclose(ours.columns["running_loss"][1:], means[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.columns["running_error"][1:], means[:, 1], rtol=1e-12)
    for name in set(Hidden._fields) - set(trainable or Hidden._fields):
        np.testing.assert_array_equal(getattr(ours.params, name), getattr(start, name))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_reference_differentiates_what_it_says(loss):
    start, X, y = case(3)

    def mean(params):
        f = relu(params, X)
        if loss == "hinge":
            return jnp.maximum(0, 1 - y * f).mean()
        return ((f - y) ** 2 / 2).mean() if loss == "squared" else jnp.log1p(jnp.exp(-y * f)).mean()

    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(mean)(jax.tree.map(jnp.asarray, start))
    found, _, by_hand = minibatch_reference.gradient(start, X, y, loss)
    assert found == pytest.approx(float(value), rel=1e-12)
    close(by_hand, slope, 1e-12)


@pytest.mark.parametrize("form", ["fused", "jax"])
@pytest.mark.parametrize("name", ["sgd", "adadelta", "adam"])
def test_pytorch_reaches_the_same_weights(name, form):
    torch = pytest.importorskip("torch")
    start, X, y = case(5)
    rule, theirs = {
        "sgd": (Sgd(0.9), lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=0.01)),
        "adadelta": (
            Adadelta(),
            lambda params: torch.optim.Adadelta(params, lr=0.05, rho=0.95, eps=1e-7, weight_decay=0.01),
        ),
        "adam": (Adam(), lambda params: torch.optim.Adam(params, lr=0.05, weight_decay=0.01)),
    }[name]
    (ours,) = run(start, X, y, rule=rule, weight_decay=0.01, form=form)
    W, b, u, c = params = [torch.tensor(part, requires_grad=True) for part in start]
    optimiser, rng = theirs(params), np.random.default_rng(1)
    for _ in range(4):
        order = rng.permutation(len(y))
        for first in range(0, len(y), 5):
            chosen = order[first : first + 5]
            f = torch.relu(torch.tensor(X[chosen]) @ W.T + b) @ u + c
            optimiser.zero_grad()
            torch.relu(1 - torch.tensor(y[chosen]) * f).mean().backward()
            optimiser.step()
    close(ours.params, [part.detach().numpy() for part in params])


@pytest.mark.usefixtures("form")
def test_float32_follows_float64():
    start, X, y = case(8)
    (single,), (double,) = run(start, X, y, dtype="float32"), run(start, X, y)
    assert {part.dtype for part in single.params} == {np.dtype(np.float32)}
    assert {part.dtype for part in double.params} == {np.dtype(np.float64)}
    close(single.params, double.params, 1e-4)
    assert not np.array_equal(single.params.W, double.params.W)


# Several runs at once


@pytest.mark.usefixtures("form")
def test_runs_together_are_the_runs_alone():
    start, X, y = case()
    rates, decays = [0.05, 0.1, 0.02], [0.0, 0.1, 0.01]
    watch = {"test": examples(X[:7], y[:7])}
    together = run(start, X, y, learning_rate=rates, weight_decay=decays, watch=watch)
    assert [(one.learning_rate, one.weight_decay) for one in together] == list(zip(rates, decays, strict=True))
    for one, rate, decay in zip(together, rates, decays, strict=True):
        (alone,) = run(start, X, y, learning_rate=rate, weight_decay=decay, watch=watch)
        close(one.params, alone.params)
        assert one.columns.keys() == alone.columns.keys()
        for name in one.columns:
            np.testing.assert_allclose(one.columns[name], alone.columns[name], rtol=1e-9, err_msg=name)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("trainable", [None, ("u",)])
def test_starts_and_orders_of_their_own(trainable):
    starts, (_, X, y) = [case(seed)[0] for seed in (1, 2, 3)], case()
    together = run(
        Hidden(*(np.stack(parts) for parts in zip(*starts, strict=True))), X, y,
        stacked=True, rng=[np.random.default_rng(seed) for seed in (4, 5, 6)], trainable=trainable,
    )  # fmt: skip
    for one, start, seed in zip(together, starts, (4, 5, 6), strict=True):
        (alone,) = run(start, X, y, rng=np.random.default_rng(seed), trainable=trainable)
        close(one.params, alone.params)
    assert not np.allclose(together[0].params.u, together[1].params.u)


@pytest.mark.usefixtures("form")
def test_one_stacked_start_is_a_start():
    start, X, y = case()
    (stacked,) = run(Hidden(*(part[None] for part in start)), X, y, stacked=True)
    (plain,) = run(start, X, y)
    close(stacked.params, plain.params, 0)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("rates", [[0.05, 1e150, 1e200, 0.1, 1e180], [1e190, 0.1, 1e200]])
def test_runs_that_diverge_end_and_the_others_go_on(rates, stacked):
    start, X, y = case()
    seeds = range(len(rates))
    starts = [case(seed)[0] if stacked else start for seed in seeds]
    options = {"loss": "squared", "rule": Sgd(), "epochs": 6, "trainable": ("u", "c") if stacked else None}
    together = run(
        Hidden(*(np.stack(parts) for parts in zip(*starts, strict=True))) if stacked else start, X, y,
        stacked=stacked, learning_rate=np.array(rates) / 10, rng=[np.random.default_rng(seed) for seed in seeds],
        **options,
    )  # fmt: skip
    for one, rate, seed in zip(together, rates, seeds, strict=True):
        assert one.learning_rate == rate / 10
        if rate > 1:
            assert one.outcome == Outcome.DIVERGED
            assert one.epochs == 1
            assert list(one.columns["epoch"]) == [0]
        else:
            assert one.outcome == Outcome.BUDGET_REACHED
            (alone,) = run(starts[seed], X, y, learning_rate=rate / 10, rng=np.random.default_rng(seed), **options)
            close(one.params, alone.params)
            np.testing.assert_allclose(one.columns["running_loss"], alone.columns["running_loss"], rtol=1e-9)
        assert all(np.isfinite(column[1:]).all() for column in one.columns.values())


def test_training_stops_when_all_have_diverged():
    start, X, y = case()
    drawn = []

    def draw(rng):
        drawn.append(1)
        return rng.permutation(len(y))

    source = Source(len(y), draw, examples(X, y).gather, (X, y))
    for rates in (1e200, [1e200, 1e190]):
        runs = train(
            relu, start, source, rule=Sgd(), learning_rate=rates, batch=4, epochs=50, loss="squared",
            rng=np.random.default_rng(0), dtype="float64",
        )  # fmt: skip
        assert {one.outcome for one in runs} == {Outcome.DIVERGED}
        assert [list(one.columns["epoch"]) for one in runs] == [[0]] * len(runs)
    assert len(drawn) == 2


# Epochs, records, outcomes


@pytest.mark.usefixtures("form")
def test_what_is_recorded():
    start, X, y = case()
    X_test, y_test = X[:6], y[:6]
    (one,) = run(start, X, y, epochs=7, record=[0, 2, 5], watch={"test": examples(X_test, y_test)})
    assert list(one.columns) == ["epoch", "running_loss", "running_error", "test_loss", "test_error", "norm"]
    assert list(one.columns["epoch"]) == [0, 2, 5, 7]
    assert one.epochs == 7
    assert one.updates == 7 * 5
    for place, params in ((0, start), (-1, one.params)):
        f = np.maximum(X_test @ params.W.T + params.b, 0) @ params.u + params.c
        assert one.columns["test_error"][place] == pytest.approx(np.mean(y_test * f <= 0))
        assert one.columns["test_loss"][place] == pytest.approx(np.maximum(0, 1 - y_test * f).mean())
        size = np.sqrt(sum((part**2).sum() for part in params))
        assert one.columns["norm"][place] == pytest.approx(size)
    assert np.isnan(one.columns["running_loss"][0])
    (short,) = run(start, X, y, epochs=5, record=[5])
    np.testing.assert_allclose(short.columns["running_loss"][0], one.columns["running_loss"][2])


def test_output_zero_and_nan_are_errors():
    start, X, y = case()
    silent = start._replace(u=0 * start.u, c=np.zeros(()))
    (one,) = run(silent, X, y, epochs=0, watch={"train": examples(X, y)}, record=[0])
    assert one.columns["train_error"][0] == 1
    assert one.columns["train_loss"][0] == 1
    assert one.outcome == Outcome.BUDGET_REACHED
    assert one.updates == 0
    with np.errstate(invalid="ignore"):
        assert float(compiled._wrong(jnp.array([np.nan, 1.0]), jnp.array([1.0, 1.0]))) == 1


@pytest.mark.usefixtures("form")
def test_watching_changes_nothing():
    start, X, y = case()
    (watched,) = run(start, X, y, watch={"one": examples(X, y), "two": examples(X[:3], y[:3])})
    (alone,) = run(start, X, y)
    close(watched.params, alone.params, 0)


def test_a_long_evaluation_is_done_in_parts(monkeypatch):
    start, X, y = case()
    (whole,) = run(start, X, y, watch={"train": examples(X, y)})
    monkeypatch.setattr(minibatch, "EVALUATION_BATCH", 4)
    (parts,) = run(start, X, y, watch={"train": examples(X, y)})
    np.testing.assert_allclose(parts.columns["train_loss"], whole.columns["train_loss"], rtol=1e-12)
    np.testing.assert_allclose(parts.columns["train_error"], whole.columns["train_error"], rtol=1e-12)


@pytest.mark.usefixtures("form")
def test_training_ends_where_nothing_can_change():
    X, y = np.array([[1.0], [-1.0]]), np.array([1.0, -1.0])
    start = Hidden(np.array([[0.5], [-0.5]]), np.zeros(2), np.array([0.5, -0.5]), np.zeros(()))
    (one,) = run(start, X, y, rule=Sgd(), learning_rate=0.3, epochs=500, batch=2, record=[500])
    assert one.outcome == Outcome.CONVERGED
    assert 1 < one.epochs < 500
    assert one.columns["epoch"][-1] == one.epochs
    assert one.columns["running_loss"][-1] == 0
    (decaying,) = run(start, X, y, rule=Sgd(), learning_rate=0.3, weight_decay=1e-3, epochs=60, batch=2)
    assert decaying.outcome == Outcome.BUDGET_REACHED
    streamed = Source(2, lambda rng: np.arange(2), examples(X, y).gather, (X, y))
    (stream,) = train(
        relu, start, streamed, rule=Sgd(), learning_rate=0.3, epochs=60, batch=2, rng=np.random.default_rng(0)
    )
    assert stream.outcome == Outcome.BUDGET_REACHED
    assert stream.columns["running_loss"][-1] == 0


@pytest.mark.usefixtures("form")
def test_the_start_is_left_alone():
    start, X, y = case()
    kept = Hidden(*(part.copy() for part in start))
    run(start, X, y)
    close(start, kept, 0)
    on_device = Hidden(*(jnp.asarray(part, dtype="float32") for part in start))
    run(on_device, X, y, dtype="float32")
    assert np.isfinite(np.asarray(on_device.W)).all()  # a donated array would be gone


# Models and sources


class TwoOutputs(NamedTuple):
    V: np.ndarray
    inner: dict


def two_outputs(params, X):
    return jnp.tanh(X @ params.inner["A"].T) @ params.V.T


def test_any_pytree_and_several_outputs():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    start = TwoOutputs(rng.standard_normal((2, 4)), {"A": rng.standard_normal((4, 3))})
    options = {
        "rule": Sgd(), "learning_rate": 0.1, "batch": 9, "epochs": 1, "loss": "squared", "dtype": "float64",
        "rng": rng, "watch": {"train": examples(X, y)}, "record": [0, 1],
    }  # fmt: skip
    (one,) = train(two_outputs, start, examples(X, y), **options)
    h = np.tanh(X @ start.inner["A"].T)
    f = h @ start.V.T
    assert one.columns["train_loss"][0] == pytest.approx(((f - y) ** 2).sum() / 2 / 9)
    assert one.columns["train_error"][0] == pytest.approx(np.mean(f * y <= 0))
    np.testing.assert_allclose(one.params.V, start.V - 0.1 * (f - y).T @ h / 9, rtol=1e-12)
    mapping = {"V": start.V, "inner": start.inner}
    as_dict = train(
        lambda p, X: two_outputs(TwoOutputs(**p), X), mapping, examples(X, y), **{**options, "trainable": ["V"]}
    )
    np.testing.assert_allclose(as_dict[0].params["V"], one.params.V, rtol=1e-12)
    np.testing.assert_array_equal(as_dict[0].params["inner"]["A"], start.inner["A"])


def test_fresh_examples_every_epoch():
    start, _, _ = case()
    seen = []

    def draw(rng):
        X = rng.standard_normal((6, 5))
        seen.append(X)
        return X, np.sign(X[:, 0])

    (one,) = train(
        relu, start, fresh(draw, 6), rule=Sgd(), learning_rate=0.1, batch=1, epochs=3, dtype="float64",
        rng=np.random.default_rng(2),
    )  # fmt: skip
    X = np.concatenate(seen)
    assert len(X) == 18
    params = start
    for x in X:
        _, _, g = minibatch_reference.gradient(params, x[None], np.sign(x[:1]), "hinge")
        params = Hidden(*(part - 0.1 * slope for part, slope in zip(params, g, strict=True)))
    close(one.params, params)


def test_a_run_with_nothing_to_record_has_empty_columns():
    start, X, y = case()
    options = {"loss": "squared", "learning_rate": 1e200, "watch": {"test": examples(X, y)}}
    (one,) = run(start, X, y, record=[4], **options)
    assert one.outcome == Outcome.DIVERGED
    assert len(one) == 0
    assert one.rows() == []
    assert list(one.columns) == ["epoch", "running_loss", "running_error", "test_loss", "test_error", "norm"]


def test_any_optimiser_of_optax():
    start, X, y = case()
    (one,) = run(start, X, y, rule=lambda rate, decay: optax.sgd(rate, momentum=0.9))
    (ours,) = run(start, X, y)
    close(one.params, ours.params)


# Bad input


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch must be >= 1, got 0"),
        ({"epochs": -1, "record": None}, "epochs must be >= 0"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0"),
        ({"learning_rate": [0.1, np.nan]}, "learning_rate must be finite"),
        ({"weight_decay": -0.1}, "weight_decay must hold numbers >= 0"),
        ({"weight_decay": []}, "weight_decay must hold numbers >= 0"),
        ({"loss": "exponential"}, "loss must be one of 'hinge', 'squared', 'logistic'"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"trainable": ("V",)}, r"trainable must name fields of params \(W, b, u, c\), got \('V',\)"),
        ({"trainable": ()}, "trainable must name fields"),
        ({"trainable": "W"}, "trainable must name fields"),
        ({"rng": 3}, "rng must be a numpy.random.Generator"),
        ({"rng": []}, "rng 0"),
        ({"learning_rate": [0.1, 0.2], "weight_decay": [0, 0, 0]}, "learning_rate 2, weight_decay 3"),
        ({"stacked": True}, "leading axis"),
        ({"schedule": lambda epoch: float("nan")}, "schedule must be finite"),
    ],
)
def test_arguments_are_checked(wrong, message):
    start, X, y = case()
    with pytest.raises(ValueError, match=message):
        run(start, X, y, **wrong)


def test_shapes_are_checked():
    start, X, y = case()
    with pytest.raises(ValueError, match=r"outputs of the labels' shape \(5, 1\), got shape \(5,\)"):
        run(start, X, y[:, None])
    with pytest.raises(ValueError, match="params must be a NamedTuple or a mapping, got list"):
        run(list(start), X, y)
    with pytest.raises(ValueError, match=r"params\.u must be finite"):
        run(start._replace(u=start.u * np.nan), X, y)
    with pytest.raises(ValueError, match="arrays of 4 rows"):
        train(
            relu, start, fresh(lambda rng: (X, y), 4), rule=Sgd(), learning_rate=0.1, batch=2, epochs=1,
            rng=np.random.default_rng(0),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((0, 2)), [], "X must have shape"),
        (np.zeros(3), np.ones(3), "X must have shape"),
        (np.zeros((3, 2)), np.ones(2), "y must have as many rows as X, 3, got 2"),
        (np.zeros((3, 2)), np.ones((3, 0)), "y must have shape"),
        (np.full((3, 2), np.inf), np.ones(3), "X must hold finite real numbers only"),
        (np.zeros((3, 2)), np.array(["1"] * 3), "y must hold finite real numbers only"),
    ],
)
def test_examples_are_checked(X, y, message):
    with pytest.raises(ValueError, match=message):
        examples(X, y)


def test_sizes_and_rules_are_checked():
    with pytest.raises(ValueError, match="size must be >= 1"):
        fresh(lambda rng: (), 0)
    for wrong in (lambda: Sgd(1.0), lambda: Adadelta(rho=1.5), lambda: Adam(beta1=1.0)):
        with pytest.raises(ValueError, match="must be < 1"):
            wrong()
    for wrong in (lambda: Adadelta(epsilon=0.0), lambda: Adam(epsilon=-1.0)):
        with pytest.raises(ValueError, match="epsilon must be > 0"):
            wrong()


# The backend


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted by Linux's /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread anyway")
def test_the_cpu_has_one_thread_and_the_environment_is_left_alone():
    def threads(first):
        code = (
            f"import os, jax\n{first}\njax.numpy.ones(3).sum().block_until_ready()\n"
            "names = [open(f'/proc/self/task/{t}/comm').read() for t in os.listdir('/proc/self/task')]\n"
            "print(os.environ.get('NPROC'), sum('XLAEigen' in name for name in names))"
        )
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        environment.pop("NPROC", None)
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True, env=environment
        )
        return ended.stdout.split()

    assert threads("import learnability.training.minibatch.group") == ["None", "1"]
    assert int(threads("")[1]) > 1
