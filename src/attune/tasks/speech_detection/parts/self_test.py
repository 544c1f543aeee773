"""A small test of each model that opens: does this transformers release compute its architecture rightly?

Releases have come out that do not, and say nothing: 5.10.0 to 5.10.3 put the embeddings in the place of the output layer
(https://github.com/huggingface/transformers/pull/46456), and earlier ones dropped the sound
(https://github.com/huggingface/transformers/pull/41018). What they say then looks like a model that cannot tell.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import ModelError
from attune.tasks.speech_detection.parts.prompting import Features, Prompting
from attune.tasks.speech_detection.parts.scoring import of_features, start_of

RIGHT_RELEASE = "5.23.0"
"""Of transformers; the tests of this project hold it to that."""
_HEAD = "lm_head.weight"
_ROWS = 4
_CLOSE = {torch.float32: 1e-3}
_LOOSE = 0.5
"""Nats; in bfloat16, and in 4 bits, log-probabilities differ in the second digit with what else is in a batch."""


def require_right_results(model: Any, prompting: Prompting) -> None:
    """Raises ModelError naming what is wrong and the release to install; the model itself stays as it is."""
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    dtype = next(p.dtype for p in model.lm_head.parameters())
    packed = getattr(model, "is_loaded_in_4bit", False)
    close = _LOOSE if packed else _CLOSE.get(dtype, _LOOSE)
    rows = [prompting.features(clip) for clip in _sounds(prompting.window_s)]
    together = of_features(model, prompting, rows, start_of(model, prompting))
    alone = np.concatenate([of_features(model, prompting, [row]) for row in rows])
    if not _near(together, alone, close):
        _refuse("a clip is scored otherwise in a batch than alone")
    if not _near(alone[:1], _plainly(model, prompting, rows[0]), close):
        _refuse("a label beside another is scored otherwise than alone behind prompt and sound")
    if np.array_equal(alone[0], alone[1]):
        _refuse("it answers two sounds alike to the last digit, so it does not hear them")


def require_own_output_layer(model: Any, folder: Path) -> None:
    """Raises ModelError where the output layer of `model` is not that which stands in `folder`, as it came from there."""
    stored = _stored_rows(folder)
    held = model.lm_head.weight[:_ROWS].detach().float().cpu()
    if stored is not None and not torch.allclose(held, stored, atol=1e-2, rtol=1e-2):
        _refuse("its output layer is not the checkpoint's")


def _stored_rows(folder: Path) -> torch.Tensor | None:
    """The first rows of the output layer as the checkpoint has them; None where it has none of its own."""
    from safetensors import safe_open

    for file in sorted(folder.glob("model*.safetensors")):
        with safe_open(file, "pt") as weights:
            for key in weights.keys():  # noqa: SIM118 : no dictionary
                if key.endswith(_HEAD):
                    rows: torch.Tensor = weights.get_slice(key)[:_ROWS]
                    return rows.float()
    return None


@torch.no_grad()
def _plainly(model: Any, prompting: Prompting, row: Features) -> NDArray[np.float64]:
    """The same in transformers' own way: its window whole, and each label read as one with the prompt."""
    found = []
    for label in prompting.labels:
        batch = {name: tensor.to(model.device) for name, tensor in prompting.batch([row], [label], whole=True).items()}
        batch.pop("labels")
        logits = model(**batch).logits[0, -len(label) - 1 : -1]
        said = torch.log_softmax(logits.float(), dim=-1)[range(len(label)), list(label)]
        found.append(float(said.sum()))
    return np.array([found])


def _near(one: NDArray[np.float64], other: NDArray[np.float64], close: float) -> bool:
    return bool(np.isfinite(one).all() and np.abs(one - other).max() <= close * max(1.0, float(np.abs(other).max()) / 10))


def _sounds(window_s: float) -> list[Samples]:
    """A tune and a hiss of the same length, and a shorter hiss."""
    count = round(min(window_s, 1.0) * SAMPLE_RATE_HZ)
    rng = np.random.default_rng(0)
    hiss = 0.1 * rng.standard_normal(count)
    tune = 0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(150, 900, count)) / SAMPLE_RATE_HZ)
    return [tune.astype(np.float32), hiss.astype(np.float32), hiss[: count // 2].astype(np.float32)]


def _refuse(what: str) -> None:
    import transformers

    raise ModelError(
        f"transformers {transformers.__version__} gives wrong results with models of the Qwen2-Audio class: {what}; install one "
        f"that does not: pip install 'transformers=={RIGHT_RELEASE}'"
    )
