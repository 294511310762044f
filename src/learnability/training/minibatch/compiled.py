"""The JAX form's compiled halves: an epoch of steps, and an evaluation.

Functions here are made once for a model and a layout and then kept, so that calls of the trainer share their
compilation. A layout says which arguments have a leading axis of runs; without any, nothing is vmapped (a vmapped
axis of length one would cost a sixth of the speed of a wide layer). An epoch's last batch, which may be smaller, is
a step outside the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from learnability.errors import RequestError
from learnability.training.minibatch.model import Model

__all__ = ["OF_EACH", "Layout", "epoch", "evaluation", "norm", "start"]

OF_EACH: Mapping[str, Callable[[Any, Any], Any]] = {
    "hinge": lambda f, y: jax.nn.relu(1 - y * f),  # derivative 0 where y f = 1
    "squared": lambda f, y: (f - y) ** 2 / 2,
    "logistic": lambda f, y: jax.nn.softplus(-y * f),
}
"""Loss of each output; that of an example is the sum over its outputs."""


def of_each(model: Model, f: Any, y: Any) -> Any:
    """The loss of each output."""
    losses = (model.loss if callable(model.loss) else OF_EACH[model.loss])(f, y)
    if jnp.shape(losses) != jnp.shape(f):
        raise RequestError(f"loss must return one number for each output, shape {f.shape}, got {jnp.shape(losses)}")
    return losses


def outputs(model: Model, trained: Any, frozen: Any, store: Any, gather: Any, visits: Any) -> tuple[Any, Any]:
    """Outputs and labels of some visits."""
    X, y = (jnp.asarray(part).astype(model.dtype) for part in gather(store, visits))
    f = model.apply(model.kind(**frozen, **trained), X)
    if f.shape != y.shape:  # they would broadcast to something that nobody means
        raise RequestError(f"apply must return outputs of the labels' shape {y.shape}, got shape {f.shape}")
    return f, y


class Layout(NamedTuple):
    """Which arguments have a leading axis of runs."""

    many: bool = False
    """Trained parameters, the optimiser's memory, learning rate and weight decay."""
    frozen: bool = False
    visits: bool = False


def _over_runs(function: Any, layout: Layout, axes: tuple[bool, ...]) -> Any:
    return jax.vmap(function, in_axes=tuple(0 if axis else None for axis in axes)) if layout.many else function


def _batches(visits: Any, batch: int) -> tuple[Any, Any]:
    """All batches but the last, stacked, and the last."""
    size = jax.tree.leaves(visits)[0].shape[0]
    full = (size - 1) // batch
    head = jax.tree.map(lambda part: part[: full * batch].reshape(full, batch, *part.shape[1:]), visits)
    return head, jax.tree.map(lambda part: part[full * batch :], visits)


def _wrong(f: Any, y: Any) -> Any:
    mistakes = jnp.logical_not(y * f > 0)  # output 0 is one, and so is NaN
    return mistakes.reshape(len(y), -1).mean(axis=1).sum()


@lru_cache(maxsize=64)
def epoch(model: Model, gather: Any, batch: int, layout: Layout) -> Any:
    """Compiled epoch of steps.

    ``(trained, memory, frozen, store, visits, rate, decay) -> (trained, memory, losses, wrong, norm, still)``:
    ``losses`` and ``wrong`` (share of outputs with y f <= 0) hold a sum over examples for each batch, before its
    step; ``still`` says whether the last step changed nothing. The first two arguments are donated.
    """

    def one(trained: Any, memory: Any, frozen: Any, store: Any, visits: Any, rate: Any, decay: Any) -> Any:
        rule = model.rule(rate, decay)

        def objective(trained: Any, visits: Any) -> tuple[Any, Any]:
            f, y = outputs(model, trained, frozen, store, gather, visits)
            total = of_each(model, f, y).sum()
            return total / len(y), (total, _wrong(f, y))

        def step(state: Any, visits: Any) -> tuple[Any, Any]:
            trained, memory = state
            (_, seen), gradient = jax.value_and_grad(objective, has_aux=True)(trained, visits)
            change, memory = rule.update(gradient, memory, trained)
            return (optax.apply_updates(trained, change), memory), (seen, change)

        head, last = _batches(visits, batch)
        state, (losses, wrong) = jax.lax.scan(
            lambda state, visits: _without_change(step(state, visits)), (trained, memory), head
        )
        (trained, memory), ((loss, errors), change) = step(state, last)
        still = jnp.stack([(part == 0).all() for part in jax.tree.leaves(change)]).all()
        return (
            trained, memory, jnp.append(losses, loss), jnp.append(wrong, errors), _size(trained), still
        )  # fmt: skip

    axes = (True, True, layout.frozen, False, layout.visits, True, True)
    return jax.jit(_over_runs(one, layout, axes), donate_argnums=(0, 1))


def _size(trained: Any) -> Any:
    return jnp.sqrt(sum(jnp.sum(part**2) for part in jax.tree.leaves(trained)))


def _without_change(result: tuple[Any, tuple[Any, Any]]) -> tuple[Any, Any]:
    state, (seen, _) = result
    return state, seen


@lru_cache(maxsize=64)
def evaluation(model: Model, gather: Any, batch: int, layout: Layout) -> Any:
    """Compiled ``(trained, frozen, store, visits) -> (losses, wrong)``: a sum for each batch."""

    def one(trained: Any, frozen: Any, store: Any, visits: Any) -> Any:
        def of(visits: Any) -> tuple[Any, Any]:
            f, y = outputs(model, trained, frozen, store, gather, visits)
            return of_each(model, f, y).sum(), _wrong(f, y)

        head, last = _batches(visits, batch)
        _, (losses, wrong) = jax.lax.scan(lambda _, visits: (None, of(visits)), None, head)
        loss, errors = of(last)
        return jnp.append(losses, loss), jnp.append(wrong, errors)

    return jax.jit(_over_runs(one, layout, (True, layout.frozen, False, False)))


@lru_cache(maxsize=64)
def start(model: Model, layout: Layout) -> Any:
    """Compiled ``(trained, rate, decay) -> memory`` of the optimiser."""

    def one(trained: Any, rate: Any, decay: Any) -> Any:
        return model.rule(rate, decay).init(trained)

    return jax.jit(_over_runs(one, layout, (True, True, True)))


@lru_cache(maxsize=4)
def norm(layout: Layout) -> Any:
    """Compiled ``(trained,) -> norm`` of all trained parameters together."""
    return jax.jit(_over_runs(_size, layout, (True,)))
