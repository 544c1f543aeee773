"""Constrained decoding: how likely each label is, whole, as the answer to the prompt and the sound.

One pass a batch: the labels stand behind the prompt as branches that see it and themselves, and not each other, so prompt and
sound are read once for all of them. The last layer and the output layer, which is large, are asked only where a label's token is
due.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from attune.dataset import Samples
from attune.tasks.speech_detection.parts.embedding import embedded
from attune.tasks.speech_detection.parts.labels import NONSPEECH, SPEECH
from attune.tasks.speech_detection.parts.prompting import Batch, Features, Prompting
from attune.tasks.speech_detection.parts.reading import Start, read_start, said_at_end

LogProbs = NDArray[np.float64]
_PROMPT = -1


@torch.inference_mode()
def log_probs(model: Any, prompting: Prompting, clips: Sequence[Samples], start: Start = ()) -> LogProbs:
    """Natural log-probabilities of LABELS, shape (clips, 2); of a clip longer than the window, those of its most spoken piece.

    With `start_of` the model as it is now, what all prompts begin with is not read again.
    """
    pieces = [prompting.pieces(clip) for clip in clips]
    found = of_features(model, prompting, [prompting.features(piece) for some in pieces for piece in some], start)
    ends = np.cumsum([len(some) for some in pieces])
    parts = np.split(found, ends[:-1])
    return np.stack([part[int(np.argmax(part[:, 0] - part[:, 1]))] for part in parts])


def of_features(model: Any, prompting: Prompting, rows: Sequence[Features], start: Start = ()) -> LogProbs:
    """The same of features, a row a piece."""
    return of_batch(model, prompting.batch(rows, started=bool(start)), prompting.labels, start)


@torch.no_grad()
def start_of(model: Any, prompting: Prompting) -> Start:
    """What the model knows after the tokens before the sound, which are the same in all prompts; worthless once it learns."""
    base = _base(model)
    tokens = torch.tensor([prompting.start], dtype=torch.long, device=base.device)
    return read_start(base.model.language_model, base.get_input_embeddings()(tokens)) if prompting.start else ()


@torch.no_grad()
def of_batch(model: Any, batch: Batch, labels: Sequence[Sequence[int]], start: Start = ()) -> LogProbs:
    """Log-probabilities of each of `labels` after `start` and each row of a left-padded batch, shape (rows, labels)."""
    base, begun = _base(model), start[0].tokens if start else 0
    batch = {name: tensor.to(base.device) for name, tensor in batch.items()}
    prompts, read = embedded(base, batch), batch["attention_mask"].bool()
    branches = _branches(labels, prompts.device)
    behind = base.get_input_embeddings()(branches.given).to(prompts.dtype).expand(len(prompts), -1, -1)
    said = said_at_end(
        base.model.language_model,
        start,
        torch.cat([prompts, behind], dim=1),
        _blinded(_sight(read, branches.label, begun), prompts.dtype),
        torch.cat([(read.cumsum(1) - 1).clamp(min=0), read.sum(1, keepdim=True) + branches.depth], dim=1) + begun,
        1 + len(branches.due),
    )
    found = torch.log_softmax(base.lm_head(said).float(), dim=-1)
    firsts = found[:, 0, [label[0] for label in labels]]
    rest = found[:, 1:].gather(-1, branches.due.expand(len(found), -1)[..., None])[..., 0]
    return np.asarray(firsts.index_add(1, branches.label, rest).double().cpu().numpy())


def _base(model: Any) -> Any:
    """Without what adapters wrap around it; they stay in its layers."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


class _Branches(NamedTuple):
    """The labels behind a prompt, one after the other, each without its last token; all of shape (tokens,)."""

    given: torch.Tensor
    due: torch.Tensor
    """The token that each of them is followed by."""
    label: torch.Tensor
    depth: torch.Tensor
    """How many tokens of its label come before."""


def _branches(labels: Sequence[Sequence[int]], device: torch.device) -> _Branches:
    steps = [(label[n], label[n + 1], number, n) for number, label in enumerate(labels) for n in range(len(label) - 1)]
    columns = torch.tensor(steps, dtype=torch.long, device=device).reshape(-1, 4).T
    return _Branches(*columns)


def _sight(read: torch.Tensor, label: torch.Tensor, begun: int) -> torch.Tensor:
    """Which token sees which, shape (rows, tokens, begun + tokens): the prompt what is before, a label that and what is before in
    itself, each what had `begun`.

    Padding sees itself of these, as nothing may be blind to all.
    """
    count = read.shape[1] + len(label)
    branch = torch.cat([label.new_full((read.shape[1],), _PROMPT), label])
    before = torch.ones(count, count, dtype=torch.bool, device=read.device).tril()
    own = (branch[:, None] == branch) | (branch == _PROMPT)
    there = torch.cat([read, read.new_ones(len(read), len(label))], dim=1)
    seen = (before & own & there[:, None]) | torch.eye(count, dtype=torch.bool, device=read.device)
    return torch.nn.functional.pad(seen, (begun, 0), value=True)


def _blinded(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """As what attention adds, shape (rows, 1, tokens, tokens)."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)[:, None]


def probabilities(found: LogProbs) -> NDArray[np.float64]:
    """P(SPEECH) where one of both labels is the answer, shape (clips,)."""
    difference = np.clip(found[:, 1] - found[:, 0], -700, 700)
    return np.asarray(1.0 / (1.0 + np.exp(difference)))


def label_of(speech: float) -> str:
    """The likelier label, by P(SPEECH)."""
    return SPEECH if speech >= 0.5 else NONSPEECH
