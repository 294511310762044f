"""The papers' hinge loss."""

from __future__ import annotations

import torch
from torch import Tensor

from learnability import checks
from learnability.errors import RequestError

__all__ = ["hinge_loss"]


def hinge_loss(
    outputs: Tensor, labels: Tensor, *, beta: float = 1.0, ties: bool = False, reduction: str = "mean"
) -> Tensor:
    r"""The hinge loss :math:`\max(0, \beta - y f)`, with the derivative at the kink that a paper means.

    Brutzkus et al. and Daniely & Malach have beta = 1, and an example with y f = 1 changes nothing. Nachum &
    Yehudayoff let an example with y f = beta count as a mistake (Algorithm 1), and must: with beta = 0 the network
    starts at output 0 = beta everywhere, where the usual ``relu(beta - y f)`` has no gradient at all.

    Parameters
    ----------
    outputs : tensor (...)
    labels : tensor (...)
        -1 or +1, of the outputs' shape. Others (0 and 1, say) are refused where looking is cheap: on the CPU, and not
        while the function is compiled, traced or vmapped.
    beta : float
        >= 0.
    ties : bool
        Whether an example with y f = beta has the gradient -y, and not 0.
    reduction : {"mean", "sum", "none"}
        As in PyTorch. The online engine divides the last, smaller batch of an epoch by the full batch size, too: take
        the sum and divide it for that.

    Raises
    ------
    RequestError
        If outputs or labels are no tensors, the shapes differ, a label is seen to be another number, or an argument
        is out of range.
    """
    for name, value in (("outputs", outputs), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise RequestError(f"{name} must be a tensor, got {type(value).__name__}")
    if outputs.shape != labels.shape:
        raise RequestError(
            f"labels must have the shape of outputs, {tuple(outputs.shape)}, got {tuple(labels.shape)}"
        )
    beta = checks.real("beta", beta, at_least=0.0)
    reduction = checks.choice("reduction", reduction, ("mean", "sum", "none"))
    if labels.device.type == "cpu" and not torch.compiler.is_compiling() and not torch.jit.is_tracing():
        _check_labels(labels)
    slack = beta - labels * outputs
    losses = torch.where(slack < 0 if ties else slack <= 0, torch.zeros_like(slack), slack)
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def _check_labels(labels: Tensor) -> None:
    wrong = (labels != 1) & (labels != -1)
    try:
        found = bool(wrong.any())
    except RuntimeError:  # within vmap nobody can look
        return
    if found:
        raise RequestError(f"labels must be -1 or 1, got {labels[wrong][0].item()}")
