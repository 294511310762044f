import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learnability.networks.one_hidden import RANDOM_KINDS, OneHidden, activate, forward, hidden, random_init
from learnability.networks.symmetry import (
    SYMMETRY_KINDS,
    dead_neurons,
    embedding,
    represent_relu,
    represent_sigmoid,
    represent_zigzag,
    symmetry_init,
)
from learnability.problems.symmetry import all_symmetric, enumerate_cube, exact_error

REPRESENTATIONS = [(represent_sigmoid, "sigmoid"), (represent_relu, "relu"), (represent_zigzag, "relu")]


@pytest.mark.parametrize(("represent", "activation"), REPRESENTATIONS)
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_every_symmetric_function_is_represented(represent, activation, n):
    for f in all_symmetric(n):
        params = represent(n, f.accepted)
        assert exact_error(lambda X, params=params: forward(params, X, activation), f) == 0.0


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n)))))
def test_outputs_of_the_constructions_by_weight(case):
    n, A = case
    k = np.arange(n + 1)
    inside = np.isin(k, list(A))
    relu = represent_relu(n, A)
    np.testing.assert_array_equal(embedding(relu) @ relu.M + relu.b, np.where(inside, 0.5, -0.5))
    zigzag = represent_zigzag(n, A)
    distance = np.array([min((abs(j - a) for a in A), default=1) for j in k])
    expected = 0.5 - distance if A else np.full(n + 1, -0.5)
    np.testing.assert_array_equal(embedding(zigzag) @ zigzag.M + zigzag.b, expected)
    sigmoid = represent_sigmoid(n, A)
    sums = embedding(sigmoid, activation="sigmoid") @ sigmoid.M
    assert (sums[inside] > 0.84).all()
    assert (sums[~inside] < 0.17).all()


@pytest.mark.parametrize(
    ("kind", "width", "dead"),
    [("integer", 13, 2), ("half_integer", 42, 2), ("quarter", 43, 2), ("integer_padded", 43, 32)],
)
def test_widths_and_dead_neurons(kind, width, dead):
    n = 10
    params = symmetry_init(n, kind)
    assert params.W.shape == (width, n)
    assert params.B.shape == params.M.shape == (width,)
    assert not params.M.any()
    assert params.b == 0.0
    mask = dead_neurons(params)
    assert mask.sum() == dead
    zero = (hidden(params, enumerate_cube(n)) == 0).all(axis=0)
    np.testing.assert_array_equal(mask, zero)


def test_the_paper_offsets():
    np.testing.assert_array_equal(symmetry_init(3, "integer").B, [1, 0, -1, -2, -3, -4])
    np.testing.assert_array_equal(symmetry_init(1, "half_integer").B, [0, -0.5, -1, 0, 0.5, 1])
    np.testing.assert_array_equal(symmetry_init(1, "half_integer").W[:, 0], [1, 1, 1, -1, -1, -1])
    np.testing.assert_array_equal(symmetry_init(1, "quarter").B, [0.25, 0, -0.25, -0.5, -0.75, -1, -1.25])
    np.testing.assert_array_equal(symmetry_init(2, "sigmoid").B, [0.5, -0.5, -1.5, -2.5])
    literal = symmetry_init(6, const_neuron=True)
    assert literal.W.shape == (27, 6)
    assert embedding(literal)[:, -1].tolist() == [1.0] * 7


@pytest.mark.parametrize("kind", SYMMETRY_KINDS)
@pytest.mark.parametrize("n", [1, 2, 9])
def test_embedding_is_the_hidden_layer_and_has_full_rank(kind, n):
    activation = "sigmoid" if kind == "sigmoid" else "relu"
    params = symmetry_init(n, kind)
    V = embedding(params, activation=activation)
    X = enumerate_cube(n)
    np.testing.assert_allclose(hidden(params, X, activation), V[X.sum(axis=1).astype(int)], rtol=1e-14)
    assert np.linalg.matrix_rank(V) == n + 1
    np.testing.assert_array_equal(embedding(params, [n, 0], activation), V[[n, 0]])


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_dead_neurons_of_any_weights(n, L, seed):
    rng = np.random.default_rng(seed)
    params = OneHidden(
        rng.integers(-2, 3, (L, n)).astype(float), rng.integers(-5, 3, L).astype(float), np.ones(L), 0.0
    )
    zero = (hidden(params, enumerate_cube(n)) == 0).all(axis=0)
    np.testing.assert_array_equal(dead_neurons(params), zero)


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("normal", 1.0, 1.0),
        ("he", 2 / 50, 2 / 4000),
        ("xavier", 2 / 4050, 2 / 4001),
        ("lecun", 1 / 50, 1 / 4000),
        ("pytorch", 1 / 150, 1 / 12000),
    ],
)
def test_random_inits_have_the_stated_variances(kind, first, second):
    params = random_init(np.random.default_rng(0), 50, 4000, kind)
    assert params.W.shape == (4000, 50)
    assert params.W.var() == pytest.approx(first, rel=0.05)
    assert params.M.var() == pytest.approx(second, rel=0.1)
    if kind in ("normal", "pytorch"):
        assert params.B.var() == pytest.approx(first, rel=0.1)
        assert params.b != 0.0
    else:
        assert not params.B.any()
        assert params.b == 0.0
    again = random_init(np.random.default_rng(0), 50, 4000, kind)
    np.testing.assert_array_equal(params.W, again.W)


def test_random_kinds_are_all_tested():
    assert set(RANDOM_KINDS) == {"normal", "he", "xavier", "lecun", "pytorch"}


def test_activations():
    z = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0])
    np.testing.assert_array_equal(activate(z, "relu"), [0, 0, 0, 1, 1000])
    np.testing.assert_allclose(activate(z, "sigmoid"), [0, 1 / (1 + np.exp(5)), 0.5, 1 / (1 + np.exp(-5)), 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symmetry_init(0), "n must be >= 1"),
        (lambda: symmetry_init(3, "third"), "kind must be one of 'integer'"),
        (lambda: symmetry_init(3, "integer", const_neuron=True), "const_neuron must be False"),
        (lambda: represent_relu(3, [4]), "A must be <= 3, got 4"),
        (lambda: represent_sigmoid(3, [-1]), "A must be >= 0, got -1"),
        (lambda: represent_zigzag(0, []), "n must be >= 1"),
        (lambda: represent_relu(3, None), "A must be an iterable of integers, got None"),
        (lambda: random_init(None, 3, 2, "he"), "rng must be a numpy.random.Generator, got None"),
        (lambda: random_init(7, 3, 2, "he"), "rng must be a numpy.random.Generator, got 7"),
        (lambda: random_init(np.random.default_rng(0), 3, 0, "he"), "L must be >= 1"),
        (lambda: random_init(np.random.default_rng(0), 3, 3, "zero"), "kind must be one of"),
        (lambda: forward(symmetry_init(3), [[0, 1]]), "X must have 3 columns"),
        (lambda: forward(symmetry_init(3), [[0, 1, 0]], "tanh"), "activation must be one of"),
        (lambda: forward(symmetry_init(3), [[0, 1, float("inf")]]), "X must be finite"),
        (lambda: embedding(random_init(np.random.default_rng(0), 3, 2, "he")), "constant rows"),
        (
            lambda: hidden(OneHidden(np.ones((2, 3)), np.zeros(3), np.zeros(2), 0.0), [[0, 1, 0]]),
            "B must have length 2",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
