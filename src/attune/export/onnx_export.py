"""Writes a CTC model as ONNX, for servers without torch: one input of any batch and length, unpadded, to the logits.

No mask is among the inputs, so clips of a batch must be of one length; alone, each may have its own.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.checkpoints import Checkpoint, quietly
from attune.errors import EnvironmentFault, ModelError, ParityError

ONNX = "model.onnx"
"""The graph; its weights stand beside it in model.onnx.data, as one file of ONNX holds 2 GB at most."""
_LOGITS = "logits"
_EXAMPLE, _TRIED = (2, 200), ((1, 23), (2, 61), (1, 900))
"""Batch and frames of what the graph is traced with, and of what is tried afterwards: lengths that it has not seen."""
_MOST_APART = 1e-2
"""Between logits of the two; libraries add up in other orders."""


def write_onnx(checkpoint: Checkpoint, folder: Path) -> None:
    """Puts the graph and its weights into `folder`, and proves on several lengths that it says what the model says.

    Raises EnvironmentFault where its packages are missing, ModelError where torch cannot export the model, ParityError where
    what it exported says something else.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 : tried below
        import onnxscript  # noqa: F401 : torch's exporter asks for it
    except ImportError as error:
        raise EnvironmentFault(
            f"{checkpoint.name} is to be exported to ONNX, and the package {error.name} is missing: "
            "pip install -c constraints.txt -e '.[onnx]'; or set convert_ct2.onnx to false"
        ) from error

    _export(checkpoint, folder / ONNX)
    graph = onnx.load(str(folder / ONNX), load_external_data=False)
    _forget_machine(graph)
    onnx.save(graph, str(folder / ONNX))
    _prove(checkpoint, folder / ONNX)


def _export(checkpoint: Checkpoint, file: Path) -> None:
    import torch
    from torch.export import Dim

    class Logits(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: Any) -> Any:
            return self.model(inputs).logits

    name, example = checkpoint.processor.feature_extractor.model_input_names[0], torch.from_numpy(_sound(checkpoint, *_EXAMPLE))
    shapes = ({0: Dim("batch"), 1: Dim("time")},)
    try:
        with torch.inference_mode(), _silent():
            torch.onnx.export(
                Logits(checkpoint.model).eval(), (example,), str(file), dynamo=True, dynamic_shapes=shapes, input_names=[name],
                output_names=[_LOGITS], external_data=True, verbose=False,
            )  # fmt: skip
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
        raise ModelError(
            f"torch cannot export {checkpoint.name} to ONNX: {' '.join(str(error).split())[:300]}; set convert_ct2.onnx to false"
        ) from error


def _forget_machine(graph: Any) -> None:
    """Takes out where in which file of this machine each operation was traced."""
    graph.producer_version = graph.producer_version.partition("+")[0]
    for part in (graph.graph, *graph.functions):
        del part.metadata_props[:]
        for item in (*part.node, *part.value_info, *getattr(part, "initializer", ()), *getattr(part, "input", ())):
            if hasattr(item, "metadata_props"):
                del item.metadata_props[:]
            if hasattr(item, "doc_string"):
                item.doc_string = ""


def _prove(checkpoint: Checkpoint, file: Path) -> None:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    for batch, frames in _TRIED:
        sound = _sound(checkpoint, batch, frames)
        with torch.inference_mode():
            wanted = checkpoint.model(torch.from_numpy(sound)).logits.numpy()
        (found,) = session.run(None, {given.name: sound})
        if found.shape != wanted.shape or np.abs(found - wanted).max() > _MOST_APART:
            raise ParityError(
                f"the ONNX export of {checkpoint.name} does not say what the model says ({batch} x {frames} frames: logits of "
                f"shape {found.shape}, not {wanted.shape}, or {_apart(found, wanted):.3g} apart); set convert_ct2.onnx to false"
            )


def _apart(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.abs(found - wanted).max()) if found.shape == wanted.shape else float("inf")


def _sound(checkpoint: Checkpoint, batch: int, frames: int) -> NDArray[np.float32]:
    """Noise as the model takes it: samples of shape (batch, time), or mel frames of shape (batch, frames, mels)."""
    draw, extractor = np.random.default_rng(frames), checkpoint.processor.feature_extractor
    if extractor.model_input_names[0] == "input_features":
        width = int(checkpoint.config.feature_projection_input_dim)
        return draw.standard_normal((batch, frames, width)).astype(np.float32)
    return draw.standard_normal((batch, frames * int(np.prod(checkpoint.config.conv_stride)))).astype(np.float32)


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps torch's exporter from telling of packages that it does not need here."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with quietly(), warnings.catch_warnings():
            # torch 2.13's own; and a cache of transformers, of which `_prove` shows that it did not become part of the graph
            warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", "The tensor attribute .* was assigned during export", UserWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
