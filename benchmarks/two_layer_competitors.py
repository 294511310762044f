"""The loops that one would write without the two-layer engine, each as its library's users write them.

All do batch-one SGD on max(1 - y v . sigma(W x), 0) with leaky ReLUs (alpha > 0), the first layer or both, by the
reference's rule: a visit with y N(x) < 1 is an update, made with the old weights. Each takes the network, the sample,
the visits in order, the rule and the number type, and returns the network after, whether each visit made an update,
and the seconds of the loop itself: turning arrays into the library's own is outside, and so is compiling, if the
loop has been called once before with as many visits.

At a pre-activation of exactly 0 the slope is 1, but for the two loops that leave it to PyTorch's autograd: there it
is alpha. No image and no point of the planted set comes to that.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from learnability.networks.separable import TwoLayer
from learnability.training import two_layer
from learnability.training.drive import one_blas_thread

Array = NDArray[Any]


class Rule(NamedTuple):
    """What is done at a visit."""

    eta: float
    alpha: float
    layers: str

    @property
    def both(self) -> bool:
        """Whether the second layer is trained too."""
        return self.layers == "both"


class Run(NamedTuple):
    """Network after the visits (float64), which of them made an update, and the loop's seconds."""

    params: TwoLayer
    updated: NDArray[np.bool_]
    seconds: float


Loop = Callable[[TwoLayer, Array, Array, Array, Rule, str], Run]


class Competitor(NamedTuple):
    """A loop and the module it needs."""

    label: str
    loop: Loop
    needs: str = "numpy"

    @property
    def installed(self) -> bool:
        """Whether the module that it needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def _finished(W: Array, v: Array, updated: Array, seconds: float) -> Run:
    return Run(TwoLayer(W.astype(np.float64), v.astype(np.float64)), updated, seconds)


def _numba_loop(W, v, X, y, order, eta, alpha, both, updated):  # type: ignore[no-untyped-def]
    L, d = W.shape
    z = np.empty_like(v)
    zero = eta - eta  # of the arrays' type: the literal 0.0 would make float32 sums float64
    for visit in range(len(order)):
        i = order[visit]
        output = zero
        for j in range(L):
            s = zero
            for a in range(d):
                s += W[j, a] * X[i, a]
            z[j] = s
            output += v[j] * (s if s >= zero else alpha * s)
        if y[i] * output < 1:
            step = eta * y[i]
            for j in range(L):
                on = z[j] >= zero
                c = step * v[j] if on else step * v[j] * alpha
                for a in range(d):
                    W[j, a] += c * X[i, a]
                if both:
                    v[j] += step * (z[j] if on else alpha * z[j])
            updated[visit] = True


_strict = njit(cache=True)(_numba_loop)
_fastmath = njit(fastmath=True)(_numba_loop)  # not cached: the cache would not tell it from the strict one


def _numba(compiled: Any) -> Loop:
    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        number = np.dtype(dtype).type
        W, v, X, y = (np.array(part, dtype=dtype, order="C") for part in (*params, X, y))
        updated = np.zeros(len(order), dtype=bool)
        begin = time.perf_counter()
        compiled(W, v, X, y, order, number(rule.eta), number(rule.alpha), rule.both, updated)
        return _finished(W, v, updated, time.perf_counter() - begin)

    return loop


def numpy_loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
    """One matrix-vector product a visit, one outer product an update."""
    eta, alpha, layers = rule
    W, v, X, y = (np.array(part, dtype=dtype) for part in (*params, X, y))
    updated = np.zeros(len(order), dtype=bool)
    with one_blas_thread():
        begin = time.perf_counter()
        for visit, i in enumerate(order.tolist()):
            x, label = X[i], y[i]
            z = W @ x
            slope = np.where(z >= 0, z.dtype.type(1), z.dtype.type(alpha))
            activity = slope * z
            if label * (v @ activity) < 1:
                step = eta * label
                W += np.outer(step * v * slope, x)
                if layers == "both":
                    v += step * activity
                updated[visit] = True
        seconds = time.perf_counter() - begin
    return _finished(W, v, updated, seconds)


def _jax(skip: bool = False, columns: bool = False) -> Loop:
    """``lax.scan`` over the visits under jit, the state donated.

    ``skip`` branches past an update that is not due (``lax.cond``); ``columns`` stores W transposed. Which of them
    is fastest depends on the width and on the share of updates, so all are measured.
    """

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        run = _jax_scan(skip, columns, rule.both)
        state = tuple(jnp.array(part, dtype=dtype) for part in (params.W.T if columns else params.W, params.v))
        inputs = (*(jnp.array(part, dtype=dtype) for part in (X, y)), jnp.asarray(order))
        numbers = jnp.array(rule.eta, dtype=dtype), jnp.array(rule.alpha, dtype=dtype)
        jax.block_until_ready((state, inputs, numbers))
        begin = time.perf_counter()
        state, updated = jax.block_until_ready(run(state, *inputs, *numbers))
        seconds = time.perf_counter() - begin
        W, v = (np.array(part) for part in state)
        return _finished(W.T if columns else W, v, np.array(updated), seconds)

    return loop


@cache
def _jax_scan(skip: bool, columns: bool, both: bool) -> Any:
    import jax
    import jax.numpy as jnp

    def run(state: Any, X: Any, y: Any, order: Any, eta: Any, alpha: Any) -> Any:
        def visit(state: Any, i: Any) -> Any:
            W, v = state
            x, label = X[i], y[i]
            z = x @ W if columns else W @ x
            slope = jnp.where(z >= 0, jnp.ones_like(alpha), alpha)
            activity = slope * z
            due = label * (v @ activity) < 1

            def move(step: Any) -> Any:
                c = step * v * slope
                moved = W + (jnp.outer(x, c) if columns else jnp.outer(c, x))
                return moved, v + step * activity if both else v

            if skip:
                state = jax.lax.cond(due, lambda: move(eta * label), lambda: state)
            else:
                state = move(jnp.where(due, eta * label, jnp.zeros_like(eta)))
            return state, due

        return jax.lax.scan(visit, state, order)

    return jax.jit(run, donate_argnums=0)


def torch_manual(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
    """PyTorch tensors, the updates written by hand, no autograd."""
    import torch

    torch.set_num_threads(1)
    eta, alpha, layers = rule
    W, v, inputs = (torch.tensor(part, dtype=getattr(torch, dtype)) for part in (*params, X))
    labels = y.tolist()
    updated = np.zeros(len(order), dtype=bool)
    with torch.no_grad():
        begin = time.perf_counter()
        for visit, i in enumerate(order.tolist()):
            x, label = inputs[i], labels[i]
            z = torch.mv(W, x)
            activity = torch.where(z >= 0, z, alpha * z)
            if label * v.dot(activity).item() < 1:
                step = eta * label
                W.addr_(torch.where(z >= 0, v, alpha * v), x, alpha=step)
                if layers == "both":
                    v.add_(activity, alpha=step)
                updated[visit] = True
        seconds = time.perf_counter() - begin
    return _finished(W.numpy(), v.numpy(), updated, seconds)


def _torch_autograd(skip: bool) -> Loop:
    """``nn.Linear`` layers, ``torch.optim.SGD``; ``skip`` leaves out the backward pass where the loss is flat."""

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        import torch

        torch.set_num_threads(1)
        number = getattr(torch, dtype)
        L, d = params.W.shape
        first, last = (torch.nn.Linear(*shape, bias=False, dtype=number) for shape in ((d, L), (L, 1)))
        with torch.no_grad():
            first.weight.copy_(torch.tensor(params.W))
            last.weight.copy_(torch.tensor(params.v)[None, :])
        last.weight.requires_grad_(rule.both)
        network = torch.nn.Sequential(first, torch.nn.LeakyReLU(rule.alpha), last)
        trained = network.parameters() if rule.both else first.parameters()
        optimizer = torch.optim.SGD(trained, lr=rule.eta)
        inputs, labels = torch.tensor(X, dtype=number), torch.tensor(y, dtype=number)
        losses = []
        begin = time.perf_counter()
        for i in order.tolist():
            # the gradient of relu at 0 is 0: a margin of exactly 1 is no update, as it should be
            loss = torch.relu(1 - labels[i] * network(inputs[i]).squeeze())
            losses.append(loss.detach())
            if skip and loss.item() == 0:
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - begin
        updated = torch.stack(losses).numpy() > 0
        return _finished(first.weight.detach().numpy(), last.weight.detach().numpy()[0], updated, seconds)

    return loop


def engine_loop(form: str) -> Loop:
    """The engine through its own door, given the visits: they are the sample, and the order is cyclic."""

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        begin = time.perf_counter()
        run = two_layer.train(
            params, X[order], y[order], **rule._asdict(), rng=np.random.default_rng(0), epochs=1, order="cyclic",
            record=[1], dtype=dtype, form=form,
        )  # fmt: skip
        return Run(run.params, run.used > 0, time.perf_counter() - begin)

    return loop


ENGINE = {
    "auto": Competitor("this engine", engine_loop("auto")),
    "direct": Competitor("this engine, form='direct'", engine_loop("direct")),
    "blocked": Competitor("this engine, form='blocked'", engine_loop("blocked")),
}
COMPETITORS = {
    "plain": Competitor("plain compiled loop (Numba)", _numba(_strict), "numba"),
    "plain_fastmath": Competitor("plain compiled loop (Numba, fastmath)", _numba(_fastmath), "numba"),
    "numpy": Competitor("NumPy", numpy_loop),
    "torch": Competitor("PyTorch, updates by hand", torch_manual, "torch"),
    "torch_autograd": Competitor("PyTorch autograd + SGD", _torch_autograd(False), "torch"),
    "torch_autograd_skip": Competitor("PyTorch autograd + SGD, flat loss skipped", _torch_autograd(True), "torch"),
    "jax": Competitor("JAX lax.scan, masked update", _jax(), "jax"),
    "jax_columns": Competitor("JAX lax.scan, masked, W transposed", _jax(columns=True), "jax"),
    "jax_cond": Competitor("JAX lax.scan, lax.cond", _jax(skip=True), "jax"),
}
