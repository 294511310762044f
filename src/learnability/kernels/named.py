r"""Every kernel by its name, as a function of two sets of inputs: for machines, and for whoever compares kernels.

==================== =============================================================== ===============================
name                 kernel                                                          options
==================== =============================================================== ===============================
gaussian             :func:`.closed_form.rbf`                                        gamma
arcsin               :func:`.inner_product.arcsin`, Allen-Zhu & Li's
arcsine              :func:`.inner_product.arcsine`, Williams', with a bias
polynomial           :func:`.inner_product.polynomial`                               degree, offset
recursive            :func:`.inner_product.recursive`                                depth
conjugate            :func:`.closed_form.conjugate`, infinite width                  depth, weight, bias
tangent              :func:`.closed_form.tangent`, infinite width                    depth, weight, bias,
                                                                                     trained_bias
resnet-last          :func:`.residual.limit`, or with m and k                        m, k, sigma_w, sigma_v
                     :func:`.residual.average`
resnet-hidden        the same, tangent kernel of V and W                             the same
resnet-tangent       the same, tangent kernel of A, V and W                          the same
features             random features, :func:`.features.random_layer`                 rng, n, N, activation, scale,
                                                                                     bias, limit
finite-conjugate     :func:`.connected.conjugate` of a network drawn at random       rng, n, widths, weight, bias
finite-tangent       :func:`.connected.tangent` of a network drawn at random         rng, n, widths, outputs, weight,
                                                                                     bias, trained_bias
finite-last          :func:`.residual_empirical.conjugate` of a network drawn        rng, n, network, m, k, sigma_w,
                                                                                     sigma_v
finite-hidden,       :func:`.residual_empirical.tangent` of it, summed over its      the same
finite-all           matrices without A, or all
==================== =============================================================== ===============================

Those that are drawn (:data:`DRAWN`) need a generator and the number n of inputs; the draw is made once, here.

A kernel by its name is a :class:`Named`: it can be pickled (joblib, multiprocessing), and takes two single rows too,
as scikit-learn's ``pairwise_kernels`` and ``KernelRidge`` pass them to a ``metric=`` or ``kernel=``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from learnability import checks
from learnability.checks import FloatArray
from learnability.errors import RequestError
from learnability.kernels import closed_form, connected, residual, residual_empirical
from learnability.kernels.features import random_layer
from learnability.kernels.inner_product import arcsin, arcsine, polynomial, recursive
from learnability.kernels.machine import Kernel
from learnability.kernels.pairs import pair
from learnability.networks.residual import Network, check_network, initial

__all__ = ["DRAWN", "NAMES", "Named", "check_options", "kernel", "of_features", "of_network"]


@dataclass(frozen=True, eq=False)
class Named:
    """A kernel by its name, see :func:`kernel`; what was drawn for it is in ``function``.

    Attributes
    ----------
    name : str
    options : mapping
        As they were given, without the generator.
    function : callable (X (m, n), Z (r, n)) -> (m, r)
    """

    name: str
    options: Mapping[str, Any]
    function: Kernel

    def __call__(self, X: ArrayLike, Z: ArrayLike | None = None) -> Any:
        """The kernel's values (m, r) between inputs X (m, n) and Z (r, n), by default X; of two rows (n,) a float."""
        Z = X if Z is None else Z
        if np.ndim(X) == 1 and np.ndim(Z) == 1:
            return float(self.function(np.asarray(X)[None], np.asarray(Z)[None])[0, 0])
        return self.function(X, Z)  # type: ignore[arg-type]  # which checks

    def __repr__(self) -> str:
        given = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"kernel({self.name!r}{given})"


def kernel(name: str, **options: Any) -> Named:
    """The kernel of a name, a function (X (m, n), Z (r, n)) -> (m, r), or of two rows (n,) -> float.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    **options
        Those of the table above, by name; they are checked now.

    Raises
    ------
    ValueError
        If the name is none of these, or an option is missing, unknown or out of range.
    """
    name = checks.choice("name", name, NAMES)
    check_options(name, options)
    found = _MAKERS[name][0](**options)
    if name not in DRAWN:
        found(np.full((1, 1), 0.5), np.full((1, 1), 0.5))
    return Named(name, {option: value for option, value in options.items() if option != "rng"}, found)


def check_options(name: str, options: Mapping[str, Any], *, known: Collection[str] = ()) -> None:
    """Refuse options that are not those of a kernel, by their names: their values are checked where it is made.

    ``known``: options of it that are known already, and are not to be given.
    """
    maker, source = _MAKERS[name]
    own = [one for one in signature(maker).parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    passed = signature(source).parameters.values() if source else ()
    those = own + [one for one in passed if one.kind is Parameter.KEYWORD_ONLY]
    needed = {one.name: one.default is Parameter.empty for one in those if one.name not in known}
    wrong = [option for option in options if option not in needed]
    if wrong:
        allowed = f"among {_listed(needed)}" if needed else "none"
        raise RequestError(f"options must be {allowed} for the kernel {name!r}, got {_listed(wrong)}")
    missing = [option for option, must in needed.items() if must and option not in options]
    if missing:
        raise RequestError(f"options must hold {_listed(missing)} for the kernel {name!r}, got no {_listed(missing)}")


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(repr, names))


def of_features(features: Callable[[FloatArray], ArrayLike]) -> Kernel:
    """The kernel of a feature map (m, n) -> (m, N): inner products of the features, divided by N."""
    if not callable(features):
        raise RequestError(f"features must be a function of inputs, got {features!r}")
    return partial(_inner, features)


def _inner(features: Callable[[FloatArray], ArrayLike], X: ArrayLike, Z: ArrayLike) -> FloatArray:
    X, Z = pair(X, Z, 1)
    left = checks.matrix("features' values", features(X))
    right = checks.matrix("features' values", features(Z), columns=left.shape[1])
    product: FloatArray = left @ right.T
    product /= left.shape[1]
    return product


def of_network(params: Network, method: str) -> Kernel:
    """A kernel of a residual study's network: ``last``, or the tangent one of ``hidden`` layers or of ``all``."""
    method = checks.choice("method", method, ("last", "hidden", "all"))
    check_network(params)
    if method == "last":
        return partial(residual_empirical.conjugate, params)
    return partial(_tangent_of, params, method == "all")


def _tangent_of(params: Network, everything: bool, X: ArrayLike, Z: ArrayLike) -> FloatArray:
    parts = residual_empirical.tangent(params, X, Z)
    kept = [part for field, part in parts.items() if everything or field != "A"]
    return np.asarray(np.sum(kept, axis=0))


def _resnet(
    part: str, m: int | None = None, k: int | None = None, *, sigma_w: float | None = None, sigma_v: float = 1.0
) -> Kernel:
    if m is None and k is None and sigma_w is None and sigma_v == 1.0:
        return partial(_part, residual.limit, part)
    if m is None or k is None:
        raise RequestError(f"m and k must be given for a finite width or other scales, got m={m!r} and k={k!r}")
    return partial(_part, partial(residual.average, m=m, k=k, sigma_w=sigma_w, sigma_v=sigma_v), part)


def _part(parts: Callable[..., residual.Parts], name: str, X: ArrayLike, Z: ArrayLike) -> FloatArray:
    found: FloatArray = getattr(parts(X, Z), name)
    return found


def _drawn(method: str, rng: np.random.Generator, n: int, network: str, m: int, k: int, **scales: Any) -> Kernel:
    return of_network(initial(rng, network, n, k, m, **scales), method)


def _features(rng: np.random.Generator, n: int, N: int, activation: str = "relu", **options: Any) -> Kernel:
    return of_features(random_layer(rng, n, N, activation, **options))


def _conjugate(rng: np.random.Generator, n: int, widths: Any, **options: Any) -> Kernel:
    return partial(connected.conjugate, connected.random_network(rng, n, widths, **options))


def _tangent(rng: np.random.Generator, n: int, widths: Any, *, trained_bias: float = 0.0, **options: Any) -> Kernel:
    trained_bias = checks.real("trained_bias", trained_bias, at_least=0.0)
    return partial(connected.tangent, connected.random_network(rng, n, widths, **options), trained_bias=trained_bias)


def _closed(function: Callable[..., FloatArray], **options: Any) -> Kernel:
    return partial(function, **options)


def _gaussian(gamma: float) -> Kernel:
    return partial(closed_form.rbf, gamma=gamma)


_CLOSED = (arcsin, arcsine, polynomial, recursive, closed_form.conjugate, closed_form.tangent)
_MAKERS: dict[str, tuple[Callable[..., Kernel], Callable[..., Any] | None]] = {
    "gaussian": (_gaussian, None),
    **{function.__name__: (partial(_closed, function), function) for function in _CLOSED},
    "resnet-last": (partial(_resnet, "last"), None),
    "resnet-hidden": (partial(_resnet, "hidden"), None),
    "resnet-tangent": (partial(_resnet, "ntk"), None),
    "features": (_features, random_layer),
    "finite-conjugate": (_conjugate, connected.random_network),
    "finite-tangent": (_tangent, connected.random_network),
    "finite-last": (partial(_drawn, "last"), initial),
    "finite-hidden": (partial(_drawn, "hidden"), initial),
    "finite-all": (partial(_drawn, "all"), initial),
}
"""What makes each, from its options; and the function, if any, to which it passes keyword-only ones on."""
NAMES = tuple(_MAKERS)
"""Of all kernels."""
DRAWN = tuple(name for name in NAMES if name.startswith("finite-") or name == "features")
"""Of those that are drawn at random."""
