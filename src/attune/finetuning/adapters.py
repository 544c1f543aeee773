"""LoRA on a CPU, its small products added where the layer's own result lies.

peft writes the adapters' output, the same scaled, and the sum, each into memory of its own, forth and back: a fifth of a step
of wav2vec2-base's shape.
"""

from functools import partial
from typing import Any

import torch
from peft.tuners.lora import Linear


def add_in_place(adapted: Any) -> None:
    """Has the model's adapters learn so where they are plain ones on frozen linear layers; others stay as peft computes them."""
    for layer in adapted.modules():
        if type(layer) is Linear and _is_plain(layer):
            layer.forward = partial(_forward, layer)  # type: ignore[method-assign]


def _is_plain(layer: Any) -> bool:
    frozen = not any(parameter.requires_grad for parameter in layer.base_layer.parameters())
    kept = all(isinstance(dropout, torch.nn.Identity) for dropout in layer.lora_dropout.values())
    return type(layer.base_layer) is torch.nn.Linear and frozen and kept and not layer.lora_variant and len(layer.lora_A) == 1


def _forward(layer: Any, hidden: torch.Tensor, *more: Any, **named: Any) -> torch.Tensor:
    if layer.disable_adapters or layer.merged or more or named:
        return Linear.forward(layer, hidden, *more, **named)
    (name,) = layer.lora_A
    base, down, up = layer.base_layer, layer.lora_A[name].weight, layer.lora_B[name].weight
    return AddedInPlace.apply(hidden, base.weight, base.bias, down, up, layer.scaling[name])  # type: ignore[no-any-return,no-untyped-call]


class AddedInPlace(torch.autograd.Function):
    """hidden (weight + scale up down)^T + bias (Hu et al., 2021, "LoRA"), of hidden (..., in), weight (out, in), bias (out) or
    None, down (rank, in) and up (out, rank); weight and bias do not learn.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        device = hidden.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        with torch.autocast(device, enabled=False):
            rows = hidden.reshape(-1, hidden.shape[-1]).to(kind)
            ctx.scale, ctx.shape, ctx.kinds = scale, hidden.shape, (hidden.dtype, down.dtype, up.dtype)
            weight, down, up = weight.to(kind), down.to(kind), (scale * up).to(kind)
            inner = rows @ down.T
            out = rows @ weight.T
            if bias is None:
                out.addmm_(inner, up.T)
            else:  # as one more column of `up`
                ones = inner.new_ones(len(inner), 1)
                out.addmm_(torch.cat([inner, ones], dim=1), torch.cat([up, bias.to(kind)[:, None]], dim=1).T)
        ctx.save_for_backward(rows, weight, down, up, inner)
        return out.view(*hidden.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight, down, up, inner = ctx.saved_tensors
        slopes = gradient.reshape(-1, gradient.shape[-1])
        narrow, (hidden_kind, down_kind, up_kind) = slopes @ up, ctx.kinds
        back = None
        if ctx.needs_input_grad[0]:
            back = (slopes @ weight).addmm_(narrow, down).to(hidden_kind).view(ctx.shape)
        return back, None, None, (narrow.T @ rows).to(down_kind), (slopes.T @ inner).to(up_kind) * ctx.scale, None
