"""Attention over long windows in bfloat16 on a CPU, head by head, each weight kept for the way back.

torch's fused attention computes all weights anew on the way back, and took 1.4 times as long for Whisper's 1,500 positions. A
head's weights are small enough to stay in the processor's cache, and for their memory to be used again (`reuse_freed_memory`).
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

BY_HEAD = "attune_by_head"
"""What transformers knows it by."""


def attend_by_head(model: Any) -> None:
    """Has the model's attention layers learn so wherever they see all positions; elsewhere they stay with torch's fused one."""
    AttentionInterface.register(BY_HEAD, _attend)
    AttentionMaskInterface.register(BY_HEAD, sdpa_mask)
    model.set_attn_implementation(BY_HEAD)


def _attend(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: Any = None, dropout: float = 0.0, **more: Any
) -> Any:
    """Of (batch, heads, positions, size) each: (batch, positions, heads, size), and no weights, as transformers wants it."""
    same = query.shape == key.shape and query.dtype == torch.bfloat16
    hidden = attention_mask is not None or getattr(module, "is_causal", True) or more.get("position_bias") is not None
    if not same or hidden or dropout or not (torch.is_grad_enabled() and query.requires_grad):
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)
    scaled = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    return ByHead.apply(scaled, key, value).transpose(1, 2).contiguous(), None  # type: ignore[no-untyped-call]


class ByHead(torch.autograd.Function):
    """softmax(query key^T) value of (batch, heads, positions, size) each, `query` scaled already (Vaswani et al., 2017).

    Softmax sums in float32 and rounds to the inputs' type.
    """

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        heads, weights = torch.empty_like(value), list[torch.Tensor]()
        with torch.autocast(query.device.type, enabled=False):  # which would have softmax write float32
            for q, k, v, out in zip(*map(_heads, (query, key, value, heads)), strict=True):
                weights.append(torch.softmax(q @ k.T, dim=-1))
                torch.mm(weights[-1], v, out=out)
        ctx.save_for_backward(query, key, value, *weights)
        return heads

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value, *weights = ctx.saved_tensors
        found = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        given = zip(*map(_heads, (query, key, value, gradient)), weights, strict=True)
        for (q, k, v, g, w), dq, dk, dv in zip(given, *map(_heads, found), strict=True):
            torch.mm(w.T, g, out=dv)
            inner = torch._softmax_backward_data(g @ v.T, w, -1, w.dtype)
            torch.mm(inner, k, out=dq)
            torch.mm(inner.T, q, out=dk)
        return found


def _heads(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Views of shape (positions, size), one for each head of each clip."""
    return list(tensor.flatten(0, 1)) if tensor.is_contiguous() else [head for clip in tensor for head in clip]
