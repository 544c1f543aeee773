"""How much of what was learnt is kept: weights between those of the base and the tuned ones forget less.

Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", do so with all weights; an adapter's share of a weight grows
with one of its two matrices, so that one is scaled.
"""

from collections.abc import Mapping
from typing import Any

import torch

from attune.finetuning.trainer import WerTrainer

_TRIED = (0.5, 0.6, 0.7, 0.8, 0.9)


def keep(trainer: WerTrainer, base: Mapping[str, torch.Tensor], wanted: float | str) -> dict[str, Any]:
    """Leaves that much of what was learnt in the model; `auto` chooses by validation WER, where there is a validation split.

    `base` are the learning weights as they were before the first step. What the report should say comes back; of equally good
    ones the smallest is kept. A share that forgets more than it may is not chosen; where all do, it is the one that forgets
    least.
    """
    if wanted == 1.0 or (wanted == "auto" and not trainer.lesson.validation):
        return {}
    model: Any = trainer.model
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    tuned = {name: p.detach().clone() for name, p in learning.items()}
    measured = dict[float, dict[str, float | None]]()
    for share in (wanted,) if isinstance(wanted, float) else (1.0, *_TRIED):
        _set(learning, base, tuned, share)
        wer = trainer.validation_wer() if trainer.lesson.validation else None
        measured[share] = {"wer_after": wer, "forgetting_wer_after": trainer.lesson.forgetting.wer(trainer.wer_of)}
    best = min(measured, key=lambda share: (*_badness(trainer, measured[share]), share))
    _set(learning, base, tuned, best)
    return {"kept_learnt": best, **measured[best]}


def _badness(trainer: WerTrainer, measured: Mapping[str, float | None]) -> tuple[bool, float]:
    wer, forgotten = measured["wer_after"], measured["forgetting_wer_after"]
    if not trainer.lesson.forgetting.allows(forgotten):
        return True, forgotten or 0.0
    return False, wer or 0.0


@torch.no_grad()
def _set(learning: Mapping[str, Any], base: Mapping[str, Any], tuned: Mapping[str, Any], share: float) -> None:
    for name, parameter in learning.items():
        if "lora_A" in name:
            continue  # the other matrix is scaled
        start = torch.zeros_like(parameter) if "lora_B" in name else base[name].to(parameter.device)
        parameter.copy_(torch.lerp(start, tuned[name], share))
