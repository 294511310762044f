"""The papers' starts for layers of PyTorch: in place, of the right distribution, and what is refused."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learnability.errors import RequestError  # noqa: E402
from learnability.networks import parity, separable, symmetry  # noqa: E402
from learnability.networks.one_hidden import OneHidden  # noqa: E402
from learnability.networks.parity import ParityNet  # noqa: E402
from learnability.networks.residual import ResNet3  # noqa: E402
from learnability.networks.separable import TwoLayer  # noqa: E402
from learnability.networks.strips import MODELS, Relu  # noqa: E402
from learnability.nn import torch as pieces  # noqa: E402
from learnability.nn.torch import conversion, initialisations, networks  # noqa: E402
from nn_learners import flat  # noqa: E402

Linear = torch.nn.Linear


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rng(seed=0):
    return np.random.default_rng(seed)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# Starts


def filled(start, *, dtype=torch.float64, generator=None, **options):
    """What a start makes of layers of the right widths, in NumPy."""
    if start == "symmetry":
        kind = options.get("kind", "half_integer")
        L = len(symmetry.neurons(5, kind, const_neuron=options.get("const_neuron", False))[1])
        layers, network = (Linear(5, L, dtype=dtype), Linear(L, 1, dtype=dtype)), OneHidden
        found = pieces.symmetry_(*layers, generator=generator, **options)
    elif start == "parity":
        layers, network = (Linear(30, 400, dtype=dtype), Linear(400, 1, bias=False, dtype=dtype)), ParityNet
        found = pieces.parity_(*layers, 3, generator=generator, **options)
    elif start == "separable":
        layers = Linear(30, 400, bias=False, dtype=dtype), Linear(400, 1, bias=False, dtype=dtype)
        found, network = pieces.separable_(*layers, generator=generator, **options), TwoLayer
    elif start in MODELS:
        layers, network = strips_layers(start, dtype=dtype), MODELS[start].kind
        found = pieces.strips_(start, *layers, generator=generator, **options)
    else:
        layers = Linear(30, 400, dtype=dtype), Linear(7, 400, dtype=dtype), Linear(400, 7, bias=False, dtype=dtype)
        found, network = pieces.residual_(*layers, generator=generator, **options), ResNet3
    assert all(given is returned for given, returned in zip(layers, found, strict=True))
    assert all(part.dtype == dtype and part.requires_grad for layer in layers for part in layer.parameters())
    return pieces.read(network, *layers)


def strips_layers(model, n=30, p=400, **options):
    """Layers for a model of the MNIST-parity experiment."""
    pairs = [Linear(n, p, **options), Linear(p, 1, **options)]
    gates = [Linear(n, p, bias=False, **options)] if model == "gated" else []
    first = [Linear(n, p, **options), Linear(p, 1, **options)] if model == "linearised" else []
    return *first, *gates, *pairs


STARTS = ("symmetry", "parity", "separable", "residual", "gated", "linearised", "gaussian_features")


@pytest.mark.parametrize(
    ("kind", "const_neuron"), [*((kind, False) for kind in symmetry.SYMMETRY_KINDS), ("half_integer", True)]
)
def test_the_symmetry_start_is_that_of_numpy(kind, const_neuron):
    found = filled("symmetry", kind=kind, const_neuron=const_neuron)
    wanted = symmetry.symmetry_init(5, kind, const_neuron=const_neuron)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", parity.FORMS)
def test_the_parity_start_has_its_distribution_and_its_pairs(form):
    found = filled("parity", form=form, generator=seeded())
    q, twin = 200, 1 if form == "safe" else -1
    np.testing.assert_array_equal(found.W[q:], twin * found.W[:q])
    np.testing.assert_array_equal(found.u[q:], -found.u[:q])
    np.testing.assert_array_equal(found.b, np.repeat([1 / 24, twin / 24], q))
    values, counts = np.unique(found.W[:q], return_counts=True)
    np.testing.assert_array_equal(values, [-1, 0, 1])
    np.testing.assert_allclose(counts / (30 * q), 1 / 3, atol=0.03)
    assert np.abs(found.u).max() <= 10
    assert np.abs(found.u).max() > 9.5
    assert found.u[:q].var() == pytest.approx(100 / 3, rel=0.2)
    if form == "safe":
        X = rng().choice([-1.0, 1.0], (20, 30)) / math.sqrt(30)
        np.testing.assert_allclose(parity.forward(found, X), 0, atol=1e-12)


@pytest.mark.parametrize("norm", separable.NORMS)
def test_the_separable_start_has_its_distribution(norm):
    found = filled("separable", radius=2.0, v=0.5, norm=norm, generator=seeded())
    np.testing.assert_array_equal(found.v, np.repeat([0.5, -0.5], 200))
    norms = np.linalg.norm(found.W, axis=1)
    if norm == "exact":
        np.testing.assert_allclose(norms, 2, rtol=1e-12)
    else:  # (norm / R)^d is uniform
        assert norms.max() <= 2
        shares = np.sort((norms / 2) ** 30)
        assert np.abs(shares - np.linspace(0, 1, 400)).max() < 0.08
    directions = found.W / norms[:, None]
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(directions.T @ directions / 400, np.eye(30) / 30, atol=0.012)


def test_the_separable_start_is_by_default_equation_6_and_a_bias_is_a_coordinate():
    found = filled("separable")
    np.testing.assert_allclose(np.linalg.norm(found.W, axis=1), 1 / math.sqrt(400))
    np.testing.assert_allclose(found.v, np.repeat([1, -1], 200) / math.sqrt(400))
    hidden, readout = Linear(3, 6), Linear(6, 1, bias=False)
    pieces.separable_(hidden, readout)
    lifted = pieces.read(TwoLayer, hidden, readout)
    assert lifted.W.shape == (6, 4)
    np.testing.assert_allclose(np.linalg.norm(lifted.W, axis=1), 1 / math.sqrt(6), rtol=1e-6)
    assert lifted.W[:, 3].all()


@pytest.mark.parametrize(("sigma_w", "sigma_v"), [(None, 1.0), (0.5, 3.0)])
def test_the_residual_start_has_its_variances(sigma_w, sigma_v):
    found = filled("residual", sigma_w=sigma_w, sigma_v=sigma_v, generator=seeded())
    for part, scale in ((found.W, sigma_w or 1 / 20), (found.V, sigma_v / 20), (found.A, 1 / 20)):
        assert part.std() == pytest.approx(scale, rel=0.05)
        assert abs(part.mean()) < 0.1 * scale
        assert part[:, -1].std() == pytest.approx(scale, rel=0.15) or part is found.A  # biases like weights


def test_the_starts_of_the_mnist_parity_experiment_have_their_distribution():
    net = filled("relu", generator=seeded())
    for part, limit in ((net.W, math.sqrt(6 / 430)), (net.u, math.sqrt(6 / 401))):
        assert 0.985 * limit < np.abs(part).max() <= limit
        assert abs(part.mean()) < 0.1 * limit
    assert not net.b.any()
    assert net.c.shape == ()
    assert not net.c
    same, gated = (filled("gated", gates=gates, generator=seeded()) for gates in ("same", "independent"))
    moves = filled("linearised", generator=seeded())
    for other in (filled("relu_features", generator=seeded()), Relu(*same[1:]), Relu(*gated[1:]), moves.start):
        assert all(np.array_equal(a, b) for a, b in zip(other, net, strict=True))
    np.testing.assert_array_equal(same.G, net.W)
    assert gated.G.std() == pytest.approx(net.W.std(), rel=0.05)
    assert abs(np.corrcoef(gated.G.ravel(), net.W.ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(moves.u, net.u)
    assert not any(part.any() for part in (moves.W, moves.b, moves.c))
    waves = filled("gaussian_features", generator=seeded())
    assert waves.W.std() * math.sqrt(30) == pytest.approx(4, rel=0.03)
    assert 0 <= waves.phase.min() < 0.1
    assert 6.18 < waves.phase.max() < 2 * math.pi
    assert waves.phase.mean() == pytest.approx(math.pi, rel=0.1)


@pytest.mark.parametrize("start", STARTS)
def test_draws_come_from_the_generator_or_else_the_global_one(start):
    one, again, other = (flat(filled(start, generator=seeded(seed))) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert start == "symmetry" or not np.array_equal(one[0], other[0])
    before = torch.random.get_rng_state()
    filled(start, generator=seeded())
    torch.random.set_rng_state(before)
    torch.manual_seed(3)
    one = flat(filled(start))
    torch.manual_seed(3)
    assert all(np.array_equal(a, b) for a, b in zip(one, flat(filled(start)), strict=True))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_types_are_kept_and_no_gradient_is_recorded(start, dtype):
    found = filled(start, dtype=dtype, generator=seeded())
    assert all(np.isfinite(part).all() for part in flat(found))
    if start == "separable":
        np.testing.assert_allclose(np.linalg.norm(found.W, axis=1), 1 / 20, rtol=0.01)


def test_what_is_trained_and_the_device_stay():
    for device in ("cpu", "meta"):
        hidden, readout = Linear(4, 8, bias=False, device=device), Linear(8, 1, bias=False, device=device)
        readout.requires_grad_(False)
        pieces.separable_(hidden, readout, generator=seeded())
        assert (hidden.weight.requires_grad, readout.weight.requires_grad) == (True, False)
        assert hidden.weight.device.type == readout.weight.device.type == device
        assert hidden.weight.grad_fn is None
    pieces.parity_(Linear(4, 8, device="meta"), Linear(8, 1, bias=False, device="meta"), 3, generator=seeded())
    pieces.symmetry_(Linear(4, 18, device="meta"), Linear(18, 1, device="meta"))
    for model in ("gated", "linearised", "gaussian_features"):
        layers = strips_layers(model, 4, 8, device="meta")
        layers[0].requires_grad_(False)
        pieces.strips_(model, *layers, generator=seeded())
        assert [layer.weight.requires_grad for layer in layers] == [False, *[True] * (len(layers) - 1)]


def test_layers_may_be_tensors_and_any_module_with_weights():
    W, B, M, b = torch.ones(18, 4), torch.ones(18), torch.ones(18), torch.ones(())
    found = pieces.symmetry_((W, B), (M, b))
    assert found[0][0] is W
    wanted = symmetry.symmetry_init(4)
    np.testing.assert_array_equal(W, wanted.W)
    np.testing.assert_array_equal(B, wanted.B)
    assert not M.any()
    assert not b
    W, v = torch.empty(6, 3), torch.empty(6)
    assert pieces.separable_(W, v) == (W, v)
    np.testing.assert_allclose(v, np.repeat([1, -1], 3) / math.sqrt(6), rtol=1e-6)
    u = torch.empty(6)
    pieces.parity_((torch.empty(6, 3), torch.empty(6)), u, 3)
    np.testing.assert_array_equal(u[3:], -u[:3])

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(1, 6))
            self.register_buffer("bias", None)

    own = Own()
    pieces.separable_(W, own)
    np.testing.assert_array_equal(own.weight.detach()[0], v)
    (W_0, b_0), (u_0, c_0), (W, b), (u, c) = [
        part for _ in range(2) for part in ((torch.ones(6, 3), torch.ones(6)), (torch.ones(6), torch.ones(())))
    ]
    u = torch.ones(1, 6)
    pieces.strips_("linearised", (W_0, b_0), (u_0, c_0), (W, b), (u, c))
    np.testing.assert_array_equal(u[0], u_0)
    assert not any(part.any() for part in (b_0, c_0, W, b, c))
    several = Linear(18, 3)
    pieces.symmetry_(Linear(4, 18), several)
    assert not several.weight.any()
    assert not several.bias.any()


REFUSED = {
    "symmetry width": (
        lambda: pieces.symmetry_(Linear(4, 17), Linear(17, 1)),
        r"hidden.weight must have 4 n \+ 2 = 18 rows for kind 'half_integer' and n = 4, got 17",
    ),
    "symmetry constant neuron": (
        lambda: pieces.symmetry_(Linear(4, 18), Linear(18, 1), const_neuron=True),
        r"hidden.weight must have 4 n \+ 2 \+ 1 = 19 rows for kind 'half_integer' and n = 4, got 18",
    ),
    "symmetry kind": (lambda: pieces.symmetry_(Linear(4, 18), Linear(18, 1), "half"), "kind must be one of"),
    "symmetry bias": (
        lambda: pieces.symmetry_(Linear(4, 18, bias=False), Linear(18, 1)),
        "hidden.bias must be a tensor, as the network has biases here, got None",
    ),
    "symmetry readout": (
        lambda: pieces.symmetry_(Linear(4, 18), Linear(17, 1)),
        r"readout.weight must have shape \(1, 18\), got \(1, 17\)",
    ),
    "symmetry readout bias": (
        lambda: pieces.symmetry_(Linear(4, 18), (torch.ones(1, 18), torch.ones(2))),
        r"readout.bias must have shape \(1,\), got \(2,\)",
    ),
    "symmetry type": (
        lambda: pieces.symmetry_(Linear(150, 602, dtype=torch.bfloat16), Linear(602, 1)),
        "hidden.bias must have a type that holds the biases exactly, up to 150.0 for n = 150, got torch.bfloat16",
    ),
    "parity odd": (
        lambda: pieces.parity_(Linear(4, 7), Linear(7, 1, bias=False), 3),
        "hidden.weight must have an even number of rows, as many units of each sign, got 7",
    ),
    "parity k": (
        lambda: pieces.parity_(Linear(4, 8), Linear(8, 1, bias=False), 5),
        "k must be <= n = 4, the columns of hidden.weight, got 5",
    ),
    "parity k of 0": (lambda: pieces.parity_(Linear(4, 8), Linear(8, 1, bias=False), 0), "k must be >= 1, got 0"),
    "parity form": (
        lambda: pieces.parity_(Linear(4, 8), Linear(8, 1, bias=False), 3, "loose"),
        "form must be one of 'safe', 'printed', got 'loose'",
    ),
    "parity bias": (
        lambda: pieces.parity_(Linear(4, 8), Linear(8, 1), 3),
        r"readout.bias must be None, as the network has no biases here .*, got a tensor of shape \(1,\)",
    ),
    "separable readout": (
        lambda: pieces.separable_(Linear(4, 8), Linear(8, 2, bias=False)),
        r"readout.weight must have shape \(1, 8\) or \(8,\), got \(2, 8\)",
    ),
    "separable radius": (
        lambda: pieces.separable_(Linear(4, 8), Linear(8, 1, bias=False), radius=float("nan")),
        "radius must be finite, got nan",
    ),
    "separable v": (
        lambda: pieces.separable_(Linear(4, 8), Linear(8, 1, bias=False), v=0),
        "v must be > 0.0, got 0",
    ),
    "residual second": (
        lambda: pieces.residual_(Linear(4, 8), Linear(4, 8), Linear(8, 3, bias=False)),
        r"second.weight must have shape \(8, 3\), got \(8, 4\)",
    ),
    "residual sigma": (
        lambda: pieces.residual_(Linear(4, 8), Linear(3, 8), Linear(8, 3, bias=False), sigma_v=-1),
        "sigma_v must be >= 0.0, got -1",
    ),
    "strips model": (
        lambda: pieces.strips_("reul", Linear(4, 8), Linear(8, 1)),
        "model must be one of 'relu', 'gated', 'linearised', 'relu_features', 'gaussian_features', got 'reul'",
    ),
    "strips layers": (
        lambda: pieces.strips_("gated", Linear(4, 8), Linear(8, 1)),
        "layers must be those of a Gated, gates, hidden, readout, got 2 of them",
    ),
    "strips gates": (
        lambda: pieces.strips_("relu", Linear(4, 8), Linear(8, 1), gates="same"),
        "gates must be 'independent' for model 'relu', got 'same'",
    ),
    "strips gates' width": (
        lambda: pieces.strips_("gated", Linear(4, 7, bias=False), Linear(4, 8), Linear(8, 1)),
        r"gates.weight must have shape \(8, 4\), got \(7, 4\)",
    ),
    "strips readout": (
        lambda: pieces.strips_("relu", Linear(4, 8), Linear(8, 2)),
        r"readout.weight must have shape \(1, 8\) or \(8,\), got \(2, 8\)",
    ),
    "strips readout bias": (
        lambda: pieces.strips_("linearised", *strips_layers("relu", 4, 8), Linear(4, 8), Linear(8, 1, bias=False)),
        "readout.bias must be a tensor, as the network has biases here, got None",
    ),
    "generator": (
        lambda: pieces.separable_(Linear(4, 8), Linear(8, 1, bias=False), generator=0),
        "generator must be a torch.Generator or None, got 0",
    ),
    "generator of the symmetry start": (
        lambda: pieces.symmetry_(Linear(4, 18), Linear(18, 1), generator=rng()),
        "generator must be a torch.Generator or None, got Generator",
    ),
    "no layer": (lambda: pieces.separable_(3, Linear(8, 1)), "hidden must be a layer, a tensor or a pair .*, got 3"),
    "no weight": (
        lambda: pieces.separable_(torch.nn.ReLU(), Linear(8, 1)),
        r"hidden must be a layer with a weight, got ReLU\(\)",
    ),
    "no tensor": (
        lambda: pieces.separable_((np.ones((8, 4)), None), Linear(8, 1)),
        r"hidden.weight must be a tensor, got array\(",
    ),
    "lazy": (
        lambda: pieces.separable_(torch.nn.LazyLinear(8), Linear(8, 1)),
        "hidden.weight must have a shape, got a lazy module's before its first forward pass",
    ),
    "integers": (
        lambda: pieces.separable_(torch.ones(8, 4, dtype=torch.int64), Linear(8, 1)),
        "hidden.weight must hold floating-point numbers, got torch.int64",
    ),
    "eight bits": (
        lambda: pieces.parity_(Linear(4, 8), torch.ones(8).to(torch.float8_e4m3fn), 3),
        "readout.weight must be of one of torch.float16, .*, torch.float64, got torch.float8_e4m3fn",
    ),
    "sparse": (
        lambda: pieces.separable_(torch.ones(8, 4).to_sparse(), Linear(8, 1, bias=False)),
        "hidden.weight must be a dense tensor, got torch.sparse_coo",
    ),
    "inference": (
        lambda: pieces.separable_(torch.inference_mode()(torch.ones)(8, 4), Linear(8, 1, bias=False)),
        "hidden.weight must be a tensor that can be changed, got one of torch.inference_mode",
    ),
    "const_neuron": (
        lambda: pieces.symmetry_(Linear(4, 18), Linear(18, 1), const_neuron="yes"),
        "const_neuron must be True or False, got 'yes'",
    ),
    "parity in half precision": (
        lambda: pieces.parity_(Linear(70000, 2), Linear(2, 1, bias=False, dtype=torch.float16), 1),
        "n / k must be <= 65504.0 in float16, got 70000.0",
    ),
    "separable v in half precision": (
        lambda: pieces.separable_(torch.ones(8, 4), torch.ones(8, dtype=torch.float16), v=1e-30),
        "v must be >= 6.1.*e-05 in float16, got 1e-30",
    ),
    "residual sigma beyond": (
        lambda: pieces.residual_(Linear(4, 8), Linear(3, 8), Linear(8, 3, bias=False), sigma_w=1e300),
        r"sigma_w must be <= 2.*e\+37 in float32, got 1e\+300",
    ),
    "computed": (
        lambda: pieces.separable_(torch.nn.utils.parametrizations.weight_norm(Linear(4, 8)), Linear(8, 1)),
        "hidden.weight must be a tensor of its own, got one that is computed from others",
    ),
    "convolution": (
        lambda: pieces.separable_(torch.nn.Conv1d(4, 8, 3), Linear(8, 1, bias=False)),
        r"hidden.weight must have shape \(rows >= 1, columns >= 1\), got \(8, 4, 3\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises(RequestError, match=f"^{message}"):
        call()


def test_nothing_is_filled_if_anything_is_refused():
    hidden, readout = Linear(4, 18), Linear(17, 1)
    half = torch.ones(18, 4, dtype=torch.float16)
    before = [part.detach().clone() for layer in (hidden, readout) for part in layer.parameters()]
    for call in (
        lambda: pieces.symmetry_(hidden, (torch.ones(1, 18), torch.zeros(1).expand(1, 18)[0])),
        lambda: pieces.symmetry_((hidden.weight, torch.zeros(1).expand(18)), Linear(18, 1)),
        lambda: pieces.separable_(half, torch.ones(18, dtype=torch.float16), radius=1e30, v=1e30),
        lambda: pieces.copy_(symmetry.symmetry_init(4)._replace(b=1e300), hidden, Linear(18, 1)),
        lambda: pieces.symmetry_(hidden, readout),
        lambda: pieces.parity_(hidden, Linear(18, 1, bias=False), 9),
        lambda: pieces.strips_("relu", hidden, readout),
        lambda: pieces.copy_(symmetry.symmetry_init(4), hidden, readout),
    ):
        with pytest.raises(RequestError):
            call()
    after = [part for layer in (hidden, readout) for part in layer.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (half == 1).all()


# The package


@pytest.mark.parametrize("module", [initialisations, networks, conversion], ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_run(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
