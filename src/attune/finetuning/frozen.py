"""What a frozen front part of the model says of a clip is computed once, not in each pass, and kept in the work cache.

That part is Whisper's encoder where only the decoder learns, and the convolutions of Wav2Vec2 and its kin always. It can
be kept only where each pass hears the same sound. Where such convolutions normalise over time (`feat_extract_norm: group`)
they hear each clip alone, kept or not, as in recognition: padding would change what they say.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from hashlib import sha256
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from transformers.modeling_outputs import BaseModelOutput

from attune.finetuning import processes
from attune.finetuning.families import Batch, Example, Family, Samples
from attune.finetuning.hearing_alone import hear_alone
from attune.finetuning.lessons import Features, varies
from attune.finetuning.trainer import precision_of
from attune.params import TrainParams
from attune.progress import track, write
from attune.statecache import StateCache
from attune.workcache import digest_of

_LOG = logging.getLogger(__name__)
_GB = 1_000_000_000
_NOTHING = np.zeros((1, 1), dtype=np.float32)
_RANDOM = ("dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop")


def with_frozen_front(family: Family, model: Any, digest: str, params: TrainParams, device: str) -> Family:
    """`family`, or the same for a model whose front part is computed once for each clip; the model is prepared for it.

    `digest` is the checkpoint's. The model is one that `methods.prepared` gave.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    same = not varies(params.augmentation)
    if (convolutions := _convolutions(base)) is not None:
        hear_alone(base)
        states = _States(convolutions, digest, params, device, base.to(device)) if same else None
        alone = states or base.config.feat_extract_norm == "group"
        return cast(Family, _Convolved(family, states)) if alone else family
    if (encoder := _frozen_encoder(base)) is None:
        return family
    if same and not any(getattr(base.config, name, 0.0) for name in _RANDOM):
        return cast(Family, _KeptEncoder(family, _States(encoder, digest, params, device, base.to(device))))
    why = "it has dropout" if same else "each pass hears other sound (train.augmentation)"
    write(f"The encoder does not learn, but {why}, so it is run in each pass.\n", err=True)
    return family


def hear_once(features: Features, examples: Sequence[Example]) -> None:
    """Computes what is to be computed once, before the first step; of several processes each begins with its own share."""
    family: Any = features.family
    if not (isinstance(family, _Fronted) and family.states):
        return
    first = len(examples) * processes.rank() // processes.count()
    for example in track([*examples[first:], *examples[:first]], "hearing once what does not learn", len(examples)):
        features.of(example)
    if family.states.refused:
        _LOG.warning(
            "The frozen part's states of %d of %d clips are not kept on disk; where memory is short they are computed in each "
            "pass: raise train.cache_gb",
            family.states.refused,
            len(examples),
        )


class _States:
    """The frozen part's answer to a clip, from the work cache or computed."""

    def __init__(self, front: Any, digest: str, params: TrainParams, device: str, model: Any) -> None:
        self._front, self._device, self._config = front, device, model.config
        self.dtype = getattr(torch, precision_of(params, device))
        self._cache = StateCache(int(params.cache_gb * _GB))
        packed = params.method if getattr(model, "is_loaded_in_4bit", False) else "whole"
        self._settings = (digest, type(front).__name__, packed, torch.__version__, transformers.__version__)

    @property
    def refused(self) -> int:
        """How many the disk has no room for."""
        return self._cache.refused

    def samples(self, frames: int) -> int:
        """The fewest samples that give so many frames of convolutions."""
        layers = zip(self._config.conv_kernel, self._config.conv_stride, strict=True)
        for kernel, stride in reversed(list(layers)):
            frames = (frames - 1) * stride + kernel
        return frames

    def of(self, samples: Samples, family: Family, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Shape (frames, width), on the CPU; computed for the clip alone, so that it is the same whatever comes before it."""
        dtype = dtype or self.dtype
        key = digest_of("frozen", *self._settings, dtype, sha256(samples.tobytes()).hexdigest())
        known = _read(self._cache.get_or_none(key))
        if known is None:
            known = self._computed(family.features(samples), dtype)
            self._cache.put(key, save({"states": known}))
        return known

    @torch.no_grad()
    def _computed(self, features: NDArray[np.float32], dtype: torch.dtype) -> torch.Tensor:
        lower = torch.autocast(self._device, dtype) if dtype != torch.float32 else nullcontext()
        with lower:
            said = self._front(torch.from_numpy(features)[None].to(self._device))
        states = said[0].T if isinstance(said, torch.Tensor) else said.last_hidden_state[0]
        return states.to("cpu", dtype).contiguous()


class _Fronted:
    """A family whose model has a frozen front part; what is not here is as `family` has it."""

    def __init__(self, family: Family, states: _States | None, dtype: torch.dtype | None = None) -> None:
        self.family, self.states, self.dtype = family, states, dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(self.family, name)

    def exact(self) -> Any:
        """With states in float32."""
        plain = self.states is None or self.states.dtype == torch.float32
        return self if plain else type(self)(self.family, self.states, torch.float32)

    def features(self, samples: Samples) -> Any:
        """Shape (frames, width), or samples where nothing is kept."""
        return self.family.features(samples) if self.states is None else self.states.of(samples, self.family, self.dtype)


class _KeptEncoder(_Fronted):
    """Whisper from its encoder's states on."""

    def collate(self, rows: Sequence[tuple[Any, list[int]]]) -> Batch:
        batch: Any = self.family.collate([(_NOTHING, labels) for _, labels in rows])
        del batch["input_features"]
        return {**batch, "encoder_outputs": (torch.stack([states for states, _ in rows]),)}

    def recognize(self, model: Any, features: Sequence[Any]) -> list[str]:
        return self.family.recognize(_Primed(model, torch.stack(list(features))), [_NOTHING] * len(features))


class _Primed:
    """A model that generates from given encoder states, whatever sound it is given."""

    def __init__(self, model: Any, states: torch.Tensor) -> None:
        self._model, self._states = model, states
        self.device = model.device

    def generate(self, input_features: Any, **wanted: Any) -> Any:  # noqa: ARG002 : the states stand for it
        states = BaseModelOutput(last_hidden_state=self._states.to(self._model.device))
        return self._model.generate(encoder_outputs=states, **wanted)


class _Convolved(_Fronted):
    """A Wav2Vec2 that hears each clip alone: from what its convolutions say where that is kept, else from samples."""

    def collate(self, rows: Sequence[tuple[Any, list[int]]]) -> Batch:
        """The mask is one number a clip, its samples: their sum is all that these models make of a mask."""
        lengths = [len(features) if self.states is None else self.states.samples(len(features)) for features, _ in rows]
        return {**self.family.collate(rows), "attention_mask": torch.tensor(lengths)[:, None]}


def _convolutions(base: Any) -> Any:
    """The convolutions that Wav2Vec2 and its kin hear samples with, which never learn."""
    inner = getattr(base, base.base_model_prefix, None)
    front = getattr(inner, "feature_extractor", None)
    known = front is not None and hasattr(base.config, "feat_extract_norm") and base.main_input_name == "input_values"
    return front if known and hasattr(front, "_freeze_parameters") else None


def _frozen_encoder(base: Any) -> Any:
    encoder = base.get_encoder() if base.main_input_name == "input_features" and base.config.is_encoder_decoder else None
    return encoder if encoder is not None and not any(p.requires_grad for p in encoder.parameters()) else None


def _read(content: bytes | None) -> torch.Tensor | None:
    try:
        return None if content is None else load(content)["states"]
    except (SafetensorError, KeyError):
        return None
