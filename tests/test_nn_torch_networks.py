"""The papers' networks as modules of PyTorch, conversion both ways, and the loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from learnability.errors import RequestError  # noqa: E402
from learnability.networks import one_hidden, parity, residual, separable, strips, symmetry  # noqa: E402
from learnability.networks.one_hidden import OneHidden  # noqa: E402
from learnability.networks.parity import ParityNet  # noqa: E402
from learnability.networks.residual import ResNet3  # noqa: E402
from learnability.networks.separable import TwoLayer  # noqa: E402
from learnability.networks.strips import MODELS, Gated, Linearised, Relu  # noqa: E402
from learnability.nn import torch as pieces  # noqa: E402
from nn_learners import flat  # noqa: E402

Linear = torch.nn.Linear


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rng(seed=0):
    return np.random.default_rng(seed)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# Networks


def strips_model(model, seed=0, n=5, p=7):
    """A network of the MNIST-parity experiment, moved away from its start."""
    draw = rng(seed)
    start = MODELS[model].start(draw, n, p)
    trained = {name: getattr(start, name) for name in ("W", "u", "c")}
    return start._replace(
        **{name: np.asarray(part + 0.3 * draw.normal(size=part.shape)) for name, part in trained.items()}
    )


def network(name, seed=0):
    """A network in NumPy, its forward pass, and the module."""
    if name == "symmetry":
        params = symmetry.represent_zigzag(5, {0, 3})
        return params, one_hidden.forward, pieces.SymmetryNetwork(params)
    if name == "sigmoid":
        params = one_hidden.random_init(rng(seed), 5, 7, "normal")
        return (
            params,
            lambda params, X: one_hidden.forward(params, X, "sigmoid"),
            pieces.SymmetryNetwork(params, "sigmoid"),
        )
    if name == "parity":
        params = parity.initial(rng(seed), 5, 3, 6, "printed")
        return params, parity.forward, pieces.ParityNetwork(params)
    if name in ("separable", "relu"):
        params, alpha = separable.initial(rng(seed), 5, 4), 0.2 if name == "separable" else 0.0
        return (
            params,
            lambda params, X: separable.forward(params, X, alpha=alpha),
            pieces.SeparableNetwork(params, alpha),
        )
    if name in STRIPS:
        params = strips_model(STRIPS[name], seed)
        return params, strips.forward, pieces.StripsNetwork(params, STRIPS[name])
    params = residual.initial(rng(seed), "3resnet", 5, 3, 8)
    return params, residual.forward, pieces.ResidualNetwork(params)


STRIPS = {f"strips {model}": model for model in MODELS}
NETWORKS = ("symmetry", "sigmoid", "parity", "separable", "relu", "residual", *STRIPS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_is_the_network_and_gives_it_back(name):
    params, forward, module = network(name)
    X = rng().integers(-2, 3, (4, 6, 5)).astype(float)
    found = module(torch.from_numpy(X))
    wanted = forward(params, X.reshape(24, 5)).reshape(4, 6, *([3] if name == "residual" else []))
    np.testing.assert_allclose(found.detach(), wanted, rtol=1e-12, atol=1e-12)
    assert found.dtype == torch.float64
    assert module(torch.from_numpy(X[0, 0])).shape == wanted.shape[2:]
    back = module.to_numpy()
    assert type(back) is type(params)
    for a, b in zip(flat(back), flat(params), strict=True):
        np.testing.assert_array_equal(a, b)
        assert type(a) is type(b)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_dict_carries_a_network(name):
    params, _, module = network(name, seed=1)
    _, _, other = network(name, seed=2)
    other.load_state_dict(module.state_dict())
    assert all(np.array_equal(a, b) for a, b in zip(flat(other.to_numpy()), flat(params), strict=True))
    state = module.state_dict()
    layers = [(state[f"{layer}.weight"], state.get(f"{layer}.bias")) for layer in module.names]
    back = pieces.read(type(params), *layers)
    assert all(np.array_equal(a, b) for a, b in zip(flat(back), flat(params), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_is_a_copy_and_draws_nothing(name):
    before = torch.random.get_rng_state()
    params, _, module = network(name)
    assert torch.equal(before, torch.random.get_rng_state())
    with torch.no_grad():
        for part in module.parameters():
            part.add_(1)
    again = network(name)[0]
    assert all(np.array_equal(a, b) for a, b in zip(flat(params), flat(again), strict=True))
    taken = flat(module.to_numpy())
    with torch.no_grad():
        for part in module.parameters():
            part.zero_()
    assert any(np.any(part) for part in taken)


def test_modules_have_the_types_and_devices_that_are_asked_for():
    params = separable.initial(rng(), 5, 4)
    assert pieces.SeparableNetwork(params, 0.1).hidden.weight.dtype == torch.float64
    narrow = TwoLayer(*(part.astype(np.float32) for part in params))
    assert pieces.SeparableNetwork(narrow, 0.1).hidden.weight.dtype == torch.float32
    listed = pieces.SeparableNetwork(TwoLayer(params.W.tolist(), params.v.tolist()), 0.1)
    np.testing.assert_array_equal(listed.to_numpy().W, params.W)
    asked = pieces.SeparableNetwork(params, 0.1, dtype=torch.float32, device="cpu")
    assert asked(torch.ones(2, 5)).dtype == torch.float32
    assert asked.to_numpy().W.dtype == np.float64
    integers = ParityNet(np.ones((2, 3), int), np.zeros(2, int), np.ones(2, int))
    assert pieces.ParityNetwork(integers)(torch.ones(1, 3, dtype=torch.float64)).tolist() == [6.0]
    with torch.device("meta"):
        assert pieces.ParityNetwork(integers).hidden.weight.is_meta


def test_only_the_first_layer_of_the_separable_network_is_trained_unless_both_are():
    params = separable.initial(rng(), 5, 4)
    first, both = (pieces.SeparableNetwork(params, 0.1, layers=layers) for layers in ("first", "both"))
    assert [part.requires_grad for part in first.parameters()] == [True, False]
    assert [part.requires_grad for part in both.parameters()] == [True, True]


@pytest.mark.parametrize("model", MODELS)
def test_what_the_mnist_parity_experiment_trains_is_trained(model):
    module = pieces.StripsNetwork(strips_model(model), model)
    fields = {"hidden.weight": "W", "hidden.bias": "b", "readout.weight": "u", "readout.bias": "c"}
    trained = [fields[name] for name, part in module.named_parameters() if part.requires_grad]
    assert tuple(trained) == MODELS[model].trainable


ONE = np.ones((1, 1))
UNIT = Relu(ONE, np.zeros(1), np.ones(1), np.zeros(()))
KINKS = {
    "symmetry": (lambda: pieces.SymmetryNetwork(OneHidden(ONE, np.zeros(1), np.ones(1), 0.0)), {-1: 0, 0: 0, 2: 1}),
    "parity": (
        lambda: pieces.ParityNetwork(ParityNet(ONE, np.zeros(1), np.ones(1))),
        {-1: 0, 0: 0, 2: 1, 6: 0, 7: 0},
    ),
    "separable": (lambda: pieces.SeparableNetwork(TwoLayer(ONE, np.ones(1)), 0.25), {-1: 0.25, 0: 1, 2: 1}),
    "relu": (lambda: pieces.SeparableNetwork(TwoLayer(ONE, np.ones(1)), 0), {-1: 0, 0: 0, 2: 1}),
    "residual": (
        lambda: pieces.ResidualNetwork(ResNet3(np.eye(1, 2), np.zeros((1, 2)), ONE)),
        {-1: 0, 0: 1, 2: 1},
    ),
    "strips relu": (lambda: pieces.StripsNetwork(UNIT, "relu"), {-1: 0, 0: 0, 2: 1}),
    "strips gated": (lambda: pieces.StripsNetwork(Gated(-ONE, *UNIT), "gated"), {-1: 1, 0: 0, 2: 0}),
    "strips linearised": (
        lambda: pieces.StripsNetwork(Linearised(UNIT, ONE, *UNIT[1:]), "linearised"),
        {-1: 0, 0: 0, 2: 2},
    ),
}
"""One unit, and the derivative of the output at some inputs."""


@pytest.mark.parametrize("name", KINKS)
def test_derivatives_at_the_kinks_are_the_papers(name):
    module, wanted = KINKS[name]
    X = torch.tensor([*wanted], dtype=torch.float64)[:, None].requires_grad_()
    module()(X).sum().backward()
    np.testing.assert_array_equal(X.grad[:, 0], [*wanted.values()])


def test_a_number_that_is_none_stays_visible():
    for name in NETWORKS:
        module = network(name)[2]
        assert module(torch.full((1, 5), math.nan, dtype=torch.float64)).isnan().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_module_can_be_started_anew_and_differentiated_as_a_function(name):
    module = network(name)[2]
    starts = {
        "parity": lambda: pieces.parity_(*module.layers, 3, generator=seeded()),
        "separable": lambda: pieces.separable_(*module.layers, generator=seeded()),
        "residual": lambda: pieces.residual_(*module.layers, generator=seeded()),
        **dict.fromkeys(STRIPS, lambda: pieces.strips_(module.model, *module.layers, generator=seeded())),
    }
    starts.get(name, lambda: None)()
    X = torch.from_numpy(rng().normal(size=(3, 5)))
    parts = {key: part.detach() for key, part in module.named_parameters()}
    slopes = torch.func.grad(lambda parts: torch.func.functional_call(module, parts, (X,)).sum())(parts)
    assert slopes.keys() == parts.keys()
    assert all(slope.isfinite().all() for slope in slopes.values())


MODULES_REFUSE = {
    "kind": (
        lambda: pieces.SymmetryNetwork(separable.initial(rng(), 5, 4)),
        "params must be a OneHidden, got TwoLayer",
    ),
    "activation": (
        lambda: pieces.SymmetryNetwork(symmetry.symmetry_init(3), "tanh"),
        "activation must be one of 'relu', 'sigmoid', got 'tanh'",
    ),
    "alpha": (lambda: pieces.SeparableNetwork(separable.initial(rng(), 5, 4), 1.0), "alpha must be < 1, got 1.0"),
    "layers": (
        lambda: pieces.SeparableNetwork(separable.initial(rng(), 5, 4), 0.1, layers="last"),
        "layers must be one of 'first', 'both', got 'last'",
    ),
    "finite": (
        lambda: pieces.ParityNetwork(ParityNet(np.full((2, 3), np.nan), np.zeros(2), np.zeros(2))),
        "params.W must be finite, got nan",
    ),
    "shapes": (
        lambda: pieces.ParityNetwork(ParityNet(np.ones((2, 3)), np.zeros(2), np.zeros(3))),
        "params.u must have length 2, got 3",
    ),
    "strips kind": (
        lambda: pieces.StripsNetwork(strips_model("relu"), "gated"),
        "params must be a Gated, got Relu",
    ),
    "strips model": (
        lambda: pieces.StripsNetwork(strips_model("relu"), "convolution"),
        "model must be one of 'relu', 'gated', 'linearised', .*, got 'convolution'",
    ),
    "strips start": (
        lambda: pieces.StripsNetwork(strips_model("linearised")._replace(start=UNIT), "linearised"),
        r"params.start.W must have 5 columns, got shape \(1, 1\)",
    ),
    "strips finite": (
        lambda: pieces.StripsNetwork(strips_model("relu")._replace(c=np.array(math.nan)), "relu"),
        "params.c must be finite, got np.float64\\(nan\\)",
    ),
    "inputs": (
        lambda: pieces.SymmetryNetwork(symmetry.symmetry_init(3))(torch.ones(2, 4)),
        r"X must have 3 columns, got shape \(2, 4\)",
    ),
    "arrays": (
        lambda: pieces.SymmetryNetwork(symmetry.symmetry_init(3))(np.ones((2, 3))),
        "X must be a tensor, got ndarray",
    ),
    "type": (
        lambda: pieces.SymmetryNetwork(symmetry.symmetry_init(3), dtype=torch.int64),
        "dtype must be one of torch.float16, .*, torch.float64 or None, got torch.int64",
    ),
    "word": (
        lambda: pieces.SymmetryNetwork(symmetry.symmetry_init(3), dtype="float32"),
        "dtype must be one of .* or None, got 'float32'",
    ),
    "type too small": (
        lambda: pieces.SeparableNetwork(TwoLayer(1e6 * ONE, np.ones(1)), 0.1, dtype=torch.float16),
        r"hidden.weight must have a type that holds numbers up to 1e\+06, got torch.float16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES_REFUSE)
def test_modules_refuse_by_name(name):
    call, message = MODULES_REFUSE[name]
    with pytest.raises(RequestError, match=f"^{message}"):
        call()


# Conversion


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["OneHidden", "ParityNet", "TwoLayer", "lifted", "3resnet", "3layer", "2layer", *MODELS]),
    n=st.integers(1, 6), width=st.integers(1, 6), k=st.integers(1, 3), seed=st.integers(0, 10**6),
    vector=st.booleans(),
)  # fmt: skip
def test_what_is_copied_into_layers_is_read_back(kind, n, width, k, seed, vector):
    draw = rng(seed)
    double = {"dtype": torch.float64}
    readout = torch.empty(width, **double) if vector else Linear(width, 1, bias=False, **double)
    if kind == "OneHidden":
        params = OneHidden(draw.normal(size=(width, n)), draw.normal(size=width), draw.normal(size=width), 0.5)
        own = (torch.empty(width, **double), torch.empty((), **double)) if vector else Linear(width, 1, **double)
        layers = Linear(n, width, **double), own
    elif kind == "ParityNet":
        params = ParityNet(draw.normal(size=(width, n)), draw.normal(size=width), draw.normal(size=width))
        layers = Linear(n, width, **double), readout
    elif kind in ("TwoLayer", "lifted"):
        lifted = kind == "lifted"
        params = TwoLayer(draw.normal(size=(width, n + lifted)), draw.normal(size=width))
        layers = Linear(n, width, bias=lifted, **double), readout
    elif kind in MODELS:
        params = strips_model(kind, seed, n, width)
        own = (torch.empty(width, **double), torch.empty((), **double)) if vector else Linear(width, 1, **double)
        first = {
            Gated: [Linear(n, width, bias=False, **double)],
            Linearised: [Linear(n, width, **double), Linear(width, 1, **double)],
        }
        layers = *first.get(type(params), []), Linear(n, width, **double), own
    else:
        params = residual.initial(draw, kind, n, k, width)
        second = {"3resnet": [Linear(k, width, **double)], "3layer": [Linear(width, width, **double)], "2layer": []}
        layers = Linear(n, width, **double), *second[kind], Linear(width, k, bias=False, **double)
    assert pieces.copy_(params, *layers) == layers
    back = pieces.read(type(params), *layers)
    assert all(np.array_equal(a, b) for a, b in zip(flat(back), flat(params), strict=True))


def test_a_model_of_ones_own_computes_what_was_copied_into_it():
    params = residual.initial(rng(), "2layer", 4, 2, 5)
    model = torch.nn.Sequential(Linear(4, 5), torch.nn.ReLU(), Linear(5, 2, bias=False)).double()
    pieces.copy_(params, model[0], model[2])
    X = rng().normal(size=(7, 4))
    np.testing.assert_allclose(model(torch.from_numpy(X)).detach(), residual.forward(params, X), rtol=1e-12)


CONVERSION_REFUSES = {
    "kind": (lambda: pieces.read(int, Linear(3, 2)), "the network must be one of OneHidden, .*, got int"),
    "params": (
        lambda: pieces.copy_(np.ones(3), Linear(3, 2)),
        "the network must be one of OneHidden, .*, got ndarray",
    ),
    "number": (
        lambda: pieces.read(ResNet3, Linear(3, 2), Linear(3, 2)),
        "layers must be those of a ResNet3, first, second, output, got 2 of them",
    ),
    "rows": (
        lambda: pieces.read(ParityNet, Linear(3, 4), Linear(4, 2, bias=False)),
        r"readout.weight must have one row, for one output, got shape \(2, 4\)",
    ),
    "units": (
        lambda: pieces.read(ParityNet, Linear(3, 4), Linear(5, 1, bias=False)),
        "params.u must have length 4, got 5",
    ),
    "biases": (
        lambda: pieces.read(ParityNet, (torch.ones(4, 3), torch.ones(3)), Linear(4, 1, bias=False)),
        r"hidden.bias must have shape \(4,\), got shape \(3,\)",
    ),
    "finite": (
        lambda: pieces.read(TwoLayer, torch.full((4, 3), math.inf), torch.ones(4)),
        "params.W must be finite, got inf",
    ),
    "residual": (
        lambda: pieces.read(ResNet3, Linear(3, 4), Linear(3, 4), Linear(4, 2, bias=False)),
        r"params.V must have shape \(4, 3\) beside A of shape \(2, 4\), got \(4, 4\)",
    ),
    "strips readout": (
        lambda: pieces.read(Linearised, Linear(2, 4), Linear(4, 2), Linear(2, 4), Linear(4, 1)),
        r"start_readout.weight must have one row, for one output, got shape \(2, 4\)",
    ),
    "copied shape": (
        lambda: pieces.copy_(separable.initial(rng(), 3, 2), torch.ones(4, 2), torch.ones(4)),
        r"hidden.weight must have shape \(4, 3\), got \(4, 2\)",
    ),
    "copied text": (
        lambda: pieces.copy_(TwoLayer("a", np.ones(1)), torch.ones(4, 2), torch.ones(4)),
        "params.W must be an array of real numbers, got dtype <U1",
    ),
    "copied types": (
        lambda: pieces.copy_(separable.initial(rng(), 3, 2), torch.ones(4, 3, dtype=torch.int32), torch.ones(4)),
        "hidden.weight must hold floating-point numbers, got torch.int32",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSION_REFUSES)
def test_conversion_refuses_by_name(name):
    call, message = CONVERSION_REFUSES[name]
    with pytest.raises(RequestError, match=f"^{message}"):
        call()


# The loss


def test_the_hinge_loss_and_its_derivative_at_the_kink():
    f = torch.tensor([0.0, 1.0, 2.0, -1.0], dtype=torch.float64)
    y = torch.tensor([1.0, 1, 1, -1], dtype=torch.float64)
    for ties, wanted in ((False, [-1, 0, 0, 0]), (True, [-1, -1, 0, 1])):
        point = f.clone().requires_grad_()
        losses = pieces.hinge_loss(point, y, ties=ties, reduction="none")
        assert losses.tolist() == [1, 0, 0, 0]
        losses.sum().backward()
        assert point.grad.tolist() == wanted
    assert pieces.hinge_loss(f, y, beta=2) == 4 / 4
    assert pieces.hinge_loss(f, y, beta=2, reduction="sum") == 4
    assert pieces.hinge_loss(torch.tensor([math.nan]), torch.ones(1)).isnan()
    each = torch.func.vmap(lambda f, y: pieces.hinge_loss(f, y))(f, y)
    assert each.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.tensor([1, 0, 1])}, "labels must be -1 or 1, got 0"),
        ({"labels": [1, 1, 1]}, "labels must be a tensor, got list"),
        ({"outputs": np.ones(3)}, "outputs must be a tensor, got ndarray"),
        ({"labels": torch.ones(3, 1)}, r"labels must have the shape of outputs, \(3,\), got \(3, 1\)"),
        ({"beta": -1.0}, "beta must be >= 0.0, got -1.0"),
        ({"reduction": "median"}, "reduction must be one of 'mean', 'sum', 'none', got 'median'"),
    ],
    ids=["label", "list", "array", "labels", "beta", "reduction"],
)
def test_the_loss_refuses_by_name(change, message):
    with pytest.raises(RequestError, match=f"^{message}$"):
        pieces.hinge_loss(**{"outputs": torch.ones(3), "labels": torch.ones(3), **change})
