"""Labels are scored whole, in one pass for both, whatever else is in the batch; a release that computes otherwise is refused."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from detection_parts import detection_params, sound
from peft import LoraConfig, get_peft_model

from attune.checkpoints import quietly
from attune.errors import ModelError
from attune.finetuning.augmentation import masked
from attune.tasks.speech_detection.parts import self_test
from attune.tasks.speech_detection.parts.embedding import hear_no_longer
from attune.tasks.speech_detection.parts.hearing import Detector, open_detector
from attune.tasks.speech_detection.parts.labels import LABELS
from attune.tasks.speech_detection.parts.opening import Setup, open_model, prompting_of
from attune.tasks.speech_detection.parts.prompting import BEHIND, Prompting
from attune.tasks.speech_detection.parts.scoring import log_probs, of_batch, of_features, start_of
from attune.tasks.speech_detection.train.family import LANGUAGE_MODEL

_CPU = Setup("cpu", torch.float32, False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_qwen2_audio(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture(scope="module")
def opened(folder: Path) -> tuple[Any, Prompting]:
    params = detection_params(folder).model
    checkpoint = open_model(str(folder), params, _CPU)
    return checkpoint.model, prompting_of(checkpoint, params)


def _read_as_one(model: Any, prompting: Prompting, samples: Any, label: tuple[int, ...]) -> float:
    """Log-probability of a label by a plain forward pass over prompt and label."""
    batch = prompting.batch([prompting.features(samples)], [label], whole=True)
    batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits[0]
    said = torch.log_softmax(logits.double(), dim=-1)
    return float(sum(said[len(said) - len(label) - 1 + n, token] for n, token in enumerate(label)))


def test_a_label_is_scored_with_all_its_tokens_and_its_end(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    clips = [sound(1.0, 1), sound(0.4, 2, 300.0), sound(2.0, 3, 900.0)]
    found = log_probs(model, prompting, clips)
    assert found.shape == (3, 2)
    assert all(len(label) > 2 for label in prompting.labels)
    for row, samples in zip(found, clips, strict=True):
        expected = [_read_as_one(model, prompting, samples, label) for label in prompting.labels]
        np.testing.assert_allclose(row, expected, atol=1e-3)


def test_labels_that_start_with_the_same_token_are_told_apart_by_the_rest(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    end = prompting.labels[0][-1]
    labels = [(40, 41, end), (40, 42, 43, end), (40, end)]
    batch = prompting.batch([prompting.features(sound(1.0, 5)), prompting.features(sound(0.5, 6))])
    found = of_batch(model, batch, labels)
    expected = [[_read_as_one(model, prompting, sound(*which), label) for label in labels] for which in ((1.0, 5), (0.5, 6))]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert len({round(float(x), 4) for x in found[0]}) == 3


def test_a_clip_is_scored_alike_alone_and_in_a_batch(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    clips = [sound(0.3 + 0.4 * n, n, 200.0 * n) for n in range(4)]
    together = log_probs(model, prompting, clips)
    alone = np.concatenate([log_probs(model, prompting, [each]) for each in clips])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_features_end_behind_the_clip_and_are_those_of_the_whole_window(opened: tuple[Any, Prompting]) -> None:
    _, prompting = opened
    for seconds in (0.4, 1.003, 1.99, 2.0):
        samples = sound(seconds, 1, 300.0)
        extractor = prompting.processor.feature_extractor
        whole = extractor(samples, sampling_rate=16_000, padding="max_length", return_attention_mask=True)
        frames = int(whole["attention_mask"].sum())
        found = prompting.features(samples)
        assert found.shape[1] == frames + BEHIND
        batch = prompting.batch([found], [prompting.labels[0]], whole=True)
        np.testing.assert_array_equal(batch["input_features"][0], whole["input_features"][0])
        np.testing.assert_array_equal(batch["feature_attention_mask"][0], whole["attention_mask"][0])


def test_the_audio_tower_reads_no_further_than_the_longest_clip(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    read: list[int] = []
    layer = model.model.audio_tower.layers[0]
    hook = layer.register_forward_hook(lambda module, given, made: read.append(made.shape[1]))
    clips = [sound(0.4, 1), sound(0.5, 2)]
    found = log_probs(model, prompting, clips)
    hook.remove()
    assert read == [26]  # positions of 20 ms, and one for the convolutions to look at
    expected = [[_read_as_one(model, prompting, clip, label) for label in prompting.labels] for clip in clips]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert model.model.audio_tower.config.max_source_positions == 100


def test_the_last_layer_is_asked_where_a_labels_token_is_due_alone(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    asked: list[int] = []
    layers = model.model.language_model.layers
    hooks = [each.mlp.register_forward_hook(lambda module, given, made: asked.append(made.shape[1])) for each in layers]
    batch = prompting.batch([prompting.features(sound(1.0, 1))])
    of_batch(model, batch, prompting.labels)
    for hook in hooks:
        hook.remove()
    branches = sum(len(label) - 1 for label in prompting.labels)
    assert asked == [batch["input_ids"].shape[1] + branches, 1 + branches]


def test_what_all_prompts_begin_with_is_read_once_for_any_batch(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    assert len(prompting.start) > 2
    start = start_of(model, prompting)
    for clips in ([sound(1.0, 1)], [sound(0.3 + 0.4 * n, n, 200.0 * n) for n in range(4)]):
        np.testing.assert_allclose(
            log_probs(model, prompting, clips, start), log_probs(model, prompting, clips), atol=1e-4, rtol=0
        )
    assert start[0].tokens == len(prompting.start)
    assert all(len(known.key) == 1 for known in start)


def test_a_prompt_that_begins_with_the_sound_is_read_whole(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    bare = copy.copy(prompting)
    bare.start = []
    assert not start_of(model, bare)
    assert np.isfinite(log_probs(model, bare, [sound(1.0, 1)], start_of(model, bare))).all()


def test_a_detector_opened_anew_knows_nothing_of_the_weights_before(folder: Path, tmp_path: Path) -> None:
    other = tiny_models.make_qwen2_audio(tmp_path / "other", seed=1)
    said = []
    for name in (folder, other, folder):
        params = detection_params(name).model
        checkpoint = open_model(str(name), params, _CPU)
        (heard,) = Detector(checkpoint, params, _CPU).transcribe([sound(1.0, 1)])
        (expected,) = log_probs(checkpoint.model, prompting_of(checkpoint, params), [sound(1.0, 1)])
        assert dict(zip(LABELS, expected, strict=True)) == pytest.approx({a.text: a.score for a in heard.alternatives}, abs=2e-4)
        said.append(heard)
    assert said[0] == said[2] != said[1]


def test_adapters_that_are_not_merged_are_read_in_every_layer(folder: Path) -> None:
    checkpoint = open_model(str(folder), detection_params(folder).model, _CPU)
    prompting = prompting_of(checkpoint, detection_params(folder).model)
    clips = [sound(1.0, 1), sound(0.4, 2, 300.0)]
    before = log_probs(checkpoint.model, prompting, clips)
    with quietly():
        adapted = get_peft_model(checkpoint.model, LoraConfig(target_modules=LANGUAGE_MODEL, init_lora_weights=False)).eval()
    found = log_probs(adapted, prompting, clips, start_of(adapted, prompting))
    expected = [[_read_as_one(adapted, prompting, clip, label) for label in prompting.labels] for clip in clips]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found - before).max() > 0.1


@pytest.mark.parametrize("samples", [1, 160, 960])
def test_a_clip_shorter_than_two_tokens_is_heard_with_silence_behind_it(opened: tuple[Any, Prompting], samples: int) -> None:
    model, prompting = opened
    clip = sound(0.1, 1)[:samples]
    batch = prompting.batch([prompting.features(clip)])
    assert int((batch["input_ids"] == model.config.audio_token_id).sum()) == 2
    assert np.isfinite(log_probs(model, prompting, [clip])).all()


def test_masked_frequencies_and_times_leave_the_length_of_a_clip(opened: tuple[Any, Prompting]) -> None:
    _, prompting = opened
    features = prompting.features(sound(1.0, 1))
    changed = masked(features, 0.5, np.random.default_rng(3))
    assert not np.array_equal(changed, features)
    plain, other = (prompting.batch([each], [prompting.labels[0]], whole=True) for each in (features, changed))
    np.testing.assert_array_equal(plain["input_ids"], other["input_ids"])
    np.testing.assert_array_equal(plain["feature_attention_mask"], other["feature_attention_mask"])


def test_of_a_clip_longer_than_the_window_the_most_spoken_piece_counts(opened: tuple[Any, Prompting]) -> None:
    model, prompting = opened
    clip = np.concatenate([sound(2.0, 1), sound(2.0, 2, 700.0), sound(1.0, 3, 200.0)])
    pieces = [clip[:32_000], clip[32_000:64_000], clip[-32_000:]]
    each = log_probs(model, prompting, pieces)
    (whole,) = log_probs(model, prompting, [clip])
    np.testing.assert_allclose(whole, each[np.argmax(each[:, 0] - each[:, 1])], atol=1e-3)


def test_only_the_tokens_of_the_label_are_to_be_learnt(opened: tuple[Any, Prompting]) -> None:
    _, prompting = opened
    rows = [prompting.features(sound(1.0, 1)), prompting.features(sound(0.3, 2))]
    labels = [prompting.label_ids(label) for label in LABELS]
    batch = prompting.batch(rows, labels, whole=True)
    for learnt, label in zip(batch["labels"].tolist(), labels, strict=True):
        assert [token for token in learnt if token != -100] == label
        assert learnt[-len(label) :] == label
    assert not batch["attention_mask"][1, 0]  # the shorter prompt is padded on its left


def test_what_is_learnt_from_frames_that_end_with_the_clip_is_what_is_learnt_from_the_window(
    opened: tuple[Any, Prompting],
) -> None:
    model, prompting = copy.deepcopy(opened[0]), opened[1]
    rows = [prompting.features(sound(0.53, 1)), prompting.features(sound(0.31, 2))]
    labels = [prompting.label_ids(label) for label in LABELS]
    learnt = []
    for whole in (True, False):
        model.zero_grad()
        batch = prompting.batch(rows, labels, whole=whole)
        loss = model(**batch).loss
        loss.backward()
        slopes = [weights.grad.clone() for weights in model.parameters() if weights.grad is not None]
        learnt.append((batch["input_features"].shape[-1], loss.item(), slopes))
        hear_no_longer(model)
    (window, whole_loss, whole_slopes), (shorter, loss, slopes) = learnt
    assert shorter < window / 3
    assert loss == pytest.approx(whole_loss, rel=1e-5)
    assert len(slopes) == len(whole_slopes) > 50
    for one, other in zip(slopes, whole_slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_a_detector_says_the_likelier_label_with_its_share(folder: Path) -> None:
    detector = open_detector(folder, detection_params(folder).model)
    (heard,) = detector.transcribe([sound(1.0, 1)])
    assert heard.text in LABELS
    assert heard.text == heard.alternatives[0].text
    assert 0.5 <= heard.confidence <= 1
    speech = 1 - (heard.no_speech or 0.0)
    assert heard.confidence == pytest.approx(max(speech, 1 - speech), abs=2e-4)


def test_an_output_layer_that_is_not_the_checkpoints_is_refused_with_the_release_to_install(
    folder: Path, opened: tuple[Any, Prompting]
) -> None:
    """As transformers 5.10.0 did it."""
    model = open_model(str(folder), detection_params(folder).model, _CPU).model
    model.lm_head.weight = model.get_input_embeddings().weight
    with pytest.raises(ModelError, match=r"output layer is not the checkpoint's; install .*transformers==5\.23\.0"):
        self_test.require_own_output_layer(model, folder)
    self_test.require_own_output_layer(opened[0], folder)


def test_a_release_that_drops_the_sound_is_refused(folder: Path, opened: tuple[Any, Prompting]) -> None:
    model = open_model(str(folder), detection_params(folder).model, _CPU).model
    torch.nn.init.zeros_(model.model.multi_modal_projector.linear.weight)
    with pytest.raises(ModelError, match="it does not hear them"):
        self_test.require_right_results(model, opened[1])


def test_a_release_that_scores_batches_otherwise_is_refused(
    opened: tuple[Any, Prompting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        self_test, "of_features", lambda model, prompting, rows, start=(): of_features(model, prompting, rows, start) + len(rows)
    )
    with pytest.raises(ModelError, match="scored otherwise in a batch than alone"):
        self_test.require_right_results(*opened)


def test_another_kind_of_model_is_named(tmp_path: Path) -> None:
    tiny_models.make_whisper(tmp_path / "whisper")
    with pytest.raises(ModelError, match="'whisper' model; task speech_detection wants"):
        open_detector(tmp_path / "whisper", detection_params(tmp_path / "whisper").model)
