"""The papers' starts, in the manner of ``torch.nn.init``: in place, without gradients, returning what was filled.

Layers are given as :data:`~learnability.nn.torch.layers.LayerLike`, so they may be those of any model, on any device
and of any floating-point type, which they keep; what is trained (``requires_grad``) stays as it is too. Widths must
be the start's, scales must be what the layers' types hold, and everything is checked before anything is filled. Each
start has the distribution of its twin in NumPy (:mod:`learnability.networks`); the draws are PyTorch's, from
``generator`` or else from its global one.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
from torch import Tensor

from learnability import checks
from learnability.errors import RequestError
from learnability.networks.parity import FORMS
from learnability.networks.separable import NORMS
from learnability.networks.strips import COSINE_SCALE, Cosines, kind_of
from learnability.networks.symmetry import neurons
from learnability.nn.torch.conversion import named
from learnability.nn.torch.layers import LayerLike, check_generator, check_shape, given, rows_columns

__all__ = ["parity_", "residual_", "separable_", "strips_", "symmetry_"]

First = TypeVar("First", bound=LayerLike)
Second = TypeVar("Second", bound=LayerLike)
Third = TypeVar("Third", bound=LayerLike)

TAIL = 16.0
"""Standard deviations that no Gaussian draw is beyond."""

_WIDTHS = {
    "half_integer": "4 n + 2",
    "integer": "n + 3",
    "quarter": "4 n + 3",
    "integer_padded": "4 n + 3",
    "sigmoid": "n + 2",
}


def symmetry_(
    hidden: First,
    readout: Second,
    kind: str = "half_integer",
    *,
    const_neuron: bool = False,
    generator: torch.Generator | None = None,
) -> tuple[First, Second]:
    """A symmetry-based start: hidden rows that are constant, so that n bits are seen by their sum; readout 0.

    Nachum & Yehudayoff, Sections 2, 3 and 5, for a hidden layer with ReLU on inputs in {0, 1}^n. Batch-one SGD on the
    hinge loss then learns every symmetric function of the bits, parity included, with steps small enough for the rows
    to stay nearly constant (Theorem 1). The twin is :func:`learnability.networks.symmetry.symmetry_init`.

    Parameters
    ----------
    hidden : layer
        Weights (L, n) and biases (L,); L is 4n + 2 for the default kind.
    readout : layer
        Weights (r, L) or (L,) and biases (r,), (1,) or (), all filled with 0; the paper has r = 1.
    kind : {"half_integer", "integer", "quarter", "integer_padded", "sigmoid"}
        See the twin. ``"sigmoid"`` is for the activation sigma(5 z), as there: for ``torch.sigmoid(z)`` multiply the
        hidden layer by 5.
    const_neuron : bool
        Only for ``"half_integer"``: one more neuron, with weights 0 and bias 1.
    generator : torch.Generator, optional
        Not used, as nothing is random: here for the four starts to be called alike.

    Returns
    -------
    hidden, readout
        What was given.

    Raises
    ------
    RequestError
        If a width is not the start's, a bias is missing, or the layer's type cannot hold the biases exactly (in
        bfloat16 half integers beyond 128 would fall together).

    Examples
    --------
    >>> import torch
    >>> n = 20
    >>> model = torch.nn.Sequential(torch.nn.Linear(n, 4 * n + 2), torch.nn.ReLU(), torch.nn.Linear(4 * n + 2, 1))
    >>> _ = symmetry_(model[0], model[2])
    """
    (W, B), (M, b) = given("hidden", hidden, bias=True), given("readout", readout, bias=True)
    check_generator(generator)
    L, n = rows_columns("hidden.weight", W)
    slopes, biases = (torch.from_numpy(part) for part in neurons(n, kind, const_neuron=const_neuron))
    if len(biases) != L:
        wanted = f"{_WIDTHS[kind]}{' + 1' if const_neuron else ''} = {len(biases)}"
        raise RequestError(f"hidden.weight must have {wanted} rows for kind {kind!r} and n = {n}, got {L}")
    check_shape("hidden.bias", B, (L,))
    if not torch.equal(biases.to(B.dtype).to(torch.float64), biases):
        largest = float(biases.abs().max())
        raise RequestError(
            f"hidden.bias must have a type that holds the biases exactly, up to {largest} for n = {n}, got {B.dtype}"
        )
    outputs = M.shape[:-1] if M.ndim == 2 else ()
    check_shape("readout.weight", M, (*outputs, L))
    check_shape("readout.bias", b, *([outputs] if outputs else [(), (1,)]))
    with torch.no_grad():
        W.copy_(slopes[:, None])
        B.copy_(biases)
        M.zero_()
        b.zero_()
    return hidden, readout


def parity_(
    hidden: First, readout: Second, k: int, form: str = "safe", *, generator: torch.Generator | None = None
) -> tuple[First, Second]:
    r"""The symmetric random start for a parity of k of n bits: units in pairs that cancel.

    Daniely & Malach, Section 2, for a hidden layer with ReLU6 on inputs in :math:`\{\pm 1/\sqrt n\}^n`: rows uniform
    in {-1, 0, 1}^n, biases 1/(8k), output weights uniform in [-n/k, n/k]; unit q + i is the twin of unit i, with the
    opposite output weight. :func:`learnability.networks.parity.initial` does the same in NumPy, and says why the form
    that the paper prints is not the one that its proof needs.

    Parameters
    ----------
    hidden : layer
        Weights (2q, n) and biases (2q,).
    readout : layer
        Weights (1, 2q) or (2q,), no bias.
    k : int
        Coordinates in the parity, 1 <= k <= n.
    form : {"safe", "printed"}
        Whether a twin has the same weights and bias, so that the output is 0, or the negative ones.
    generator : torch.Generator, optional
        PyTorch's global one if not given.

    Returns
    -------
    hidden, readout
        What was given.

    Raises
    ------
    RequestError
        If a width does not fit (an odd number of units, too), the readout has a bias, or an argument is out of range
        or beyond what a layer's type holds.
    """
    (W, b), (u, _) = given("hidden", hidden, bias=True), given("readout", readout, bias=False)
    p, n = rows_columns("hidden.weight", W, pairs=True)
    check_shape("hidden.bias", b, (p,))
    check_shape("readout.weight", u, (1, p), (p,))
    k = checks.integer("k", k, at_least=1)
    if k > n:
        raise RequestError(f"k must be <= n = {n}, the columns of hidden.weight, got {k}")
    twin = 1.0 if checks.choice("form", form, FORMS) == "safe" else -1.0
    checks.held("n / k", n / k, torch.finfo(u.dtype))
    checks.held("1 / (8 k)", 1 / (8 * k), torch.finfo(b.dtype))
    generator = check_generator(generator, W, u)
    q = p // 2
    with torch.no_grad():
        W[:q] = torch.randint(-1, 2, (q, n), generator=generator, dtype=torch.int8, device=W.device)
        W[q:] = twin * W[:q]
        b[:q].fill_(1 / (8 * k))
        b[q:].fill_(twin / (8 * k))
        u[..., :q].uniform_(-n / k, n / k, generator=generator)
        u[..., q:] = -u[..., :q]
    return hidden, readout


def separable_(
    hidden: First,
    readout: Second,
    *,
    radius: float | None = None,
    v: float | None = None,
    norm: str = "exact",
    generator: torch.Generator | None = None,
) -> tuple[First, Second]:
    """A random start for leaky ReLUs whose output weights are k times +v and k times -v.

    Brutzkus, Globerson, Malach & Shalev-Shwartz, Section 2, Equation 5 and by default 6: rows with directions uniform
    on the sphere and norms of (at most) R. From it SGD on the hinge loss makes boundedly many updates on any
    separable sample, whatever k is (Theorem 2), **with the readout fixed**: switch its ``requires_grad`` off to train
    as the theorem does. The twin is :func:`learnability.networks.separable.initial`.

    Parameters
    ----------
    hidden : layer
        Weights (2k, d). The paper has no biases, but a constant coordinate appended to the inputs (footnote 4):
        biases (2k,) are that coordinate's weights, and count in a row's norm.
    readout : layer
        Weights (1, 2k) or (2k,), no bias.
    radius : float, optional
        R >= 0, by default 1 / sqrt(2k).
    v : float, optional
        > 0, by default 1 / sqrt(2k).
    norm : {"exact", "at_most"}
        Rows of norm R, or uniform in the ball of radius R.
    generator : torch.Generator, optional
        PyTorch's global one if not given.

    Returns
    -------
    hidden, readout
        What was given.

    Raises
    ------
    RequestError
        If a width does not fit (an odd number of units, too), the readout has a bias, or an argument is out of range
        or beyond what a layer's type holds.
    """
    (W, b), (u, _) = given("hidden", hidden, bias=None), given("readout", readout, bias=False)
    p, d = rows_columns("hidden.weight", W, pairs=True)
    if b is not None:
        check_shape("hidden.bias", b, (p,))
    check_shape("readout.weight", u, (1, p), (p,))
    usual = 1 / math.sqrt(p)
    radius = usual if radius is None else checks.real("radius", radius, at_least=0.0)
    size = usual if v is None else checks.real("v", v, above=0.0)
    for tensor in (W, b):
        if tensor is not None:
            checks.held("radius", radius, torch.finfo(tensor.dtype))
    checks.held("v", size, torch.finfo(u.dtype))
    norm = checks.choice("norm", norm, NORMS)
    generator = check_generator(generator, W)
    own: dict[str, Any] = {
        "generator": generator,
        "device": W.device,
        "dtype": torch.promote_types(W.dtype, torch.float32),  # norms of half precision would be off
    }
    with torch.no_grad():
        rows = torch.randn(p, d if b is None else d + 1, **own)
        rows /= torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        rows *= radius
        if norm == "at_most":
            rows *= torch.rand(p, 1, **own) ** (1 / rows.shape[1])
        W.copy_(rows[:, :d])
        if b is not None:
            b.copy_(rows[:, d])
        u[..., : p // 2].fill_(size)
        u[..., p // 2 :].fill_(-size)
    return hidden, readout


def residual_(
    first: First,
    second: Second,
    output: Third,
    *,
    sigma_w: float | None = None,
    sigma_v: float = 1.0,
    generator: torch.Generator | None = None,
) -> tuple[First, Second, Third]:
    r"""The start of the three-layer ResNet with a bottleneck: independent Gaussian entries of mean 0.

    Allen-Zhu & Li, Section 6, for :math:`out_1 = A \sigma(W (x, 1))`, :math:`out = out_1 + A \sigma(V (out_1, 1))`:
    variances sigma_w^2 of W, sigma_v^2 / m of V and 1 / m of A, biases like weights; by default all are 1 / m,
    Section 8.1's. The twin is :func:`learnability.networks.residual.initial`.

    Parameters
    ----------
    first : layer
        W: weights (m, d) and biases (m,).
    second : layer
        V: weights (m, k) and biases (m,).
    output : layer
        A: weights (k, m), no bias; used twice, after ``first`` and after ``second``.
    sigma_w : float, optional
        >= 0, by default 1 / sqrt(m).
    sigma_v : float
        >= 0.
    generator : torch.Generator, optional
        PyTorch's global one if not given.

    Returns
    -------
    first, second, output
        What was given.

    Raises
    ------
    RequestError
        If a width does not fit, a bias is missing or one too many, or an argument is out of range or beyond what a
        layer's type holds.
    """
    (W, b_W), (V, b_V), (A, _) = (
        given("first", first, bias=True), given("second", second, bias=True), given("output", output, bias=False)
    )  # fmt: skip
    m, _ = rows_columns("first.weight", W)
    k, _ = rows_columns("output.weight", A)
    check_shape("output.weight", A, (k, m))
    check_shape("second.weight", V, (m, k))
    check_shape("first.bias", b_W, (m,))
    check_shape("second.bias", b_V, (m,))
    usual = 1 / math.sqrt(m)
    scale_w = usual if sigma_w is None else checks.real("sigma_w", sigma_w, at_least=0.0)
    scale_v = usual * checks.real("sigma_v", sigma_v, at_least=0.0)
    for name, scale, filled in (("sigma_w", scale_w, (W, b_W)), ("sigma_v / sqrt(m)", scale_v, (V, b_V))):
        for tensor in filled:
            checks.held(name, scale, torch.finfo(tensor.dtype), room=TAIL)
    generator = check_generator(generator, W, V, A)
    drawn: tuple[tuple[Tensor, float], ...] = (
        (W, scale_w), (b_W, scale_w), (V, scale_v), (b_V, scale_v), (A, usual)
    )  # fmt: skip
    with torch.no_grad():
        for tensor, scale in drawn:
            tensor.normal_(0.0, scale, generator=generator)
    return first, second, output


def strips_(
    model: str, *layers: LayerLike, gates: str = "independent", generator: torch.Generator | None = None
) -> tuple[LayerLike, ...]:
    r"""The start of a model of the MNIST-parity experiment: Glorot-uniform weights, biases 0.

    Daniely & Malach, Section 6.1, with the start of the authors' public experiment; the twin is
    ``MODELS[model].start`` of :mod:`learnability.networks.strips`. Weights are uniform in
    :math:`\pm\sqrt{6 / (fan_{in} + fan_{out})}`; those of cosines are N(0, 16 / n), with phases uniform in [0, 2π)
    for biases. W is drawn first, then u, then gates: one seed gives all models of ReLU units the same network.

    Parameters
    ----------
    model : {"relu", "gated", "linearised", "relu_features", "gaussian_features"}
        :class:`~learnability.nn.torch.StripsNetwork` says what they compute. What is trained is up to
        ``requires_grad`` and stays as it is: of features the readout alone, and never ``gates``, ``start_hidden`` and
        ``start_readout``.
    *layers : layers
        ``hidden, readout``; for ``"gated"`` ``gates, hidden, readout``; for ``"linearised"`` ``start_hidden,
        start_readout, hidden, readout``. Weights (p, n) of hidden layers and of the gates, which have no biases, and
        (1, p) or (p,) of readouts; biases (p,), and (1,) or ().
    gates : {"independent", "same"}
        Only for ``"gated"``: gates of their own, or G = W, with which the start is the ReLU network's.
    generator : torch.Generator, optional
        PyTorch's global one if not given.

    Returns
    -------
    layers
        What was given.

    Raises
    ------
    RequestError
        If a width does not fit, a bias is missing or one too many, or an argument is out of range.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3 * 28**2, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
    >>> _ = strips_("relu", model[0], model[2])
    """
    kind = kind_of(model, gates)
    found = named(kind, layers)
    p, n = rows_columns("hidden.weight", found["hidden"].weight)
    for name, (weight, bias) in found.items():
        row = name.endswith("readout")
        check_shape(f"{name}.weight", weight, *([(1, p), (p,)] if row else [(p, n)]))
        if bias is not None:
            check_shape(f"{name}.bias", bias, *([(1,), ()] if row else [(p,)]))
    generator = check_generator(generator, *(layer.weight for layer in found.values()))
    hidden, readout = (found.get(f"start_{name}", found[name]) for name in ("hidden", "readout"))

    def glorot(tensor: Tensor, fans: int) -> None:
        limit = math.sqrt(6 / fans)
        tensor.uniform_(-limit, limit, generator=generator)

    with torch.no_grad():
        for layer in found.values():
            if layer.bias is not None:
                layer.bias.zero_()
        if kind is Cosines:
            hidden.weight.normal_(0.0, COSINE_SCALE / math.sqrt(n), generator=generator)
            hidden.bias.uniform_(0.0, 2 * math.pi, generator=generator)
        else:
            glorot(hidden.weight, n + p)
        glorot(readout.weight, p + 1)
        if "gates" in found and gates == "same":
            found["gates"].weight.copy_(hidden.weight)
        elif "gates" in found:
            glorot(found["gates"].weight, n + p)
        if "start_hidden" in found:
            found["hidden"].weight.zero_()
            found["readout"].weight.copy_(readout.weight.view_as(found["readout"].weight))
    return layers
