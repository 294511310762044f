"""MNIST-parity training, steps of it, against other ways to write it: ``python -m benchmarks.parity_minibatch``.

The ReLU network of ``parity/fig1``: 512 units, strips of k = 3 digits, Adadelta at learning rate 1, batches of 128,
hinge loss, float32, on MNIST (four of five pixels are 0) and on random images (none is). Everyone starts from the
same weights, sees the same batches, and composes its strips batch by batch from the unsigned bytes; one thread each.
Windows of some steps in turns, there and back; ratios of medians with an interval:

- ``engine``: :func:`learnability.training.minibatch.train`, with everything that it does in an epoch. What it does
  once, before, stands beside it (``set-up``);
- ``engine-jax``: the same call with ``form="jax"``, as a user's own forward function is trained;
- ``jax``: the same step under ``jax.jit``, called for one batch at a time, state donated;
- ``torch``: ``nn.Linear`` layers and ``torch.optim.Adadelta``, batch by batch, as PyTorch's users write it;
- ``numpy``: the reference's gradient and Adadelta in float32.

Before they are timed, all must end where the reference in float64 does after a few steps. The limit on dense inputs
is the time of a step's two products alone (the fastest of XLA's, NumPy's and ours) and of the bytes that Adadelta
reads and writes at the bandwidth measured beside.

Then tables of what the engine's choices rest on: rows of non-zeros against dense products by share of non-zeros and
width, and seconds of an epoch for each model of the study.

MNIST is looked for as everywhere (``LEARNABILITY_DATA``); random images with as many zeros stand in for it.
"""

from __future__ import annotations

import os

import psutil

# Before NumPy, JAX and PyTorch are imported: they read these once. (JAX's thread is the trainer's business.)
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import math
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks import common
from learnability import datasets, seeding
from learnability.networks.strips import MODELS, Relu, relu, relu_start
from learnability.problems.strips import Strips, gather
from learnability.sweep.perform import peak_memory
from learnability.training import minibatch
from learnability.training.grid.blocks import zeros
from learnability.training.minibatch import reference as minibatch_reference
from learnability.training.minibatch.fused import parts
from learnability.training.minibatch.optimisers import Adadelta
from learnability.training.minibatch.sources import Source, examples
from learnability.training.vector.tiles import BLOCK, STORE, kernel, product

RHO, EPSILON, BATCH = 0.95, 1e-7, 128


class Result(NamedTuple):
    """Weights after the visits, the seconds of them, and those of what comes before."""

    params: Relu
    seconds: float
    set_up: float = 0.0


Loop = Callable[[Relu, Strips, NDArray[Any]], Result]


def engine(start: Relu, strips: Strips, visits: NDArray[Any], form: str = "auto", epochs: int = 1) -> Result:
    """Our trainer, given the visits as its epochs; timed is the first, or the run's rest where there is no other."""
    begins = []

    def draw(rng: np.random.Generator) -> NDArray[Any]:
        begins.append(time.perf_counter())
        return visits

    begin = time.perf_counter()
    (run,) = minibatch.train(
        relu, start, Source(len(visits), draw, gather, strips.store), rule=Adadelta(RHO, EPSILON), learning_rate=1.0,
        batch=BATCH, epochs=epochs, rng=np.random.default_rng(0), record=[epochs], form=form,
    )  # fmt: skip
    ends = [*begins[1:], time.perf_counter()]
    return Result(Relu(*run.params), ends[0] - begins[0], begins[0] - begin)


def engine_by_jax(start: Relu, strips: Strips, visits: NDArray[Any], epochs: int = 1) -> Result:
    """Our trainer, the form for any model."""
    return engine(start, strips, visits, "jax", epochs)


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
        return common.is_installed(self.needs)


LOOPS = {
    "engine": Competitor("this trainer", engine),
    "engine-jax": Competitor("this trainer, form='jax'", engine_by_jax),
    "jax": Competitor("JAX, jit, step by step", jax_steps),
    "torch": Competitor("PyTorch", torch_steps, "torch"),
    "numpy": Competitor("NumPy", numpy_steps),
}


def synthetic(
    rng: np.random.Generator, count: int = 60_000, share: float = 1.0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Random images of MNIST's size, a share of whose pixels is not 0, and digits."""
    images = rng.integers(1, 256, (count, 28, 28), dtype=np.uint8)
    if share < 1:
        images *= rng.random(images.shape, dtype=np.float32) < share
    return images, rng.integers(0, 10, count, dtype=np.uint8)


def apart(one: Relu, other: Relu) -> float:
    """Distance of all weights, relative to their norm."""
    ours, theirs = (np.concatenate([np.ravel(part).astype(np.float64) for part in params]) for params in (one, other))
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


class Effort(NamedTuple):
    """How much is measured."""

    units: int
    steps: int
    """In a window."""
    windows: int
    few: int
    """Steps after which all must agree."""
    images: int
    densities: tuple[float, ...]
    widths: tuple[int, ...]


FULL = Effort(512, 120, 7, 10, 60_000, (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0), (32, 128, 512))
SHORT = Effort(512, 40, 5, 5, 20_000, (0.1, 0.3, 0.6), (128,))
QUICK = Effort(16, 3, 2, 3, 600, (0.2,), (32,))


def compare(strips: Strips, effort: Effort) -> list[dict[str, Any]]:
    """Time all loops on the same steps, in turns."""
    start = relu_start(seeding.generator(0, "benchmark start"), strips.n, effort.units)
    visits = strips.draw(seeding.generator(0, "benchmark strips"))[: effort.steps * BATCH]
    few = visits[: effort.few * BATCH]
    exact = numpy_steps(start, strips, few, "float64").params
    loops = {name: one for name, one in LOOPS.items() if one.installed}
    agreement = {name: apart(one.loop(start, strips, few).params, exact) for name, one in loops.items()}
    wrong = {name: found for name, found in agreement.items() if not found < 1e-4}
    if wrong:
        raise RuntimeError(f"these loops do not make the reference's updates: {wrong}")
    set_up: dict[str, float] = {}

    def window(name: str) -> float:
        ours = {"epochs": 2} if name.startswith("engine") else {}
        found = loops[name].loop(start, strips, visits, **ours)
        set_up[name] = found.set_up
        return found.seconds

    samples = common.alternating({name: (lambda name=name: window(name)) for name in loops}, effort.windows)
    steps = math.ceil(len(visits) / BATCH)
    return [
        {
            "competitor": name, "label": one.label, "ms_per_step": 1e3 * samples[name].median / steps,
            "ms_each": [1e3 * value / steps for value in samples[name].values],
            "interval": common.ratio(samples[name], samples["engine"])._asdict(), "set_up_s": set_up[name],
            "from_float64": agreement[name],
        }
        for name, one in loops.items()
    ]  # fmt: skip


def products(n: int, units: int, repeats: int = 30) -> dict[str, float]:
    """Milliseconds of a step's two matrix products alone, X W and X^T D, done by XLA, NumPy and our tiles."""
    p = math.ceil(units / BLOCK) * BLOCK
    X, W, D = (np.full(shape, 0.5, np.float32) for shape in ((BATCH, n), (n, p), (BATCH, p)))
    forward, backward = jax.jit(lambda X, W: X @ W), jax.jit(lambda X, D: X.T @ D)
    on_device = [jnp.asarray(part) for part in (X, W, D)]
    chunk = min(196, n)
    chunks, blocks = n // chunk, p // BLOCK
    x, w, d = (zeros(s, "float32") for s in ((chunks, BATCH, chunk), (blocks, n, BLOCK), (blocks, BATCH, BLOCK)))
    g = zeros((chunk, BLOCK), "float32")
    for part in (x, w, d):
        part[...] = 0.5
    ways = {
        "XLA": lambda: (forward(*on_device[:2]), backward(on_device[0], on_device[2])),
        "NumPy": lambda: (X @ W, X.T @ D),
        "tiles": lambda: _tiled(kernel("float32"), x, w, d, g, d.copy()),
    }

    def seconds(way: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        for _ in range(repeats):
            jax.block_until_ready(way())
        return (time.perf_counter() - begin) / repeats

    samples = common.alternating({name: (lambda way=way: seconds(way)) for name, way in ways.items()})
    return {name: 1e3 * one.median for name, one in samples.items()}


@njit
def _tiled(kernel, x, w, d, g, a):  # type: ignore[no-untyped-def]
    rows, chunk = x.shape[1:]
    for c in range(len(x)):
        for j in range(len(w)):
            product(kernel, a[j], x[c], 0, w[j, c * chunk : (c + 1) * chunk], rows, chunk, BLOCK, 1, STORE, a[j])
    for c in range(len(x)):
        for j in range(len(w)):
            product(kernel, g, x[c], 1, d[j], chunk, rows, BLOCK, 0, STORE, g)


def bandwidth(numbers: int) -> float:
    """Bytes a second, read and written, of adding to so many float32 in place."""
    array = np.zeros(numbers, np.float32)

    def seconds() -> float:
        begin = time.perf_counter()
        for _ in range(20):
            np.add(array, 1, out=array)
        return time.perf_counter() - begin

    return 20 * 2 * array.nbytes / common.alternating({"add": seconds})["add"].median


def by_density(effort: Effort) -> list[dict[str, Any]]:
    """A step on 784 inputs, by rows of non-zeros and by dense products."""
    rows = []
    rng = seeding.generator(0, "benchmark densities")
    for units in effort.widths:
        for share in effort.densities:
            images, digits = synthetic(rng, min(effort.images, 8 * BATCH), share)
            X, y = images.reshape(len(images), -1) / np.float32(255), np.where(digits % 2, 1.0, -1.0)
            start = relu_start(rng, X.shape[1], units)
            ways = {name: _epoch(start, X, y, limit) for name, limit in (("sparse", 2.0), ("dense", 0.0))}
            samples = common.alternating(ways, effort.windows)
            ratio = common.ratio(samples["dense"], samples["sparse"])
            ms = {name: 1e3 * one.median / math.ceil(len(X) / BATCH) for name, one in samples.items()}
            rows.append({"units": units, "share": share, **ms, "ratio": ratio._asdict()})
    return rows


def _epoch(start: Relu, X: NDArray[Any], y: NDArray[Any], limit: float) -> Callable[[], float]:
    def seconds() -> float:
        usual, parts.SPARSE = parts.SPARSE, limit
        begins: list[float] = []
        sample = examples(X, y)

        def draw(rng: np.random.Generator) -> Any:
            begins.append(time.perf_counter())
            return sample.draw(rng)

        try:
            minibatch.train(
                relu, start, Source(len(X), draw, sample.gather, sample.store), rule=Adadelta(RHO, EPSILON),
                learning_rate=1.0, batch=BATCH, epochs=7, rng=np.random.default_rng(0), record=[7], form="fused",
            )  # fmt: skip
        finally:
            parts.SPARSE = usual
        return (begins[-1] - begins[1]) / 5

    return seconds


def by_model(strips: Strips, effort: Effort) -> list[dict[str, Any]]:
    """Milliseconds of a step for each model of the study, in both forms."""
    rows = []
    for name, model in MODELS.items():
        start = model.start(seeding.generator(0, "benchmark start"), strips.n, effort.units)
        size = effort.steps * BATCH
        stream = Strips(strips.images[:size], strips.digits[:size], strips.k, size=size)

        def seconds(form: str, model: Any = model, start: Any = start, stream: Strips = stream) -> float:
            begins = []

            def draw(rng: np.random.Generator) -> NDArray[Any]:
                begins.append(time.perf_counter())
                return stream.draw(rng)

            minibatch.train(
                model.apply, start, Source(stream.size, draw, gather, stream.store), rule=Adadelta(RHO, EPSILON),
                learning_rate=1.0, batch=BATCH, epochs=3, rng=np.random.default_rng(0), record=[3], form=form,
                trainable=model.trainable,
            )  # fmt: skip
            return begins[-1] - begins[-2]

        ways = {form: (lambda form=form: seconds(form)) for form in ("fused", "jax")}
        samples = common.alternating(ways, max(2, effort.windows - 2))
        ms = {form: 1e3 * one.median / effort.steps for form, one in samples.items()}
        rows.append({"model": name, **ms, "ratio": common.ratio(samples["jax"], samples["fused"])._asdict()})
    return rows


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    options = common.parser(
        "parity_minibatch", __doc__, "a few steps of a small network", "fewer and shorter windows, no table of models"
    )
    chosen = common.parse(options, arguments)
    effort = QUICK if chosen.quick else SHORT if chosen.short else FULL
    load = {"start": psutil.getloadavg()}
    rng = seeding.generator(0, "benchmark images")
    if datasets.mnist_path() is not None and not chosen.quick:
        pool = datasets.digit_images("mnist")
        name, sparse = pool.origin, Strips(pool.x_train, pool.y_train, 3)
    else:
        name, sparse = "images, a fifth not 0", Strips(*synthetic(rng, effort.images, 0.2), 3)
    dense = Strips(*synthetic(rng, effort.images), 3)
    found = {name: compare(sparse, effort), "dense": compare(dense, effort)}
    weights = effort.units * dense.n
    limit = {"products_ms": products(dense.n, effort.units), "bytes": 6 * 4 * weights}
    limit["bandwidth"] = bandwidth(3 * weights)
    limit["ms"] = min(limit["products_ms"].values()) + 1e3 * limit["bytes"] / limit["bandwidth"]
    report = {
        "machine": common.machine(), "units": effort.units, "k": 3, "batch": BATCH, "few": effort.few,
        "inputs": found, "limit": limit, "densities": by_density(effort),
        "models": [] if chosen.short else by_model(sparse, effort), "load_average": load,
        "peak_mb": peak_memory() / 2**20,
    }  # fmt: skip
    load["end"] = psutil.getloadavg()
    _print(report)
    common.write(report, chosen.json)
    return report


def _print(report: dict[str, Any]) -> None:
    console = common.console()
    for name, rows in report["inputs"].items():
        console.print(common.table(
            f"A step of MNIST-parity, k = 3, {report['units']} units, Adadelta, float32: {name}",
            ("", "ms a step", "over this trainer's", "set-up s", f"from float64, {report['few']} steps"),
            [
                (row["label"], f"{row['ms_per_step']:.3g}", str(common.Ratio(**row["interval"])),
                 f"{row['set_up_s']:.2g}", f"{row['from_float64']:.1e}")
                for row in rows
            ],
        ))  # fmt: skip
    limit = report["limit"]
    told = ", ".join(f"{name} {ms:.2f}" for name, ms in limit["products_ms"].items())
    ours = report["inputs"]["dense"][0]["ms_per_step"]
    console.print(
        f"Dense limit: {limit['ms']:.2f} ms a step, the fastest products ({told} ms) and {limit['bytes'] / 1e6:.0f} "
        f"MB of the optimiser's at {limit['bandwidth'] / 1e9:.0f} GB/s. This trainer takes {ours / limit['ms']:.2f} "
        "times that."
    )
    console.print(common.table(
        "784 inputs, a step of the engine, ms", ("units", "not 0", "sparse", "dense", "dense over sparse"),
        [
            (str(row["units"]), f"{row['share']:.0%}", f"{row['sparse']:.3g}", f"{row['dense']:.3g}",
             str(common.Ratio(**row["ratio"])))
            for row in report["densities"]
        ],
    ))  # fmt: skip
    if report["models"]:
        console.print(common.table(
            "The study's models, k = 3, a step, ms", ("", "fused", "jax", "jax over fused"),
            [
                (row["model"], f"{row['fused']:.3g}", f"{row['jax']:.3g}", str(common.Ratio(**row["ratio"])))
                for row in report["models"]
            ],
        ))  # fmt: skip
    console.print(common.described(report["machine"]))
    console.print(
        f"Rows of non-zeros are taken below {parts.SPARSE:.0%}. Peak memory {report['peak_mb']:.0f} MB; "
        + common.load(report["load_average"]["start"], report["load_average"]["end"])
    )


if __name__ == "__main__":
    main(sys.argv[1:])
