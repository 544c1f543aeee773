"""The language model over prompts and labels, for what it says at the last tokens alone.

What every prompt begins with need not be read again each time: its keys and values suffice, for as long as the model stays as it
is. Nor does anybody ask what the last layer says of tokens before the last ones, of which it computes no more than keys and
values. `self_test` holds both against transformers' own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.models.qwen2.modeling_qwen2 import rotate_half


@dataclass(frozen=True)
class Known:
    """What a layer knows of the tokens before: keys and values, of shape (rows or 1, heads, tokens, size) each."""

    key: torch.Tensor
    value: torch.Tensor

    @property
    def tokens(self) -> int:
        return self.key.shape[2]

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int = 0) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        """Those of all tokens: so attention asks a cache (transformers.Cache.update). None are kept."""
        return _behind(self.key, key), _behind(self.value, value)


Start = Sequence[Known]
"""What each layer knows of the tokens that all rows begin with; nothing, where rows are read whole."""


def read_start(language_model: Any, given: torch.Tensor) -> Start:
    """Of the embeddings of such tokens, shape (1, tokens, width)."""
    cache: Any = DynamicCache(config=language_model.config)
    language_model(inputs_embeds=given, past_key_values=cache, use_cache=True)
    return [Known(layer.keys, layer.values) for layer in cache.layers]


def said_at_end(
    language_model: Any, start: Start, given: torch.Tensor, blind: torch.Tensor, positions: torch.Tensor, asked: int
) -> torch.Tensor:
    """What it says at the last `asked` tokens, shape (rows, asked, width).

    `given` are the embeddings of what follows `start`, shape (rows, tokens, width); `blind` is what attention adds,
    (rows, 1, tokens, tokens with those of `start`).
    """
    cos, sin = language_model.rotary_emb(given, positions)
    layers = list(language_model.layers)
    known: list[Known | None] = [*start] or [None] * len(layers)
    for layer, before in zip(layers[:-1], known[:-1], strict=True):
        given = layer(given, attention_mask=blind, position_embeddings=(cos, sin), past_key_values=before)
    given = layers[-1](
        given[:, -asked:],
        attention_mask=blind[:, :, -asked:],
        position_embeddings=(cos[:, -asked:], sin[:, -asked:]),
        past_key_values=_known(layers[-1], known[-1], given[:, :-asked], cos[:, :-asked], sin[:, :-asked]),
    )
    said: torch.Tensor = language_model.norm(given)
    return said


def _known(layer: Any, before: Known | None, given: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> Known:
    """What the layer's attention would know after `given` (Qwen2Attention.forward)."""
    attention, normed = layer.self_attn, layer.input_layernorm(given)
    key, value = (
        project(normed).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for project in (attention.k_proj, attention.v_proj)
    )
    key = key * cos[:, None] + rotate_half(key) * sin[:, None]
    return Known(*before.update(key, value)) if before else Known(key, value)


def _behind(before: torch.Tensor, these: torch.Tensor) -> torch.Tensor:
    return torch.cat([before.expand(len(these), -1, -1, -1), these], dim=2)
