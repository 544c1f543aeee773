"""Lets a Wav2Vec2 (or HuBERT, WavLM and other kin) hear each clip of a batch as it would hear it alone.

The encoder's mask sees to that behind the convolutions; before it, convolutions that normalise over time must not see the
padding. What they said earlier can be given in place of samples.
"""

from typing import Any

import torch


def hear_alone(model: Any) -> None:
    """Changes `model`, one with a CTC head, in place; its weights and their names stay as they are.

    From then on `input_values` are padded samples, (clips, samples), or what the convolutions said of each clip, padded,
    (clips, frames, width); `attention_mask` is (clips, anything), its sums being the clips' lengths in samples.
    """
    inner = getattr(model, model.base_model_prefix)
    front = inner.feature_extractor
    if hasattr(front, "clip_samples"):
        return
    front._freeze_parameters()
    front.clip_samples = None
    front.__class__ = _hearing(type(front))
    inner.register_forward_pre_hook(_tell_lengths, with_kwargs=True)
    model.register_forward_hook(_learn_nothing)


def _hearing(plain: type) -> type:
    """The class of the convolutions, with another way to hear a batch; so the names of its weights stay."""

    class Hearing(plain):  # type: ignore[misc]
        clip_samples: list[int] | None

        def forward(self, input_values: torch.Tensor) -> torch.Tensor:
            lengths, self.clip_samples = self.clip_samples, None
            if input_values.ndim == 3:
                return input_values.transpose(1, 2)
            if lengths is None:
                heard: torch.Tensor = super().forward(input_values)
                return heard
            clips = [super(Hearing, self).forward(clip[None, :n])[0].T for clip, n in zip(input_values, lengths, strict=True)]
            return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True).transpose(1, 2)

    return Hearing


def _tell_lengths(inner: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Tells the convolutions how long the clips are; where all are of one length a mask would only cost time."""
    mask = kwargs.get("attention_mask")
    lengths = None if mask is None else mask.sum(-1).tolist()
    inner.feature_extractor.clip_samples = None
    if lengths is not None and min(lengths) == max(lengths):
        return args, {**kwargs, "attention_mask": None}
    if lengths is not None and inner.config.feat_extract_norm == "group":
        inner.feature_extractor.clip_samples = lengths
    return args, kwargs


def _learn_nothing(model: Any, args: Any, output: Any) -> None:  # noqa: ARG001
    """Lets backward pass by a step in which layer drop, of few layers, dropped all that have adapters."""
    loss = getattr(output, "loss", None)
    if model.training and loss is not None and not loss.requires_grad and torch.is_grad_enabled():
        output.loss = loss.requires_grad_() + 0.0
