"""Constrained decoding: how likely each label is, whole, as the answer to the prompt and the sound.

Sound and prompt are read once; both labels go on from the states that this leaves (the KV cache), in one short step together. The
output layer, which is large, is asked only where a label's token is due.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attune.dataset import Samples
from attune.tasks.speech_detection.parts.labels import NONSPEECH, SPEECH
from attune.tasks.speech_detection.parts.prompting import Batch, Features, Prompting

LogProbs = NDArray[np.float64]


def log_probs(model: Any, prompting: Prompting, clips: Sequence[Samples]) -> LogProbs:
    """Natural log-probabilities of LABELS, shape (clips, 2); of a clip longer than the window, those of its most spoken piece."""
    pieces = [prompting.pieces(clip) for clip in clips]
    found = of_features(model, prompting, [prompting.features(piece) for some in pieces for piece in some])
    ends = np.cumsum([len(some) for some in pieces])
    parts = np.split(found, ends[:-1])
    return np.stack([part[int(np.argmax(part[:, 0] - part[:, 1]))] for part in parts])


def of_features(model: Any, prompting: Prompting, rows: Sequence[Features]) -> LogProbs:
    """The same of features, a row a piece."""
    return of_batch(model, prompting.batch(rows), prompting.labels)


@torch.no_grad()
def of_batch(model: Any, batch: Batch, labels: Sequence[Sequence[int]]) -> LogProbs:
    """Log-probabilities of each of `labels` after each row of a left-padded batch, shape (rows, labels)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    batch = {name: tensor.to(base.device) for name, tensor in batch.items()}
    places = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)  # counted from the prompt, as those of the labels are
    read = base.model(**batch, position_ids=places, use_cache=True)
    first = _log_softmax(base, read.last_hidden_state[:, -1])
    firsts = torch.stack([first[:, label[0]] for label in labels], dim=1)
    rest = _rest(base, batch["attention_mask"], read.past_key_values, labels)
    return np.asarray((firsts + rest).double().cpu().numpy())


def _rest(base: Any, mask: torch.Tensor, states: Any, labels: Sequence[Sequence[int]]) -> torch.Tensor:
    """Log-probabilities of what follows the first token of each label, shape (rows, labels)."""
    rows, count = mask.shape[0], len(labels)
    longest = max(len(label) for label in labels) - 1
    if longest == 0:
        return torch.zeros(rows, count, device=mask.device)
    padded = torch.tensor([[*label, *[label[-1]] * (longest + 1 - len(label))] for label in labels], device=mask.device)
    given, due = padded[:, :-1].repeat(rows, 1), padded[:, 1:].repeat(rows, 1)
    counted = torch.tensor([[n < len(label) - 1 for n in range(longest)] for label in labels], device=mask.device).repeat(rows, 1)
    states.batch_repeat_interleave(count)
    before = mask.repeat_interleave(count, dim=0)
    places = before.sum(1, keepdim=True) + torch.arange(longest, device=mask.device)
    said = base.model(
        input_ids=given,
        attention_mask=torch.cat([before, counted.to(before.dtype)], dim=1),
        position_ids=places,
        past_key_values=states,
        use_cache=True,
    )
    found = _log_softmax(base, said.last_hidden_state).gather(-1, due[..., None])[..., 0]
    return (found * counted).sum(1).reshape(rows, count)


def _log_softmax(base: Any, hidden: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(base.lm_head(hidden).float(), dim=-1)


def probabilities(found: LogProbs) -> NDArray[np.float64]:
    """P(SPEECH) where one of both labels is the answer, shape (clips,)."""
    difference = np.clip(found[:, 1] - found[:, 0], -700, 700)
    return np.asarray(1.0 / (1.0 + np.exp(difference)))


def label_of(speech: float) -> str:
    """The likelier label, by P(SPEECH)."""
    return SPEECH if speech >= 0.5 else NONSPEECH
