"""The fused form of the mini-batch trainer: the oracle's weights and JAX's, for every model, rule and source."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks import strips as networks
from learnability.networks.strips import MODELS
from learnability.problems.strips import Strips, gather
from learnability.training.minibatch import LOSSES, fused, reference, train
from learnability.training.minibatch.fused import group, loops, parts
from learnability.training.minibatch.optimisers import Adadelta, Adam, Sgd
from learnability.training.minibatch.reference import Hidden
from learnability.training.minibatch.sources import Source, examples, fresh

RULES = {
    "sgd": (Sgd(), reference.sgd(0.0)),
    "momentum": (Sgd(0.9), reference.sgd(0.9)),
    "adadelta": (Adadelta(0.9, 1e-6), reference.adadelta(0.9, 1e-6)),
    "adam": (Adam(0.8, 0.95), reference.adam(0.8, 0.95, 1e-8)),
}


def thinned(rng, m, n, density):
    """Random inputs, a share of which is not 0."""
    return rng.standard_normal((m, n)) * (rng.random((m, n)) < density)


def close(one, other, tolerance=1e-9):
    for ours, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    n=st.sampled_from([1, 7, 203, 450]),
    p=st.sampled_from([1, 7, 32, 70]),
    density=st.sampled_from([0.0, 0.1, 0.3, 1.0]),
    loss=st.sampled_from(LOSSES),
    rule=st.sampled_from(sorted(RULES)),
    batch=st.sampled_from([1, 5, 12, 30]),
    decay=st.sampled_from([0.0, 0.05]),
    trainable=st.sampled_from([Hidden._fields, ("u", "c"), ("b", "u"), ("W", "b"), ("W",), ("c",)]),
)
def test_the_reference_reaches_the_same_weights(seed, n, p, density, loss, rule, batch, decay, trainable):
    rng = np.random.default_rng(seed)
    X, y = thinned(rng, 12, n, density), rng.choice([-1.0, 1.0], 12)
    start = Hidden(*(rng.standard_normal(shape) / 4 for shape in ((p, n), p, p)), np.asarray(rng.standard_normal()))
    options = {
        "learning_rate": 1e-4 if loss == "squared" else 0.02, "weight_decay": decay, "batch": batch, "epochs": 3,
        "loss": loss, "trainable": trainable, "schedule": lambda epoch: 1.0 if epoch <= 2 else 0.1,
    }  # fmt: skip
    expected, means = reference.train(start, X, y, step=RULES[rule][1], rng=np.random.default_rng(seed), **options)
    (ours,) = train(
        networks.relu, start, examples(X, y), rule=RULES[rule][0], rng=np.random.default_rng(seed), dtype="float64",
        record=range(4), form="fused", **options,
    )  # fmt: skip
    close(ours.params, expected)
    np.testing.assert_allclose(ours.columns["running_loss"][1:], means[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.columns["running_error"][1:], means[:, 1], rtol=1e-12)


def strips(seed=0, k=3, count=19, share=0.3):
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (count, 5, 4)) * (rng.random((count, 5, 4)) < share)
    return Strips(images.astype(np.uint8), rng.integers(0, 10, count), k)


def source_of(stream):
    return Source(stream.size, stream.draw, gather, stream.store)


@pytest.mark.parametrize("memory", [1e9, 0])
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("name", MODELS)
def test_jax_reaches_the_same_weights_on_strips(name, share, memory, monkeypatch):
    """Frozen layers known for each image, or used on each batch; rows of non-zeros, or dense."""
    monkeypatch.setattr(group, "MEMORY", memory)
    model, pool = MODELS[name], strips(share=share)
    start = model.start(np.random.default_rng(1), pool.n, 40)
    runs = [
        train(
            model.apply, start, source_of(pool), rule=Adadelta(), learning_rate=[1.0, 0.5], batch=4, epochs=3,
            rng=np.random.default_rng(2), trainable=model.trainable, dtype="float64", form=form,
            watch={"test": source_of(strips(5, count=7, share=share)), "fresh": fresh(pixels, 4)},
        )
        for form in ("fused", "jax")
    ]  # fmt: skip
    for ours, theirs in zip(*runs, strict=True):
        close(ours.params, theirs.params)
        for column in theirs.columns:
            np.testing.assert_allclose(ours.columns[column], theirs.columns[column], rtol=1e-9, atol=1e-12)


def pixels(rng):
    return rng.random((4, 60)), rng.choice([-1.0, 1.0], 4)


@pytest.mark.parametrize("name", MODELS)
def test_starts_of_their_own_are_the_runs_alone(name):
    model, X = MODELS[name], thinned(np.random.default_rng(0), 11, 6, 0.8)
    starts = [model.start(np.random.default_rng(seed), 6, 5) for seed in (1, 2)]
    options = {
        "rule": Sgd(0.9), "learning_rate": 0.1, "batch": 4, "epochs": 2, "trainable": model.trainable,
        "dtype": "float64", "form": "fused",
    }  # fmt: skip
    sample = examples(X, np.sign(X[:, 0] + 0.1))
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *starts)
    rng = np.random.default_rng
    together = train(model.apply, stacked, sample, stacked=True, rng=[rng(7), rng(8)], **options)
    for one, start, seed in zip(together, starts, (7, 8), strict=True):
        (alone,) = train(model.apply, start, sample, rng=rng(seed), **options)
        close(one.params, alone.params, 0)


@given(z=st.floats(-1e6, 1e6))
def test_the_cosine_is_one(z):
    assert loops._cosine(z) == pytest.approx(np.cos(z), abs=1e-15 * max(1.0, abs(z)))


def test_rows_of_non_zeros_and_chunks_are_the_table():
    table = strips().images.reshape(19, -1)
    for chunk in (1, 3, 20, 0):
        inputs = parts.divided(table, 255.0, 3, "float64", sparse=True, chunk=chunk)
        found = np.zeros(table.shape)
        for i, starts in enumerate(inputs.starts):
            for part in range(len(starts) - 1):
                own = slice(starts[part], starts[part + 1])
                found[i, part * inputs.chunk + inputs.columns[own]] = inputs.values[own]
        np.testing.assert_array_equal(found, table / 255)
    assert not parts.divided(np.ones((3, 4)), 1.0, 1, "float32").sparse
    assert parts.divided(np.eye(4), 1.0, 1, "float32").sparse


# Which form


def own(params, X):
    return jnp.tanh(X @ params.W.T) @ params.u


def test_what_the_fused_form_does_not_know_goes_to_jax():
    X, y = np.ones((4, 3)), np.ones(4)
    start = Hidden(np.ones((2, 3)), np.ones(2), np.ones(2), np.ones(()))
    relu, wrong = networks.relu, start._replace(W=np.ones((2, 4)))
    options = {"rule": Sgd(), "learning_rate": 0.1, "batch": 2, "epochs": 1, "rng": np.random.default_rng(0)}
    assert train(relu, start, examples(X, y), **options)[0].state.form == "fused"
    assert train(relu, start, examples(X, y), form="jax", **options)[0].state.form == "jax"
    assert train(own, start, examples(X, y), **options)[0].state.form == "jax"
    other = Source(4, lambda rng: np.arange(4), lambda store, visits: (store[0][visits], store[1][visits]), (X, y))
    for apply, params, source, change, why in (
        (own, start, examples(X, y), {}, "apply must be a model of learnability.networks.strips"),
        (relu, wrong, examples(X, y), {}, "sources must be examples of 4 inputs"),
        (relu, start, examples(X, y[:, None]), {}, "sources must be examples of 3 inputs and one label"),
        (relu, start, other, {}, "sources must be"),
        (relu, start, examples(X, y), {"watch": {"test": other}}, "sources must be"),
        (relu, start, examples(X, y), {"rule": lambda rate, decay: None}, "rule must be Sgd, Adadelta or Adam"),
        (relu, start, examples(X, y), {"loss": lambda f, y: f * y}, "loss must be one of the named ones"),
        (relu, {**start._asdict(), "d": np.ones(2)}, examples(X, y), {}, "params must be W, b, u, c"),
    ):
        with pytest.raises(ValueError, match=f"form must be 'auto' or 'jax' for this call, got 'fused': {why}"):
            train(apply, params, source, form="fused", **{**options, **change})
    with pytest.raises(ValueError, match="form must be one of 'auto', 'fused', 'jax', got 'torch'"):
        train(relu, start, examples(X, y), form="torch", **options)
    with pytest.raises(ValueError, match=r"source.draw must return X \(b, 3\) and y \(b,\), got shapes \(4, 2\)"):
        train(relu, start, fresh(lambda rng: (X[:, :2], y), 4), **options)
    assert fused.Plan.form == "fused"
