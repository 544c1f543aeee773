"""CTC models exported to ONNX, run by ONNX Runtime: neither torch nor the original's code is needed for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attune.checkpoint_files import files_digest, one_line, read_json
from attune.dataset import Samples
from attune.devices import workers_and_threads
from attune.errors import EnvironmentFault, ModelError
from attune.recognizers.ctc import CtcRecognizer, Listener, LogProbs, alphabet_of, ctc_input
from attune.workcache import digest_of

GRAPH = "model.onnx"
_NO_WARNINGS = 3


def open_onnx(name: str, folder: Path, device: str, batch_s: float) -> CtcRecognizer:
    """The recogniser in an ONNX folder that convert_ct2 wrote; on a CPU where the runtime has no CUDA.

    Raises ModelError where a file is missing or damaged, EnvironmentFault where the runtime is missing.
    """
    from transformers import AutoProcessor

    card = read_json(folder / "attune.json")
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        return CtcRecognizer(
            name=name,
            digest=digest_of("onnx", files_digest(folder), device),
            listen=_listener(folder, device, processor.feature_extractor),
            alphabet=alphabet_of(processor.tokenizer, int(card["vocab_size"])),
            frame_s=float(card["frame_s"]),
            batch_s=batch_s,
            equal_lengths=True,  # the graph takes no mask
            workers=workers_and_threads(device)[0],
        )
    except (RuntimeError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} cannot be opened as an ONNX model: {one_line(error)}") from error


def _listener(folder: Path, device: str, extractor: Any) -> Listener:
    session = _session(folder, device)
    (given,) = session.get_inputs()

    def listen(clips: Sequence[Samples]) -> list[LogProbs]:
        (logits,) = session.run(None, {given.name: np.stack([ctc_input(extractor, clip) for clip in clips])})
        return list(_log_softmax(np.asarray(logits, dtype=np.float32)))

    return listen


def _session(folder: Path, device: str) -> Any:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as faults
    except ImportError as error:
        raise EnvironmentFault("the package onnxruntime is missing; install Attune's requirements: make setup") from error

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = workers_and_threads(device)[1], _NO_WARNINGS
    there = onnxruntime.get_available_providers()
    wanted = ["CUDAExecutionProvider"] if device == "cuda" and "CUDAExecutionProvider" in there else []
    broken = (faults.Fail, faults.InvalidArgument, faults.InvalidProtobuf, faults.InvalidGraph, faults.NoSuchFile)
    try:
        return onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=[*wanted, "CPUExecutionProvider"])
    except (*broken, faults.NotImplemented, faults.RuntimeException) as error:
        raise ModelError(f"{folder} cannot be opened as an ONNX model: {one_line(error)}") from error


def _log_softmax(logits: LogProbs) -> LogProbs:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), dtype=np.float32)
