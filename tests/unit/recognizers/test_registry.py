from pathlib import Path

import pytest
import torch

from attune.devices import choose_device, choose_dtype
from attune.errors import EnvironmentFault
from attune.params import ModelParams
from attune.recognizers.registry import open_recognizer


@pytest.mark.parametrize(
    ("kind", "family"),
    [("whisper", "whisper"), ("wav2vec2-layer", "ctc"), ("wav2vec2-group", "ctc"), ("wav2vec2-bert", "ctc")],
)
def test_the_checkpoint_decides_the_family(models: dict[str, Path], params: ModelParams, kind: str, family: str) -> None:
    recognizer = open_recognizer(str(models[kind]), params)
    assert (recognizer.family, recognizer.name) == (family, str(models[kind]))


def test_the_digest_knows_model_and_precision(models: dict[str, Path], params: ModelParams) -> None:
    kinds = ["whisper", "multilingual", "wav2vec2-layer", "wav2vec2-bert"]
    half = params.model_copy(update={"precision": "bfloat16"})
    digests = [open_recognizer(str(models[kind]), p).digest for kind in kinds for p in (params, half)]
    assert len(set(digests)) == len(digests)
    assert open_recognizer(str(models["whisper"]), params).digest == digests[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
def test_a_gpu_that_is_not_there_is_one_line() -> None:
    assert choose_device("auto") == "cpu"
    with pytest.raises(EnvironmentFault, match=r"model\.device is cuda, but"):
        choose_device("cuda")


def test_precision_fits_the_device() -> None:
    assert choose_dtype("auto", "cpu") == torch.float32
    assert choose_dtype("bfloat16", "cpu") == torch.bfloat16
    with pytest.raises(EnvironmentFault, match="float16 needs a GPU"):
        choose_dtype("float16", "cpu")
