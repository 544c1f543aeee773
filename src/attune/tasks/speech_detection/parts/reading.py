"""The language model over prompts and labels, for what it says at the last tokens alone.

Nobody asks what its last layer says of the tokens before, so it computes no more than their keys and values (`self_test` holds
that against transformers' own way).
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers.models.qwen2.modeling_qwen2 import rotate_half


@dataclass(frozen=True)
class Known:
    """Keys and values of the tokens before, shape (rows, heads, tokens, size) each, as attention layers ask a cache for them."""

    key: torch.Tensor
    value: torch.Tensor

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        """Those of all tokens (transformers.Cache.update)."""
        return torch.cat([self.key, key], dim=2), torch.cat([self.value, value], dim=2)


def said_at_end(
    language_model: Any, given: torch.Tensor, blind: torch.Tensor, positions: torch.Tensor, asked: int
) -> torch.Tensor:
    """What it says at the last `asked` tokens, shape (rows, asked, width).

    `given` are embeddings, shape (rows, tokens, width); `blind` is what attention adds, (rows, 1, tokens, tokens).
    """
    cos, sin = language_model.rotary_emb(given, positions)
    *layers, last = language_model.layers
    for layer in layers:
        given = layer(given, attention_mask=blind, position_embeddings=(cos, sin))
    given = last(
        given[:, -asked:],
        attention_mask=blind[:, :, -asked:],
        position_embeddings=(cos[:, -asked:], sin[:, -asked:]),
        past_key_values=_known(last, given[:, :-asked], cos[:, :-asked], sin[:, :-asked]),
    )
    said: torch.Tensor = language_model.norm(given)
    return said


def _known(layer: Any, given: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Known:
    """As the layer's attention makes them (Qwen2Attention.forward)."""
    attention, normed = layer.self_attn, layer.input_layernorm(given)
    key, value = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.k_proj, attention.v_proj)
    )
    return Known(key * cos[:, None] + rotate_half(key) * sin[:, None], value)
