"""The loops that one would write without this engine, each as its library's users write them.

All do batch-one SGD on the hinge loss, both layers, plain float64, the paper's update rule (y f <= beta, old
weights on the right). Each competitor takes the network, the sample and the visits in order, and returns the
network after, whether each visit triggered an update, and the seconds that the loop itself took: turning arrays
into the library's own and compiling are outside (compiling is timed by the caller, as the first call's excess).
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

from learnability.networks.one_hidden import OneHidden
from learnability.training.online import forms, plain_loops
from learnability.training.online.problem import Problem

Array = NDArray[Any]


class Run(NamedTuple):
    """Network after the visits, which of them (all, or the first of them) made an update, and the loop's seconds."""

    params: OneHidden
    updated: NDArray[np.bool_]
    seconds: float


Loop = Callable[[OneHidden, Array, Array, Array, float, float], Run]


class Competitor(NamedTuple):
    """A loop, the module it needs, and whether compiling ties it to the number of visits."""

    label: str
    loop: Loop
    needs: str = "numpy"
    compiled: bool = False

    @property
    def installed(self) -> bool:
        """Whether the module that it needs can be found."""
        return importlib.util.find_spec(self.needs) is not None


def _numba_loop(W, B, M, b, X, y, order, h, beta, updated):  # type: ignore[no-untyped-def]
    L, n = W.shape
    v, g = np.empty(L), np.empty(L)
    for visit in range(len(order)):
        i = order[visit]
        f = b
        for j in range(L):
            z = B[j]
            for a in range(n):
                z += W[j, a] * X[i, a]
            v[j] = max(z, 0.0)
            f += M[j] * v[j]
        if y[i] * f <= beta:
            step = h * y[i]
            for j in range(L):
                g[j] = step * M[j] if v[j] > 0.0 else 0.0
                M[j] += step * v[j]
                B[j] += g[j]
                for a in range(n):
                    W[j, a] += g[j] * X[i, a]
            b += step
            updated[visit] = True
    return b


_strict = njit(cache=True)(_numba_loop)
_fastmath = njit(fastmath=True)(_numba_loop)  # not cached: the cache would not tell it from the strict one


def _numba(compiled: Any) -> Loop:
    def loop(params: OneHidden, X: Array, y: Array, order: Array, h: float, beta: float) -> Run:
        W, B, M = params.W.copy(), params.B.copy(), params.M.copy()
        updated = np.zeros(len(order), dtype=bool)
        begin = time.perf_counter()
        b = compiled(W, B, M, float(params.b), X, y, order, h, beta, updated)
        return Run(OneHidden(W, B, M, b), updated, time.perf_counter() - begin)

    return loop


def numpy_loop(params: OneHidden, X: Array, y: Array, order: Array, h: float, beta: float) -> Run:
    """One matrix-vector product a visit, one outer product an update."""
    W, B, M, b = params.W.copy(), params.B.copy(), params.M.copy(), float(params.b)
    updated = np.zeros(len(order), dtype=bool)
    begin = time.perf_counter()
    for visit, i in enumerate(order.tolist()):
        x, label = X[i], y[i]
        z = W @ x + B
        v = np.maximum(z, 0.0)
        if label * (M @ v + b) <= beta:
            step = h * label
            g = step * M * (z > 0)
            W += np.outer(g, x)
            B += g
            M += step * v
            b += step
            updated[visit] = True
    return Run(OneHidden(W, B, M, b), updated, time.perf_counter() - begin)


def _jax(skip: bool = False, columns: bool = False) -> Loop:
    """``lax.scan`` over the visits under jit, the state donated.

    ``skip`` branches past an update that is not due (``lax.cond``); ``columns`` stores W transposed. Which of them
    is fastest depends on n, so all are measured.
    """

    def loop(params: OneHidden, X: Array, y: Array, order: Array, h: float, beta: float) -> Run:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            run = _jax_scan(skip, columns)
            W, *rest = params
            state = tuple(jnp.array(part, dtype=jnp.float64) for part in (W.T if columns else W, *rest))
            inputs = (*map(jnp.asarray, (X, y, order)), jnp.float64(h), jnp.float64(beta))
            jax.block_until_ready((state, inputs))
            begin = time.perf_counter()
            state, updated = jax.block_until_ready(run(state, *inputs))
            seconds = time.perf_counter() - begin
        W, B, M, b = (np.array(part) for part in state)
        return Run(OneHidden(W.T if columns else W, B, M, float(b)), np.array(updated), seconds)

    return loop


@cache
def _jax_scan(skip: bool, columns: bool) -> Any:
    import jax
    import jax.numpy as jnp

    def run(state: Any, X: Any, y: Any, order: Any, h: Any, beta: Any) -> Any:
        def visit(state: Any, i: Any) -> Any:
            W, B, M, b = state
            x, label = X[i], y[i]
            z = (x @ W if columns else W @ x) + B
            v = jnp.maximum(z, 0.0)
            due = label * (M @ v + b) <= beta

            def move(step: Any) -> Any:
                g = jnp.where(z > 0, step * M, 0.0)
                moved = jnp.outer(x, g) if columns else jnp.outer(g, x)
                return W + moved, B + g, M + step * v, b + step

            if skip:
                state = jax.lax.cond(due, lambda: move(h * label), lambda: state)
            else:
                state = move(jnp.where(due, h * label, 0.0))
            return state, due

        return jax.lax.scan(visit, state, order)

    return jax.jit(run, donate_argnums=0)


def torch_manual(params: OneHidden, X: Array, y: Array, order: Array, h: float, beta: float) -> Run:
    """PyTorch tensors, the four updates written by hand, no autograd."""
    import torch

    torch.set_num_threads(1)
    W, B, M = (torch.tensor(part, dtype=torch.float64) for part in params[:3])
    b = float(params.b)
    inputs, labels = torch.from_numpy(X), y.tolist()
    updated = np.zeros(len(order), dtype=bool)
    with torch.no_grad():
        begin = time.perf_counter()
        for visit, i in enumerate(order.tolist()):
            x, label = inputs[i], labels[i]
            z = torch.addmv(B, W, x)
            v = z.clamp(min=0.0)
            if label * (M.dot(v).item() + b) <= beta:
                step = h * label
                g = step * M * (z > 0)
                W.addr_(g, x)
                B += g
                M.add_(v, alpha=step)
                b += step
                updated[visit] = True
        seconds = time.perf_counter() - begin
    return Run(OneHidden(W.numpy(), B.numpy(), M.numpy(), b), updated, seconds)


def _torch_autograd(skip: bool) -> Loop:
    """``nn.Linear`` layers, ``torch.optim.SGD``; ``skip`` leaves out the backward pass where the loss is flat."""

    def loop(params: OneHidden, X: Array, y: Array, order: Array, h: float, beta: float) -> Run:
        import torch

        torch.set_num_threads(1)
        L, n = params.W.shape
        first, last = (torch.nn.Linear(*shape, dtype=torch.float64) for shape in ((n, L), (L, 1)))
        with torch.no_grad():
            first.weight.copy_(torch.from_numpy(params.W))
            first.bias.copy_(torch.from_numpy(params.B))
            last.weight.copy_(torch.from_numpy(params.M)[None, :])
            last.bias.fill_(float(params.b))
        network = torch.nn.Sequential(first, torch.nn.ReLU(), last)
        optimizer = torch.optim.SGD(network.parameters(), lr=h)
        inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
        slacks = []
        begin = time.perf_counter()
        for i in order.tolist():
            slack = beta - labels[i] * network(inputs[i]).squeeze()
            slacks.append(slack.detach())
            if skip and slack.item() < 0:
                continue
            loss = slack.clamp(
                min=0.0
            )  # at slack 0 clamp passes the gradient on: a tie is a mistake, as it should be
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - begin
        W, B, M, b = (part.detach().numpy() for part in (*first.parameters(), *last.parameters()))
        updated = torch.stack(slacks).numpy() >= 0
        return Run(OneHidden(W, B, M[0], float(b[0])), updated, seconds)

    return loop


def engine_form(form: str, listed: int = 20_000) -> Loop:
    """The engine in a named form as a competitor: behind its door, so that it can be given the visits.

    The kernels count updates and do not list them: the decisions, of the first ``listed`` visits, come from a second
    pass, a visit at a time.
    """

    def loop(params: OneHidden, X: Array, y: Array, order: Array, h: Any, beta: Any) -> Run:
        problem = Problem(params, X, y, h, beta, 1, 1, "both", "relu")
        engine = forms.choose(problem, form)
        visits = order.reshape(-1, len(y))
        begin = time.perf_counter()
        engine.decide(0)
        engine.run(visits, len(visits))
        seconds = time.perf_counter() - begin
        again = forms.choose(problem, form)
        again.decide(0)
        updated = np.array([_one_visit(again, problem, i, form) for i in order[:listed]])
        return Run(engine.final()[0], updated, seconds)

    return loop


def _one_visit(engine: Any, problem: Any, i: int, form: str) -> bool:
    visit = np.full((1, 1), i, np.int32)
    if form != "direct":
        return bool(engine.run(visit, 1)[1])
    # this kernel takes the number of examples from the order's width: give it a sample of one
    y, indptr, columns, values, reach = engine.sample
    sample = plain_loops.Sample(y[i : i + 1], indptr[i : i + 2], columns, values, reach)
    rule = engine.rule._replace(batch=1)
    return bool(plain_loops.direct(engine.network, sample, rule, np.zeros_like(visit), 1)[1])


COMPETITORS = {
    "direct": Competitor("this engine, form='direct'", engine_form("direct")),
    "plain": Competitor("plain compiled loop (Numba)", _numba(_strict), "numba", True),
    "plain_fastmath": Competitor("plain compiled loop (Numba, fastmath)", _numba(_fastmath), "numba", True),
    "jax": Competitor("JAX lax.scan, masked update", _jax(), "jax", True),
    "jax_columns": Competitor("JAX lax.scan, masked, W transposed", _jax(columns=True), "jax", True),
    "jax_cond": Competitor("JAX lax.scan, lax.cond", _jax(skip=True), "jax", True),
    "numpy": Competitor("NumPy", numpy_loop),
    "torch": Competitor("PyTorch, updates by hand", torch_manual, "torch"),
    "torch_autograd_skip": Competitor("PyTorch autograd + SGD, flat loss skipped", _torch_autograd(True), "torch"),
    "torch_autograd": Competitor("PyTorch autograd + SGD", _torch_autograd(False), "torch"),
}
