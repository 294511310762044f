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

import time
from functools import cache
from typing import Any

import numpy as np

from benchmarks import two_layer_numba
from benchmarks.two_layer_rule import Array, Competitor, Loop, Rule, Run, finished
from learnability.networks.separable import TwoLayer
from learnability.training import two_layer
from learnability.training.drive import one_blas_thread


def numpy_loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
    """One matrix-vector product a visit, one outer product an update, into an array that stays."""
    eta, alpha, layers = rule
    W, v, X, y = (np.array(part, dtype=dtype, order="C") for part in (*params, X, y))
    updated, outer = np.zeros(len(order), dtype=bool), np.empty_like(W)
    with one_blas_thread():
        begin = time.perf_counter()
        for visit, i in enumerate(order.tolist()):
            x, label = X[i], y[i]
            z = W @ x
            slope = np.where(z >= 0, z.dtype.type(1), z.dtype.type(alpha))
            activity = slope * z
            if label * (v @ activity) < 1:
                step = eta * label
                W += np.multiply((step * v * slope)[:, None], x, out=outer)
                if layers == "both":
                    v += step * activity
                updated[visit] = True
        seconds = time.perf_counter() - begin
    return finished(W, v, updated, seconds)


def scipy_loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
    """The same with BLAS's rank-one update in place, through SciPy."""
    from scipy.linalg.blas import get_blas_funcs

    eta, alpha, layers = rule
    W, v, X, y = (np.array(part, dtype=dtype, order="C") for part in (*params, X, y))
    (update,) = get_blas_funcs(("ger",), (W,))
    WT = W.T  # in Fortran's order, so that it is not copied
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
                update(step, x, v * slope, a=WT, overwrite_x=0, overwrite_y=0, overwrite_a=1)
                if layers == "both":
                    v += step * activity
                updated[visit] = True
        seconds = time.perf_counter() - begin
    return finished(W, v, updated, seconds)


def _jax(skip: bool = False, columns: bool = False) -> Loop:
    """``lax.scan`` over the visits under jit, the state donated.

    ``skip`` branches past an update that is not due (``lax.cond``); ``columns`` stores W transposed. Which of them
    is fastest depends on the width and on the share of updates, so all are measured.
    """

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            run = _jax_scan(skip, columns, rule.both)
            state = tuple(jnp.array(part, dtype=dtype) for part in (params.W.T if columns else params.W, params.v))
            inputs = (*(jnp.array(part, dtype=dtype) for part in (X, y)), jnp.asarray(order))
            numbers = jnp.array(rule.eta, dtype=dtype), jnp.array(rule.alpha, dtype=dtype)
            jax.block_until_ready((state, inputs, numbers))
            begin = time.perf_counter()
            state, updated = jax.block_until_ready(run(state, *inputs, *numbers))
            seconds = time.perf_counter() - begin
        W, v = (np.array(part) for part in state)
        return finished(W.T if columns else W, v, np.array(updated), seconds)

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
    return finished(W.numpy(), v.numpy(), updated, seconds)


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
        return finished(first.weight.detach().numpy(), last.weight.detach().numpy()[0], updated, seconds)

    return loop


def engine_loop(form: str) -> Loop:
    """The engine through its own door, given the visits: they are the sample, and the order is cyclic."""

    def loop(params: TwoLayer, X: Array, y: Array, order: Array, rule: Rule, dtype: str) -> Run:
        begin = time.perf_counter()
        run = two_layer.train(
            params, X[order], y[order], **rule._asdict(), rng=np.random.default_rng(0), epochs=1, order="cyclic",
            record=(), dtype=dtype, form=form,
        )  # fmt: skip
        return Run(run.params, run.used > 0, time.perf_counter() - begin)

    return loop


ENGINE = {
    form: Competitor("engine" if form == "auto" else f"engine, form='{form}'", engine_loop(form))
    for form in two_layer.FORMS
}
COMPETITORS = {
    "numba": Competitor("Numba", two_layer_numba.strict, "numba"),
    "fastmath": Competitor("Numba fastmath", two_layer_numba.fastmath, "numba"),
    "fastmath_columns": Competitor("Numba fastmath, W transposed", two_layer_numba.fastmath_columns, "numba"),
    "entries": Competitor("Numba fastmath, CSR", two_layer_numba.entries_rows, "numba", True),
    "entries_columns": Competitor(
        "Numba fastmath, CSR, W transposed", two_layer_numba.entries_columns, "numba", True
    ),
    "numpy": Competitor("NumPy", numpy_loop),
    "scipy": Competitor("NumPy with SciPy's BLAS", scipy_loop),
    "torch": Competitor("PyTorch by hand", torch_manual, "torch"),
    "torch_autograd": Competitor("PyTorch autograd + SGD", _torch_autograd(False), "torch"),
    "torch_autograd_skip": Competitor("PyTorch autograd, flat loss skipped", _torch_autograd(True), "torch"),
    "jax": Competitor("JAX scan, masked", _jax(), "jax"),
    "jax_columns": Competitor("JAX scan, masked, W transposed", _jax(columns=True), "jax"),
    "jax_cond": Competitor("JAX scan, cond", _jax(skip=True), "jax"),
}
