"""The output layer of CTC models, where their vocabulary grows."""

from collections.abc import Mapping
from typing import Any

_UNLIKELY = 2.0
"""Nats by which a new letter is less likely than the one it begins as: at first nothing that was heard changes."""


def grow_head(model: Any, size: int, like: Mapping[int, int]) -> None:
    """Gives the output layer of `model` `size` rows; the old ones stay. A new one begins as the row that `like` names for it,
    else as the mean of all, and a little less likely.
    """
    import torch

    old = model.lm_head
    new = torch.nn.Linear(old.in_features, size, bias=True, device=old.weight.device, dtype=old.weight.dtype)
    known = old.out_features
    with torch.no_grad():
        bias = old.bias if old.bias is not None else torch.zeros(known, dtype=old.weight.dtype)
        rows = [like.get(number) for number in range(known, size)]
        mean = old.weight.mean(0)
        new.weight[:known], new.bias[:known] = old.weight, bias
        for number, row in enumerate(rows, start=known):
            new.weight[number] = mean if row is None else old.weight[row]
            new.bias[number] = (bias.mean() if row is None else bias[row]) - _UNLIKELY
    model.lm_head = new.requires_grad_(old.weight.requires_grad)
    model.config.vocab_size = size
