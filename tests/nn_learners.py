"""Networks trained by the frameworks' own means, a step at a time, to be held against the engines' trajectories."""

from __future__ import annotations

from functools import partial

from learnability.training.minibatch.optimisers import Adadelta


def flat(params):
    """The arrays of a network, those of a network inside first."""
    return [one for part in params for one in (flat(part) if isinstance(part, tuple) else [part])]


class Torch:
    """A module trained by ``torch.optim``.

    Parameters
    ----------
    kind : str
        The study.
    start
        Parameters in NumPy.
    loss : callable (framework's module, outputs, y, weights) -> number
    rate, decay, momentum
        ``decay`` by field.
    rule : Adadelta or Adam of the mini-batch trainer, if it is not SGD
    trained : fields that are trained; None: what the module trains
    options : of the forward pass
    """

    name = "torch"

    def __init__(self, kind, start, loss, *, rate, momentum=0.0, rule=None, decay=None, trained=None, **options):
        import torch

        from learnability.nn import torch as pieces

        torch.set_num_threads(1)
        self.torch, self.pieces, self.loss = torch, pieces, partial(loss, pieces)
        modules = {
            "symmetry": pieces.SymmetryNetwork, "parity": pieces.ParityNetwork,
            "separable": partial(pieces.SeparableNetwork, layers="both"), "residual": pieces.ResidualNetwork,
            "strips": pieces.StripsNetwork,
        }  # fmt: skip
        self.network = modules[kind](start, **options)
        fields = {
            "symmetry": {"W": "hidden.weight", "B": "hidden.bias", "M": "readout.weight", "b": "readout.bias"},
            "parity": {"W": "hidden.weight", "b": "hidden.bias", "u": "readout.weight"},
            "separable": {"W": "hidden.weight", "v": "readout.weight"},
            "residual": {"W": "first.", "V": "second.", "A": "output."},
            "strips": {
                "W": "hidden.weight", "b": "hidden.bias", "u": "readout.weight", "c": "readout.bias",
                "G": "gates.", "start": "start_",
            },
        }[kind]  # fmt: skip
        groups = []
        for name, parameter in self.network.named_parameters():
            field = next(field for field, prefix in fields.items() if name.startswith(prefix))
            if trained is not None:
                parameter.requires_grad_(field in trained)
            groups.append({"params": [parameter], "weight_decay": (decay or {}).get(field, 0.0)})
        if rule is None:
            self.optimiser = torch.optim.SGD(groups, lr=rate, momentum=momentum)
        elif isinstance(rule, Adadelta):
            self.optimiser = torch.optim.Adadelta(groups, lr=rate, rho=rule.rho, eps=rule.epsilon)
        else:
            self.optimiser = torch.optim.Adam(groups, lr=rate, betas=(rule.beta1, rule.beta2), eps=rule.epsilon)

    def step(self, X, y, weights=None):
        """One step; the loss before it."""
        X, y, weights = (None if part is None else self.torch.tensor(part) for part in (X, y, weights))
        self.optimiser.zero_grad()
        value = self.loss(self.network(X), y, weights)
        value.backward()
        self.optimiser.step()
        return value.item()

    def set(self, rate, decay):
        """Other rates from here on."""
        for group in self.optimiser.param_groups:
            group["lr"], group["weight_decay"] = rate, decay if group["weight_decay"] else 0.0

    def params(self):
        return self.network.to_numpy()


class Jax:
    """The same in JAX: ``jax.grad`` and optax; ``trained`` None is all fields."""

    name = "jax"

    def __init__(self, kind, start, loss, *, rate, momentum=0.0, rule=None, decay=None, trained=None, **options):
        import jax
        import optax

        from learnability.nn import jax as pieces

        self.jax, self.pieces = jax, pieces
        self.forward = partial(getattr(pieces, f"{kind}_apply"), **options)
        if rule is None:
            direction = optax.trace(momentum)
        elif isinstance(rule, Adadelta):
            direction = optax.scale_by_adadelta(rule.rho, rule.epsilon)
        else:
            direction = optax.scale_by_adam(rule.beta1, rule.beta2, rule.epsilon)
        self.fields = type(start)._fields if trained is None else tuple(trained)
        with jax.enable_x64(True):
            self.now = pieces.to_jax(start)
            self.memory = direction.init({name: getattr(self.now, name) for name in self.fields})

        def value(part, now, X, y, weights):
            return loss(pieces, self.forward(now._replace(**part), X), y, weights)

        def step(now, memory, X, y, weights, rate, decay):
            part = {name: getattr(now, name) for name in self.fields}
            found, slope = jax.value_and_grad(value)(part, now, X, y, weights)
            moved = {name: slope[name] + decay[name] * part[name] for name in part}
            moved, memory = direction.update(moved, memory)
            return now._replace(**{name: part[name] - rate * moved[name] for name in part}), memory, found

        self.compiled = jax.jit(step)
        self.rate, self.decay = rate, {name: (decay or {}).get(name, 0.0) for name in self.fields}

    def step(self, X, y, weights=None):
        with self.jax.enable_x64(True):
            self.now, self.memory, value = self.compiled(self.now, self.memory, X, y, weights, self.rate, self.decay)
        return float(value)

    def set(self, rate, decay):
        self.rate, self.decay = rate, {name: decay if old else 0.0 for name, old in self.decay.items()}

    def params(self):
        return self.pieces.to_numpy(self.now)
