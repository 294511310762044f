"""Residual networks: forward passes, methods, starts, and Fact C.4's gradient by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learnability.networks import residual as networks
from learnability.networks.residual import (
    METHODS,
    NETWORKS,
    Layer2,
    Layer3,
    ResNet3,
    Tangent,
    apply,
    features,
    forward,
    gates,
    gradient,
    increment,
    initial,
    learner,
    size,
    tangent,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def relu(z):
    return np.maximum(z, 0)


@jax.jit
@jax.value_and_grad
def automatic(params, X, Y):
    return ((apply(params, X) - Y) ** 2).sum() / (2 * len(X))


def case(seed, d=5, k=3, m=7, n=6):
    g = rng(seed)
    params = initial(g, "3resnet", d, k, m, sigma_w=0.8, sigma_v=2.0)
    return params, g.standard_normal((n, d)), g.standard_normal((n, k))


class TestForward:
    def test_by_hand(self):
        """Section 2's form with the full U = V A and separate biases, one example and one unit at a time."""
        (W, V, A), X, _ = params, X, _ = case(1)
        U, b_1, b_2 = V[:, :-1] @ A, W[:, -1], V[:, -1]
        for x, out in zip(X, forward(params, X), strict=True):
            h = relu(W[:, :-1] @ x + b_1)
            np.testing.assert_allclose(out, A @ (h + relu(U @ h + b_2)), rtol=1e-12)

    def test_other_networks_by_hand(self):
        g = rng(2)
        X = g.standard_normal((6, 5))
        W, U, A = three = initial(g, "3layer", 5, 3, 7)
        h = relu(X @ W[:, :5].T + W[:, 5])
        np.testing.assert_allclose(forward(three, X), relu(h @ U[:, :7].T + U[:, 7]) @ A.T, rtol=1e-12)
        np.testing.assert_allclose(forward(Layer2(W, A), X), h @ A.T, rtol=1e-12)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_is_linear_in_its_features(self, network):
        params = initial(rng(3), network, 5, 3, 7)
        X = rng(4).standard_normal((6, 5))
        np.testing.assert_allclose(features(params, X) @ params.A.T, forward(params, X), atol=1e-13)
        with jax.enable_x64(True):
            np.testing.assert_allclose(apply(jax.tree.map(jnp.asarray, params), X), forward(params, X), rtol=1e-12)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda p: p._replace(V=p.V[:, :-1]), r"params.V must have shape \(7, 4\) beside A of shape \(3, 7\)"),
            (lambda p: p._replace(W=p.W[:-1]), r"params.W must have shape \(7, 6\)"),
            (lambda p: p._replace(A=p.A * np.nan), "params.A must be finite"),
            (lambda p: p._replace(W=p.W[:, :-1]), "X must have 4 columns"),
            (tuple, "params must be a ResNet3, a Layer3 or a Layer2, got tuple"),
        ],
    )
    def test_refuses(self, change, message):
        params, X, _ = case(1)
        with pytest.raises(ValueError, match=message):
            forward(change(params), X)


class TestStart:
    def test_shapes_and_size(self):
        shapes = {
            "3resnet": {"W": (9, 6), "V": (9, 4), "A": (3, 9)},
            "3layer": {"W": (9, 6), "U": (9, 10), "A": (3, 9)},
            "2layer": {"W": (9, 6), "A": (3, 9)},
        }
        for network, expected in shapes.items():
            params = initial(rng(), network, 5, 3, 9)
            assert {name: part.shape for name, part in params._asdict().items()} == expected
            assert sum(part.size for part in params) == size(network, 5, 3, 9)

    def test_scales(self):
        m = 20_000
        W, V, A = initial(rng(), "3resnet", 4, 3, m)
        assert [part.std() * m**0.5 for part in (W, V, A)] == pytest.approx([1, 1, 1], abs=0.02)
        assert [part.mean() * m**0.5 for part in (W, V, A)] == pytest.approx([0, 0, 0], abs=0.02)
        W, V, A = initial(rng(), "3resnet", 4, 3, m, sigma_w=0.5, sigma_v=3.0)
        assert [W.std(), V.std() * m**0.5, A.std() * m**0.5] == pytest.approx([0.5, 3, 1], rel=0.02)
        U = initial(rng(), "3layer", 4, 3, 300, sigma_v=2.0).U
        assert U.std() * 300**0.5 == pytest.approx(2, rel=0.02)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: initial(rng(), "resnet", 4, 3, 5), "network must be one of '3resnet', '3layer', '2layer'"),
            (lambda: initial(rng(), "2layer", 4, 3, 0), "m must be >= 1"),
            (lambda: initial(rng(), "2layer", 4, 3, 5, sigma_w=-1), "sigma_w must be >= 0"),
            (lambda: initial(0, "2layer", 4, 3, 5), "rng must be a numpy.random.Generator"),
            (lambda: size("2layer", 0, 3, 5), "d must be >= 1"),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestMethods:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("network", NETWORKS)
    def test_starts_at_the_networks_outputs(self, network, method):
        params, X = initial(rng(5), network, 5, 3, 7), rng(6).standard_normal((6, 5))
        made = learner(params, method)
        with jax.enable_x64(True):
            np.testing.assert_allclose(made.apply(made.params, made.inputs(X)), forward(params, X), rtol=1e-10)
        assert set(made.trainable) <= set(made.params._fields)

    def test_what_is_trained(self):
        params = initial(rng(5), "3layer", 5, 3, 7)
        assert learner(params, "all").trainable == ("W", "U", "A")
        assert learner(params, "hidden").trainable == ("W", "U")
        assert learner(params, "last").trainable == ("A",)
        assert learner(params, "ntk").trainable == ("move",)
        assert not any(part.any() for part in learner(params, "ntk").params.move)
        with pytest.raises(ValueError, match="method must be one of"):
            learner(params, "first")

    @pytest.mark.parametrize("network", NETWORKS)
    def test_tangent_is_the_linearisation(self, network):
        g = rng(7)
        params, X = initial(g, network, 5, 3, 7), g.standard_normal((6, 5))
        move = type(params)(*(g.standard_normal(part.shape) for part in params))
        with jax.enable_x64(True):
            out = np.asarray(tangent(Tangent(params, move), X))
            twice = np.asarray(tangent(Tangent(params, jax.tree.map(lambda part: 2 * part, move)), X))
        np.testing.assert_allclose(twice - out, out - forward(params, X), rtol=1e-9)  # affine in the increments
        step = 1e-6
        ahead, behind = (
            forward(type(params)(*(p + s * q for p, q in zip(params, move, strict=True))), X) for s in (step, -step)
        )
        np.testing.assert_allclose(out - forward(params, X), (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-7)

    def test_last_does_not_touch_the_bottleneck(self):
        """Training A in ``last`` leaves the features, and so the outputs are linear in A."""
        params, X, _ = case(8)
        made = learner(params, "last")
        changed = made.params._replace(A=3 * params.A)
        np.testing.assert_allclose(made.apply(changed, made.inputs(X)), 3 * forward(params, X), rtol=1e-12)
        assert not np.allclose(forward(params._replace(A=3 * params.A), X), 3 * forward(params, X))

    def test_trains(self):
        """All methods and networks go through the trainer, and lower the loss (each is compiled: not every pair)."""
        from learnability.training.minibatch import train
        from learnability.training.minibatch.optimisers import Sgd
        from learnability.training.minibatch.sources import examples

        g = rng(9)
        X = g.choice([-1.0, 1.0], (40, 4))
        Y = np.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1)
        pairs = [("3resnet", method) for method in METHODS] + [("3layer", "hidden"), ("2layer", "ntk")]
        for network, method in pairs:
            made = learner(initial(rng(10), network, 4, 2, 30), method)
            (run,) = train(
                made.apply,
                made.params,
                examples(made.inputs(X), Y),
                rule=Sgd(momentum=0.9),
                learning_rate=0.05,
                batch=10,
                epochs=15,
                rng=rng(11),
                loss="squared",
                trainable=made.trainable,
                record=[1, 15],
            )
            losses = run.columns["running_loss"]
            assert losses[-1] < 0.5 * losses[0], (network, method)


class TestGradient:
    @given(seed=st.integers(0, 10**6), shape=st.sampled_from([(1, 1, 1, 1), (5, 3, 7, 6), (2, 4, 9, 3)]))
    @settings(max_examples=25)
    def test_equals_automatic_differentiation(self, seed, shape):
        params, X, Y = case(seed, *shape)
        loss, found = gradient(params, X, Y)
        with jax.enable_x64(True):
            expected = automatic(jax.tree.map(jnp.asarray, params), X, Y)
        assert loss == pytest.approx(float(expected[0]), rel=1e-12)
        for ours, theirs in zip(found, expected[1], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)

    def test_equals_finite_differences(self):
        params, X, Y = case(3)
        found = gradient(params, X, Y)[1]
        for name in params._fields:
            part = getattr(params, name)
            for place in np.ndindex(part.shape):
                step = np.zeros_like(part)
                step[place] = 1e-6
                up, down = (gradient(params._replace(**{name: part + s * step}), X, Y)[0] for s in (1, -1))
                assert (up - down) / 2e-6 == pytest.approx(getattr(found, name)[place], abs=1e-7)

    @given(seed=st.integers(0, 10**6))
    @settings(max_examples=20)
    def test_fact_c4(self, seed):
        params, X, Y = case(seed)
        g = rng(seed + 1)
        W, V = g.standard_normal(params.W.shape), g.standard_normal(params.V.shape)
        f, add = increment(params, X, W, V)
        found = gradient(params, X, Y)[1]
        left = -(found.W * W).sum() - (found.V * V).sum()
        right = ((Y - forward(params, X)) * (f + add)).sum() / len(X)
        assert left == pytest.approx(right, rel=1e-9, abs=1e-10)

    def test_increment_is_the_papers_formula(self):
        """Written out with the diagonal matrices, for one example."""
        params, X, _ = case(4)
        (W, V, A), g = params, rng(5)
        W_move, V_move = g.standard_normal(W.shape), g.standard_normal(V.shape)
        f, add = increment(params, X, W_move, V_move)
        D_W, D_VW = gates(params, X)
        for i, x in enumerate(X):
            lifted = np.append(x, 1)
            first = A @ np.diag(D_W[i]) @ W @ lifted
            outer = A @ np.diag(D_VW[i])
            inner = A @ np.diag(D_W[i]) @ W_move @ lifted
            np.testing.assert_allclose(f[i], outer @ V @ np.append(inner, 0) + inner, rtol=1e-11)
            np.testing.assert_allclose(add[i], outer @ V_move @ np.append(first, 1), rtol=1e-11)
            np.testing.assert_allclose(forward(params, X)[i], first + outer @ V @ np.append(first, 1), rtol=1e-11)

    def test_gates_are_closed_below_zero_only(self):
        still = ResNet3(np.zeros((2, 2)), np.array([[0.0, -1.0], [0.0, 0.0]]), np.ones((1, 2)))
        D_W, D_VW = gates(still, [[1.0]])
        assert D_W.all()
        np.testing.assert_array_equal(D_VW, [[False, True]])
        found = gradient(still, [[1.0]], [[1.0]])[1]
        np.testing.assert_array_equal(found.W, -np.ones((2, 2)))  # the slope at 0 is 1
        with jax.enable_x64(True):
            theirs = jax.grad(lambda p: ((apply(p, np.ones((1, 1))) - 1) ** 2).sum() / 2)(
                jax.tree.map(jnp.asarray, still)
            )
        np.testing.assert_array_equal(theirs.W, found.W)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda p, X, Y: gradient(p, X, Y[:-1]), r"Y must have 6 rows, got shape \(5, 3\)"),
            (lambda p, X, Y: gradient(p, X, Y[:, :-1]), "Y must have 3 columns"),
            (lambda p, X, Y: increment(p, X, p.W[:-1], p.V), r"W must have 7 rows, got shape \(6, 6\)"),
            (lambda p, X, Y: increment(p, X, p.W, p.W), "V must have 4 columns"),
            (lambda p, X, Y: forward(Layer3(*p), X), r"params.U must have shape \(7, 8\)"),
        ],
    )
    def test_refuses(self, call, message):
        with pytest.raises(ValueError, match=message):
            call(*case(1))


class TestRefusals:
    """What is no such network, or too wide a one, is refused by name."""

    def test_no_network(self):
        for method in ("all", "ntk", "last"):
            with pytest.raises(ValueError, match="params must be a ResNet3, a Layer3 or a Layer2, got NoneType"):
                networks.learner(None, method)

    def test_formulas_of_the_resnet_want_a_resnet(self):
        X, Y = np.ones((2, 3)), np.ones((2, 2))
        for network in ("2layer", "3layer"):
            other = networks.initial(np.random.default_rng(0), network, 3, 2, 4)
            for call, rest in (
                (networks.gates, ()),
                (networks.increment, (other.W, other.W)),
                (networks.gradient, (Y,)),
            ):
                with pytest.raises(ValueError, match="params must be a ResNet3, got Layer"):
                    call(other, X, *rest)

    @pytest.mark.parametrize(("network", "m"), [("2layer", 10**30), ("3resnet", 10**10), ("3layer", 10**6)])
    def test_too_wide(self, network, m):
        with pytest.raises(
            ValueError, match=r"m must be at most about [\d,]+ for a .* within 1.6e\+10 bytes"
        ) as told:
            networks.initial(np.random.default_rng(0), network, 30, 15, m)
        most = int(str(told.value).split("about ")[1].split(" ")[0].replace(",", ""))
        assert 8 * networks.size(network, 30, 15, most) <= networks.MEMORY
        assert 8 * networks.size(network, 30, 15, most + most // 16) > networks.MEMORY
