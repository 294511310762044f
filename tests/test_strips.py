"""Strips of digits and the models trained on them."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability import datasets
from learnability.kernels.closed_form import rbf
from learnability.networks import strips as models
from learnability.networks.strips import MODELS, Gated, Relu
from learnability.problems.strips import Strips, gather
from learnability.training.minibatch import train
from learnability.training.minibatch.optimisers import Adadelta, Sgd
from learnability.training.minibatch.sources import Source, examples

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import parity_minibatch  # noqa: E402


def pool(count=12, h=3, w=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, h, w), dtype=np.uint8), rng.integers(0, 10, count)


# Strips


def test_a_strip_by_hand():
    images = np.array([[[0, 51], [102, 153]], [[255, 0], [0, 0]]], dtype=np.uint8)
    strips = Strips(images, np.array([4, 7]), 3)
    X, y = strips.compose(np.array([[0, 1, 0], [1, 1, 0], [1, 1, 1]]))
    np.testing.assert_allclose(X[0], [0, 0.2, 1, 0, 0, 0.2, 0.4, 0.6, 0, 0, 0.4, 0.6])
    np.testing.assert_array_equal(y, [-1, 1, -1])
    assert strips.n == 12
    assert X.shape == (3, 12)


@settings(max_examples=12)
@given(seed=st.integers(0, 999), k=st.integers(1, 4), highest=st.sampled_from([16, 255]), dtype=st.booleans())
def test_jax_composes_the_same_batches(seed, k, highest, dtype):
    images, digits = pool(seed=seed)
    strips = Strips((images.astype(int) % (highest + 1)).astype(np.uint8), digits, k, highest)
    visits = strips.draw(np.random.default_rng(seed))[:5]
    X, y = strips.compose(visits)
    assert set(y) <= {-1.0, 1.0}
    np.testing.assert_array_equal(y > 0, strips.digits[visits].sum(axis=1) % 2 == 0)
    with jax.enable_x64(dtype):
        found = jax.jit(gather)(jax.tree.map(jnp.asarray, strips.store), visits)
        assert found[0].dtype == (np.float64 if dtype else np.float32)
    np.testing.assert_allclose(found[0], X, rtol=1e-15 if dtype else 1e-6)
    np.testing.assert_array_equal(found[1], y)


def test_an_epoch_puts_every_image_once_at_every_position():
    images, digits = pool()
    strips = Strips(images, digits, 3)
    one, two = (strips.draw(np.random.default_rng(seed)) for seed in (1, 2))
    for visits in (one, two):
        assert visits.shape == (12, 3)
        np.testing.assert_array_equal(np.sort(visits, axis=0), np.arange(12)[:, None].repeat(3, axis=1))
        assert not (visits[:, 0] == visits[:, 1]).all()
    assert not np.array_equal(one, two)
    longer = Strips(images, digits, 2, size=30).draw(np.random.default_rng(0))
    assert longer.shape == (30, 2)
    for first in (0, 12):
        np.testing.assert_array_equal(np.sort(longer[first : first + 12], axis=0)[:, 1], np.arange(12))
    assert Strips(images, digits, 2, size=5).draw(np.random.default_rng(0)).shape == (5, 2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"k": 0}, "k must be >= 1, got 0"),
        ({"k": 2.0}, "k must be an integer"),
        ({"images": np.zeros((4, 6), np.uint8)}, "images must have shape"),
        ({"images": np.zeros((12, 3, 2))}, "images must have dtype uint8, got float64"),
        ({"digits": np.zeros(5, int)}, r"digits must have shape \(12,\)"),
        ({"digits": np.full(12, 10)}, "digits must be integers in 0..9"),
        ({"digits": np.zeros(12)}, "digits must be integers in 0..9"),
        ({"highest": 16}, "images must be <= highest = 16, got"),
        ({"highest": 256}, "highest must be <= 255"),
        ({"size": -1}, "size must be >= 0"),
    ],
)
def test_strips_are_checked(wrong, message):
    images, digits = pool()
    with pytest.raises(ValueError, match=message):
        Strips(**{"images": images, "digits": digits, "k": 3, **wrong})


@pytest.mark.parametrize(
    ("visits", "message"),
    [
        (np.zeros((2, 2), int), r"visits must be integers of shape \(b, 3\)"),
        (np.zeros((2, 3)), "visits must be integers"),
        (np.full((2, 3), 12), r"visits must be in 0..11, got 12..12"),
        (np.full((2, 3), -1), "visits must be in"),
    ],
)
def test_visits_are_checked(visits, message):
    with pytest.raises(ValueError, match=message):
        Strips(*pool(), 3).compose(visits)


# Images


def test_the_stand_in_is_divided_once_and_for_all():
    one, two = datasets.digit_images("digits"), datasets.digit_images("digits")
    assert one.x_train.shape == (1400, 8, 8)
    assert one.x_test.shape == (397, 8, 8)
    assert one.x_train.dtype == one.y_train.dtype == np.uint8
    assert (one.highest, one.x_train.max()) == (16, 16)
    np.testing.assert_array_equal(one.x_test, two.x_test)
    assert set(one.y_train) == set(one.y_test) == set(range(10))
    every = np.concatenate([one.x_train, one.x_test]).reshape(1797, 64)
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(np.sort(every, axis=0), np.sort(load_digits().data, axis=0))


def test_mnist_as_images(monkeypatch, tmp_path):
    if datasets.has_mnist():
        data = datasets.digit_images("mnist")
        assert data.x_train.shape == (60000, 28, 28)
        assert (data.highest, data.origin) == (255, "MNIST")
        Strips(data.x_test, data.y_test, 3)
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path))
    monkeypatch.setattr("learnability.datasets.mnist_file.cache_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="MNIST is not there"):
        datasets.digit_images("mnist")
    with pytest.raises(ValueError, match="which must be one of 'mnist', 'digits', got 'letters'"):
        datasets.digit_images("letters")


# Models


def inputs(n=6, m=9):
    return np.random.default_rng(5).random((m, n))


def outputs(name, params, X):
    with jax.enable_x64(True):
        return np.asarray(MODELS[name].apply(jax.tree.map(jnp.asarray, params), X))


def moved(params, size=0.3):
    rng = np.random.default_rng(7)
    return jax.tree.map(lambda part: part + size * rng.standard_normal(np.shape(part)), params)


def test_models_say_what_they_compute():
    X, rng = inputs(), np.random.default_rng
    net = moved(models.relu_start(rng(0), 6, 8))
    expected = np.maximum(X @ net.W.T + net.b, 0) @ net.u + net.c
    np.testing.assert_allclose(outputs("relu", net, X), expected, rtol=1e-12)
    np.testing.assert_allclose(outputs("relu_features", net, X), expected, rtol=1e-12)
    waves = moved(models.cosine_start(rng(0), 6, 8))
    expected = np.cos(X @ waves.W.T + waves.phase) @ waves.u + waves.c
    np.testing.assert_allclose(outputs("gaussian_features", waves, X), expected, rtol=1e-12)
    gates = moved(models.gated_start(rng(0), 6, 8))
    expected = ((X @ gates.G.T > 0) * (X @ gates.W.T + gates.b)) @ gates.u + gates.c
    np.testing.assert_allclose(outputs("gated", gates, X), expected, rtol=1e-12)


def test_the_linearisation_is_jaxs():
    X, start = inputs(), models.linearised_start(np.random.default_rng(0), 6, 8)
    params = moved(start)._replace(start=start.start)
    there = Relu(start.start.W + params.W, start.start.b + params.b, params.u, params.c)
    direction = Relu(*(a - b for a, b in zip(there, start.start, strict=True)))
    with jax.enable_x64(True):
        at, by = (jax.tree.map(jnp.asarray, part) for part in (start.start, direction))
        value, change = jax.jvp(lambda params: models.relu(params, X), (at,), (by,))
    np.testing.assert_allclose(outputs("linearised", params, X), value + change, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(outputs("linearised", start, X), outputs("relu", start.start, X), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_checked_forward_pass_is_the_models(name):
    params, X = moved(MODELS[name].start(np.random.default_rng(0), 6, 8)), inputs()
    found = models.forward(params, X)
    np.testing.assert_array_equal(found, MODELS[name].apply(params, X))
    with jax.enable_x64(True):
        there = jax.jit(models.forward)(params, X)
    np.testing.assert_allclose(there, found, rtol=1e-12)
    assert np.isnan(MODELS[name].apply(params, np.full((1, 6), np.nan))).all()


START = models.linearised_start(np.random.default_rng(0), 6, 8)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ((1, 2), "params must be a Relu or Gated or Linearised or Cosines, got tuple"),
        (START.start._replace(W=np.full((8, 6), np.nan)), r"params.W must be finite, got nan at index \(0, 0\)"),
        (START.start._replace(b=np.zeros(7)), "params.b must have length 8, got 7"),
        (START.start._replace(c=np.zeros(1)), r"params.c must be a real number, got array\(\[0.\]\)"),
        (START.start._replace(c=math.inf), "params.c must be finite, got np.float64\\(inf\\)"),
        (Gated(np.ones((7, 6)), *START.start), r"params.G must have 8 rows, got shape \(7, 6\)"),
        (START._replace(start=START), "params.start must be a Relu, got Linearised"),
        (START._replace(start=START.start._replace(u=np.ones(3))), "params.start.u must have length 8, got 3"),
        (START, r"X must have 6 columns, got shape \(1, 5\)"),
    ],
)
def test_a_network_is_checked(params, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        models.forward(params, np.ones((1, 5)))


def test_starts():
    rng = np.random.default_rng
    net = models.relu_start(rng(3), 200, 100)
    limit = np.sqrt(6 / 300)
    assert 0.99 * limit < net.W.max() <= limit
    assert -limit <= net.W.min() < -0.99 * limit
    assert np.abs(net.u).max() <= np.sqrt(6 / 101)
    assert not net.b.any()
    assert net.c == 0
    independent, same = models.gated_start(rng(3), 200, 100), models.gated_start(rng(3), 200, 100, gates="same")
    for gates in (independent, same):
        np.testing.assert_array_equal(gates.W, net.W)
        np.testing.assert_array_equal(gates.u, net.u)
    np.testing.assert_array_equal(same.G, net.W)
    assert abs(np.corrcoef(independent.G.ravel(), net.W.ravel())[0, 1]) < 0.03
    X = inputs(200)
    np.testing.assert_allclose(outputs("gated", same, X), outputs("relu", net, X), rtol=1e-12)
    waves = models.cosine_start(rng(3), 200, 100)
    assert waves.W.std() * np.sqrt(200) == pytest.approx(4, rel=0.03)
    assert 0 <= waves.phase.min() < 0.3
    assert 6 < waves.phase.max() < 2 * np.pi


def test_gaussian_features_approximate_the_rbf_kernel():
    X = inputs(10, 6)
    waves = models.cosine_start(np.random.default_rng(0), 10, 200_000)
    features = np.cos(X @ waves.W.T + waves.phase)
    np.testing.assert_allclose(2 * features @ features.T / 200_000, rbf(X, X, gamma=8 / 10), atol=0.012)


FROZEN = {
    "relu": set(),
    "gated": {"G"},
    "linearised": {"start"},
    "relu_features": {"W", "b"},
    "gaussian_features": {"W", "phase"},
}


@pytest.mark.parametrize("name", MODELS)
def test_only_what_should_be_trained_is(name):
    model, X = MODELS[name], inputs()
    start = model.start(np.random.default_rng(1), 6, 5)
    (run,) = train(
        model.apply, start, examples(X, np.sign(X[:, 0] - 0.5)), rule=Sgd(), learning_rate=0.5, batch=4, epochs=3,
        rng=np.random.default_rng(0), loss="logistic", trainable=model.trainable, dtype="float64",
    )  # fmt: skip
    unmoved = {
        field
        for field in start._fields
        if jax.tree.all(jax.tree.map(np.array_equal, getattr(start, field), getattr(run.params, field)))
    }
    assert unmoved == FROZEN[name]


def test_models_of_one_layer_are_convex_and_the_gated_one_is_a_product():
    """Linear in what is trained: three of them. The gated model is linear in x's gates only."""
    X, rng = inputs(), np.random.default_rng(0)
    for name in MODELS:
        start = MODELS[name].start(rng, 6, 5)
        one = start._replace(
            **{field: 2 * np.asarray(getattr(moved(start), field)) for field in MODELS[name].trainable}
        )
        middle = start._replace(
            **{field: (getattr(start, field) + getattr(one, field)) / 2 for field in MODELS[name].trainable}
        )
        straight = (outputs(name, start, X) + outputs(name, one, X)) / 2
        linear = np.allclose(outputs(name, middle, X), straight, rtol=1e-10)
        assert linear == (name in ("linearised", "relu_features", "gaussian_features"))


def test_sizes_are_checked():
    rng = np.random.default_rng(0)
    for start in (models.relu_start, models.gated_start, models.linearised_start, models.cosine_start):
        with pytest.raises(ValueError, match="n must be >= 1"):
            start(rng, 0, 3)
        with pytest.raises(ValueError, match="p must be >= 1"):
            start(rng, 3, 0)
        with pytest.raises(ValueError, match=r"rng must be a numpy\.random\.Generator"):
            start(0, 3, 3)
    with pytest.raises(ValueError, match="gates must be one of"):
        models.gated_start(rng, 3, 3, gates="open")
    assert isinstance(models.gated_start(rng, 3, 3), Gated)


# Together


def test_training_on_strips_is_training_on_the_composed_strips():
    images, digits = pool(20)
    strips = Strips(images, digits, 2)
    start = models.relu_start(np.random.default_rng(0), strips.n, 5)
    options = {"rule": Adadelta(), "learning_rate": 1.0, "batch": 6, "epochs": 1, "dtype": "float64"}
    source = Source(strips.size, strips.draw, gather, strips.store)
    (ours,) = train(models.relu, start, source, rng=np.random.default_rng(4), **options)
    X, y = strips.compose(strips.draw(np.random.default_rng(4)))
    whole = examples(X, y)
    in_order = Source(len(y), lambda rng: np.arange(len(y)), whole.gather, whole.store)
    (theirs,) = train(models.relu, start, in_order, rng=np.random.default_rng(4), **options)
    for one, other in zip(ours.params, theirs.params, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


# The benchmark


@pytest.mark.parametrize("name", parity_minibatch.LOOPS)
def test_every_loop_of_the_benchmark_follows_the_reference(name):
    if not parity_minibatch.LOOPS[name].installed:
        pytest.skip(f"{parity_minibatch.LOOPS[name].needs} is not installed")
    images, digits = parity_minibatch.synthetic(np.random.default_rng(0), 300)
    strips = Strips(images, digits, 2)
    start = models.relu_start(np.random.default_rng(0), strips.n, 6)
    visits = strips.draw(np.random.default_rng(1))  # the last batch is a partial one
    expected = parity_minibatch.numpy_steps(start, strips, visits, "float64").params
    assert parity_minibatch.apart(start, expected) > 0.01
    found = parity_minibatch.LOOPS[name].loop(start, strips, visits).params
    assert parity_minibatch.apart(found, expected) < 1e-5
    assert {np.asarray(part).dtype for part in found} == {np.dtype(np.float32)}


def test_the_benchmark_reports(tmp_path, capsys):
    report = parity_minibatch.main(["--quick", "--json", str(tmp_path / "found.json")])
    assert (tmp_path / "found.json").exists()
    for rows in report["inputs"].values():
        assert rows[0]["competitor"] == "engine"
        assert all(row["ms_per_step"] > 0 and row["from_float64"] < 1e-5 for row in rows)
    assert {row["model"] for row in report["models"]} == set(MODELS)
    assert report["limit"]["ms"] > 0
    assert "this trainer" in capsys.readouterr().out


# The stand-in


def test_absent_images_are_announced_and_a_mistyped_folder_is_refused(tmp_path, monkeypatch):
    from learnability.studies.parity import runs_strips as strips

    monkeypatch.setattr(datasets, "mnist_path", lambda: None)
    published = {"data": "digits", "units": 512}
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path))
    for units in (512, 16, 24):  # whatever was set by the user: never silently replaced
        with pytest.warns(datasets.StandInWarning, match="8x8 digits stand in"):
            strips.ready([{**published, "units": units}])
    monkeypatch.setenv("LEARNABILITY_DATA", str(tmp_path / "mistyped"))
    with pytest.raises(ValueError, match=r"LEARNABILITY_DATA must name a folder, got .*mistyped"):
        strips.ready([published])
