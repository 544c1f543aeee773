from pathlib import Path

import pytest
import tiny_models

from attune.params import GREEDY, ModelParams, load_params


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny checkpoint of each kind."""
    root = tmp_path_factory.mktemp("models")
    return {
        "whisper": tiny_models.make_whisper(root / "whisper"),
        "multilingual": tiny_models.make_whisper(root / "multilingual", multilingual=True),
        "large-v3": tiny_models.make_whisper(root / "large-v3", multilingual=True, window_s=30, mels=128, positions=448),
        "wav2vec2-layer": tiny_models.make_wav2vec2(root / "wav2vec2-layer", "layer"),
        "wav2vec2-group": tiny_models.make_wav2vec2(root / "wav2vec2-group", "group"),
        "hubert": tiny_models.make_wav2vec2(root / "hubert", "group", "hubert"),
        "wavlm": tiny_models.make_wav2vec2(root / "wavlm", "layer", "wavlm"),
        "mms": tiny_models.make_mms(root / "mms"),
        "wav2vec2-bert": tiny_models.make_wav2vec2_bert(root / "wav2vec2-bert"),
    }


@pytest.fixture(scope="session")
def params() -> ModelParams:
    """The shipped ones on a CPU, without safeguards: random weights would always be doubted."""
    changed = {"name": "none", "device": "cpu", "engine": "transformers", "precision": "float32", "batch_s": 15.0}
    shipped = load_params(Path(__file__).parents[3] / "params.yaml").model
    return shipped.model_copy(update={**changed, "safeguards": GREEDY})
