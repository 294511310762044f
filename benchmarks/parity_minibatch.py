"""MNIST-parity training, an epoch of it, against other ways to write it: ``python -m benchmarks.parity_minibatch``.

The ReLU network of ``parity/fig1``: 512 units, strips of k = 3 digits, Adadelta at learning rate 1, batches of 128,
hinge loss, float32. Everyone starts from the same weights, sees the same batches, and composes its strips batch by
batch from the unsigned bytes; one thread each. Timed in turns, the median of the repeats:

- ``engine``: :func:`learnability.training.minibatch.train`, with everything it does in an epoch but compiling;
- ``jax``: the same step under ``jax.jit``, called for one batch at a time, state donated;
- ``torch``: ``nn.Linear`` layers and ``torch.optim.Adadelta``, batch by batch, as PyTorch's users write it;
- ``numpy``: the reference's gradient and Adadelta in float32.

Compiling (the first call's excess) is reported beside it. Final weights are compared with those of the reference in
float64 over the first batches, and with the engine's over the whole epoch. In float32 the second comparison may show
1e-3 where the first shows 1e-7: among an epoch's decisions (is this unit active, is this margin below 1) one that
hangs on the last digit is taken otherwise, and the weights keep the difference.

MNIST is looked for as everywhere (``LEARNABILITY_DATA``); random images of its size stand in for it, on which the
work is the same.
"""

from __future__ import annotations

import os

# Before NumPy, JAX and PyTorch are imported: they read these once. (JAX's thread is the trainer's business.)
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import importlib.util
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.common import Parser, machine
from learnability import datasets, seeding
from learnability.networks.strips import Relu, relu, relu_start
from learnability.problems.strips import Strips, gather
from learnability.training import minibatch
from learnability.training.minibatch import reference as minibatch_reference
from learnability.training.minibatch.optimisers import Adadelta
from learnability.training.minibatch.sources import Source

RHO, EPSILON, BATCH = 0.95, 1e-7, 128


class Result(NamedTuple):
    """Weights after the visits, and the seconds that it took."""

    params: Relu
    seconds: float


Loop = Callable[[Relu, Strips, NDArray[Any]], Result]


def engine(start: Relu, strips: Strips, visits: NDArray[Any], dtype: str = "float32") -> Result:
    """Our trainer, given the visits as its one epoch."""
    source = Source(len(visits), lambda rng: visits, gather, strips.store)
    begin = time.perf_counter()
    (run,) = minibatch.train(
        relu, start, source, rule=Adadelta(RHO, EPSILON), learning_rate=1.0, batch=BATCH, epochs=1,
        rng=np.random.default_rng(0), record=[1], dtype=dtype,
    )  # fmt: skip
    return Result(Relu(*run.params), time.perf_counter() - begin)


@jax.jit
def _loss(params: Relu, X: Any, y: Any) -> Any:
    return jax.nn.relu(1 - y * relu(params, X)).mean()


def _jax_step(params: Relu, memory: Any, store: Any, visits: Any) -> Any:
    X, y = gather(store, visits)
    g = jax.grad(_loss)(params, X, y)
    squares = jax.tree.map(lambda a, g: RHO * a + (1 - RHO) * g**2, memory[0], g)
    steps = jax.tree.map(
        lambda g, a, b: g * jnp.sqrt(b + EPSILON) / jnp.sqrt(a + EPSILON), g, squares, memory[1]
    )  # fmt: skip
    moved = jax.tree.map(lambda b, d: RHO * b + (1 - RHO) * d**2, memory[1], steps)
    return jax.tree.map(jnp.subtract, params, steps), (squares, moved)


_jax_compiled = jax.jit(_jax_step, donate_argnums=(0, 1))


def jax_steps(start: Relu, strips: Strips, visits: NDArray[Any]) -> Result:
    """JAX under jit, a call for each batch."""
    params = jax.tree.map(lambda part: jnp.array(part, dtype="float32"), start)
    memory = jax.tree.map(jnp.zeros_like, (params, params))
    store = jax.tree.map(jnp.asarray, strips.store)
    jax.block_until_ready((params, memory, store))
    begin = time.perf_counter()
    for first in range(0, len(visits), BATCH):
        params, memory = _jax_compiled(params, memory, store, visits[first : first + BATCH])
    jax.block_until_ready(params)
    seconds = time.perf_counter() - begin
    return Result(Relu(*(np.asarray(part) for part in params)), seconds)


def torch_steps(start: Relu, strips: Strips, visits: NDArray[Any]) -> Result:
    """PyTorch: modules, autograd, ``torch.optim.Adadelta``."""
    import torch

    torch.set_num_threads(1)
    p, n = start.W.shape
    first, last = torch.nn.Linear(n, p), torch.nn.Linear(p, 1)
    with torch.no_grad():
        for part, value in zip(
            (first.weight, first.bias, last.weight, last.bias),
            (start.W, start.b, start.u[None, :], start.c[None]),
            strict=True,
        ):
            part.copy_(torch.tensor(value))
    network = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    optimiser = torch.optim.Adadelta(network.parameters(), lr=1.0, rho=RHO, eps=EPSILON)
    images, signs = torch.tensor(strips.images), torch.tensor(strips.signs).float()
    where = torch.tensor(visits, dtype=torch.int64)
    begin = time.perf_counter()
    for at in range(0, len(visits), BATCH):
        chosen = where[at : at + BATCH]
        X = images[chosen].permute(0, 2, 1, 3).reshape(len(chosen), -1).float() / strips.highest
        y = signs[chosen].prod(dim=1)
        loss = torch.relu(1 - y * network(X).squeeze(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seconds = time.perf_counter() - begin
    W, b, u, c = (part.detach().numpy() for part in (first.weight, first.bias, last.weight, last.bias))
    return Result(Relu(W, b, u[0], c[0]), seconds)


def numpy_steps(start: Relu, strips: Strips, visits: NDArray[Any], dtype: str = "float32") -> Result:
    """The reference's gradient and optimiser in the given precision."""
    step = minibatch_reference.adadelta(RHO, EPSILON)
    params = minibatch_reference.Hidden(*(part.astype(dtype) for part in start))
    memory: dict[str, Any] = dict.fromkeys(params._fields)
    signs = strips.signs.astype(dtype)
    scale = np.dtype(dtype).type(strips.highest)
    begin = time.perf_counter()
    for first in range(0, len(visits), BATCH):
        chosen = visits[first : first + BATCH]
        X = strips.images[chosen].transpose(0, 2, 1, 3).reshape(len(chosen), -1).astype(dtype) / scale
        _, _, g = minibatch_reference.gradient(params, X, signs[chosen].prod(axis=1), "hinge")
        for name in params._fields:
            new, memory[name] = step(getattr(params, name), getattr(g, name), memory[name], 1.0, 0.0)
            params = params._replace(**{name: new})
    return Result(Relu(*params), time.perf_counter() - begin)


class Competitor(NamedTuple):
    """A loop and the module that it needs."""

    label: str
    loop: Loop
    needs: str = "numpy"

    @property
    def installed(self) -> bool:
        """Whether the module can be found."""
        return importlib.util.find_spec(self.needs) is not None


LOOPS = {
    "engine": Competitor("this trainer", engine),
    "jax": Competitor("JAX, jit, step by step", jax_steps),
    "torch": Competitor("PyTorch", torch_steps, "torch"),
    "numpy": Competitor("NumPy", numpy_steps),
}


def synthetic(rng: np.random.Generator, count: int = 60_000) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Random images of MNIST's size, and digits."""
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return images, rng.integers(0, 10, count, dtype=np.uint8)


def apart(one: Relu, other: Relu) -> float:
    """Distance of all weights, relative to their norm."""
    ours, theirs = (np.concatenate([np.ravel(part).astype(np.float64) for part in params]) for params in (one, other))
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def compare(strips: Strips, units: int, steps: int, repeats: int, agreement_steps: int) -> list[dict[str, Any]]:
    """Time all loops on the same epoch, in turns."""
    start = relu_start(seeding.generator(0, "benchmark start"), strips.n, units)
    visits = strips.draw(seeding.generator(0, "benchmark strips"))[: steps * BATCH]
    few = visits[: agreement_steps * BATCH]
    exact = numpy_steps(start, strips, few, "float64").params
    loops = {name: one for name, one in LOOPS.items() if one.installed}
    first = {name: _seconds(one.loop, start, strips, visits) for name, one in loops.items()}
    results: dict[str, list[Result]] = {name: [] for name in loops}
    for _ in range(repeats):
        for name, one in loops.items():
            results[name].append(one.loop(start, strips, visits))
    ours = results["engine"][-1].params
    rows = []
    for name, one in loops.items():
        seconds = [result.seconds for result in results[name]]
        middle = float(np.median(seconds))
        rows.append(
            {
                "competitor": name,
                "label": one.label,
                "seconds": middle,
                "seconds_each": seconds,
                "ms_per_step": 1e3 * middle / -(-len(visits) // BATCH),
                "first_call_excess_s": max(0.0, first[name] - middle),
                "from_float64": apart(one.loop(start, strips, few).params, exact),
                "from_engine": apart(results[name][-1].params, ours),
            }
        )
    for row in rows:
        row["ratio"] = row["seconds"] / rows[0]["seconds"]
    return rows


def products(n: int, units: int, repeats: int = 200) -> float:
    """Milliseconds of a step's two matrix products alone, X W and X^T D: the limit that they set."""
    X, W, D = (
        jnp.ones((BATCH, n), jnp.float32),
        jnp.ones((n, units), jnp.float32),
        jnp.ones((BATCH, units), jnp.float32),
    )
    forward, backward = jax.jit(lambda X, W: X @ W), jax.jit(lambda X, D: X.T @ D)
    seconds = 0.0
    for product, other in ((forward, W), (backward, D)):
        product(X, other).block_until_ready()
        begin = time.perf_counter()
        for _ in range(repeats):
            product(X, other).block_until_ready()
        seconds += (time.perf_counter() - begin) / repeats
    return 1e3 * seconds


def _seconds(loop: Loop, *arguments: Any) -> float:
    begin = time.perf_counter()
    loop(*arguments)
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = Parser(prog="python -m benchmarks.parity_minibatch", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument("--quick", action="store_true", help="a few steps of a small network: a smoke test")
    parser.add_argument("--repeats", type=int, default=3, help="of the epoch, each (default 3)")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats must be >= 1, got {options.repeats}")
    if options.json is not None and not options.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.resolve().parent}")
    if datasets.mnist_path() is not None and not options.quick:
        pool = datasets.digit_images("mnist")
        data, (images, digits) = pool.origin, (pool.x_train, pool.y_train)
    else:
        rng = seeding.generator(0, "benchmark images")
        data, (images, digits) = "random images", synthetic(rng, 600 if options.quick else 60_000)
    load = {"start": os.getloadavg()}
    units, steps, agreement = (16, 3, 3) if options.quick else (512, 469, 20)
    rows = compare(Strips(images, digits, 3), units, steps, options.repeats, agreement)
    limit = products(3 * images[0].size, units, 5 if options.quick else 200)
    load["end"] = os.getloadavg()
    report = {
        "machine": machine(), "data": data, "units": units, "k": 3, "batch": BATCH, "agreement_steps": agreement,
        "load_average": load, "rows": rows, "products_ms": limit,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip
    _print(report)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _print(report: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 118)
    table = Table(
        title=f"One epoch of MNIST-parity, k = 3, {report['units']} units, Adadelta, float32, {report['data']}"
    )
    for name in ("", "seconds", "ms a step", "ratio", "first call +s", "from float64", "from engine"):
        table.add_column(name, justify="left" if not name else "right")
    for row in report["rows"]:
        table.add_row(
            row["label"], f"{row['seconds']:.3g}", f"{row['ms_per_step']:.3g}", f"{row['ratio']:.2f}",
            f"{row['first_call_excess_s']:.2g}", f"{row['from_float64']:.1e}", f"{row['from_engine']:.1e}",
        )  # fmt: skip
    console.print(table)
    console.print(f"A step's two matrix products alone take {report['products_ms']:.2f} ms.")
    load = report["load_average"]
    console.print(
        f"from float64: relative distance of all weights from the reference's after {report['agreement_steps']} "
        f"steps; from engine: after the epoch. Peak memory {report['peak_mb']:.0f} MB; load average "
        f"{load['start'][0]:.2f} at the start, {load['end'][0]:.2f} at the end, {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
