"""A prompt as the language model reads it: the embeddings of its tokens, and in the sound's places what the audio tower says.

The tower of transformers computes its whole window, 30 s for published models, whatever the clips last. Here it stops where the
longest clip of the batch does: what lies behind a clip is masked for it anyway, so nothing changes but the time (`self_test`
holds that against transformers' own way).
"""

import copy
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

from attune.tasks.speech_detection.parts.prompting import STRIDE, Batch


def hear_no_longer(model: Any) -> None:
    """Has the model's own forward, with which it learns, take frames that end before the window does."""
    tower = model.model.audio_tower
    tower.forward = partial(_forward, tower)


def _forward(tower: Any, features: torch.Tensor, *more: Any, **named: Any) -> Any:
    return type(tower).forward(_shortened(tower, features.shape[-1] // STRIDE), features, *more, **named)


def embedded(model: Any, batch: Batch) -> torch.Tensor:
    """Of `batch` as `Prompting.batch` makes it, on the model's device; shape (rows, tokens, width)."""
    parts = model.model
    heard = parts.multi_modal_projector(
        _heard(parts.audio_tower, batch["input_features"], batch["feature_attention_mask"].sum(1))
    )
    places = batch["input_ids"] == model.config.audio_token_id
    sounding = torch.arange(heard.shape[1], device=heard.device) < places.sum(1, keepdim=True)
    said: torch.Tensor = model.get_input_embeddings()(batch["input_ids"])
    return said.masked_scatter(places[..., None], heard[sounding].to(said.dtype))


def _heard(tower: Any, features: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """What the tower says of each row's first `frames`, shape (rows, tokens, width); what follows them in a row means nothing."""
    counts = (frames - 1) // STRIDE + 1
    positions = min(int(counts.max()) + 1, features.shape[-1] // STRIDE)  # one more: convolutions look ahead by a frame
    sounding = torch.arange(positions, device=frames.device) < counts[:, None]
    dtype = tower.conv1.weight.dtype
    blind = torch.zeros(sounding.shape, dtype=dtype, device=frames.device).masked_fill(~sounding, torch.finfo(dtype).min)
    short = _shortened(tower, positions)
    heard: torch.Tensor = short(features[..., : positions * STRIDE], attention_mask=blind[:, None, None]).last_hidden_state
    return heard


def _shortened(tower: Any, positions: int) -> Any:
    """The same layers with a window of so many positions; the tower itself stays as it is."""
    if positions == tower.config.max_source_positions:
        return tower
    short = copy.copy(tower)
    short._modules = {name: part for name, part in tower._modules.items() if name != "embed_positions"}
    short.embed_positions = SimpleNamespace(weight=tower.embed_positions.weight[:positions])  # which learns, where all do
    short.config = copy.copy(tower.config)
    short.config.max_source_positions = positions
    return short
