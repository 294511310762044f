"""Layers as they are given, a module or tensors, checked before anything is filled."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from learnability.errors import RequestError

__all__ = ["TYPES", "Layer", "LayerLike", "check_generator", "check_shape", "given", "rows_columns"]

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Floating-point types that PyTorch computes in; those of 8 bits are for storing."""

LayerLike = nn.Module | Tensor | tuple[Tensor, Tensor | None]
"""A module with ``weight`` and perhaps ``bias``, such as ``nn.Linear``; a tensor of weights; or the two tensors."""


class Layer(NamedTuple):
    """The tensors of a layer."""

    weight: Tensor
    bias: Any
    """A tensor or None."""


def given(name: str, value: Any, *, bias: bool | None, filled: bool = True) -> Layer:
    """The tensors of a layer, of floating-point numbers.

    Parameters
    ----------
    name : str
        What to call it in messages.
    value : LayerLike
    bias : bool or None
        Whether there must be a bias, or there must be none; None: as it is.
    filled : bool
        Whether it will be filled, and not only read.

    Raises
    ------
    RequestError
        If it is no layer; if a tensor has no shape yet, holds other numbers, or is computed from others
        (``nn.utils.parametrize``), so that filling it would change nothing; if it is to be filled and cannot be; or
        for the bias.
    """
    found = _of_module(name, value) if isinstance(value, nn.Module) else _of_tensors(name, value)
    for part, tensor in found._asdict().items():
        if tensor is None and part == "bias":
            continue
        if not isinstance(tensor, Tensor):
            raise RequestError(f"{name}.{part} must be a tensor, got {tensor!r}")
        if nn.parameter.is_lazy(tensor):
            raise RequestError(f"{name}.{part} must have a shape, got a lazy module's before its first forward pass")
        if not tensor.is_floating_point():
            raise RequestError(f"{name}.{part} must hold floating-point numbers, got {tensor.dtype}")
        if filled:
            _check_fillable(f"{name}.{part}", tensor)
    if bias and found.bias is None:
        raise RequestError(f"{name}.bias must be a tensor, as the network has biases here, got None")
    if bias is False and found.bias is not None:
        raise RequestError(
            f"{name}.bias must be None, as the network has no biases here (nn.Linear(..., bias=False)), got a tensor "
            f"of shape {tuple(found.bias.shape)}"
        )
    return found


def _check_fillable(name: str, tensor: Tensor) -> None:
    """Refuse what PyTorch would not fill, or not with draws: before anything else is filled."""
    if tensor.dtype not in TYPES:
        raise RequestError(f"{name} must be of one of {', '.join(map(str, TYPES))}, got {tensor.dtype}")
    if tensor.layout != torch.strided:
        raise RequestError(f"{name} must be a dense tensor, got {tensor.layout}")
    if any(step == 0 and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)):
        raise RequestError(f"{name} must have memory for every entry, got a tensor expanded to {tuple(tensor.shape)}")
    if tensor.is_inference() and not torch.is_inference_mode_enabled():
        raise RequestError(f"{name} must be a tensor that can be changed, got one of torch.inference_mode")


def _of_module(name: str, module: Any) -> Layer:
    own = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
    for part in Layer._fields:
        if part not in own and isinstance(getattr(module, part, None), Tensor):
            raise RequestError(f"{name}.{part} must be a tensor of its own, got one that is computed from others")
    if "weight" not in own:
        raise RequestError(f"{name} must be a layer with a weight, got {module!r}")
    return Layer(own["weight"], own.get("bias"))


def _of_tensors(name: str, value: Any) -> Layer:
    if isinstance(value, Tensor):
        return Layer(value, None)
    if isinstance(value, tuple) and len(value) == 2:
        return Layer(*value)
    raise RequestError(f"{name} must be a layer, a tensor or a pair (weight, bias) of tensors, got {value!r}")


def rows_columns(name: str, weight: Tensor, *, pairs: bool = False) -> tuple[int, int]:
    """The shape of a matrix with at least one row and one column; ``pairs``: with an even number of rows."""
    if weight.ndim != 2 or 0 in weight.shape:
        raise RequestError(f"{name} must have shape (rows >= 1, columns >= 1), got {tuple(weight.shape)}")
    rows, columns = weight.shape
    if pairs and rows % 2:
        raise RequestError(f"{name} must have an even number of rows, as many units of each sign, got {rows}")
    return rows, columns


def check_shape(name: str, tensor: Tensor, *allowed: tuple[int, ...]) -> None:
    """Refuse a tensor that has none of the allowed shapes."""
    if tuple(tensor.shape) not in [tuple(shape) for shape in allowed]:
        shapes = " or ".join(str(tuple(shape)) for shape in allowed)
        raise RequestError(f"{name} must have shape {shapes}, got {tuple(tensor.shape)}")


def check_generator(generator: object, *tensors: Tensor) -> torch.Generator | None:
    """Refuse what is no ``torch.Generator``, or is one of another device than the tensors that are to be drawn."""
    if generator is None:
        return None
    if not isinstance(generator, torch.Generator):
        raise RequestError(f"generator must be a torch.Generator or None, got {generator!r}")
    for tensor in tensors:
        if tensor.device.type not in (generator.device.type, "meta"):
            raise RequestError(
                f"generator must be on the device of the tensors, {tensor.device.type}, got {generator.device.type}"
            )
    return generator
