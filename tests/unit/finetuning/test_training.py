"""Fine-tuning learns, keeps the best, resumes to the same weights, and says what it could not use; on the shipped models."""

import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from attune.checkpoints import Checkpoint, load_checkpoint, quietly
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning import code_version, methods, training
from attune.finetuning.estimating import Estimate
from attune.finetuning.families import Example, family_of
from attune.finetuning.forgetting import Forgetting
from attune.finetuning.lessons import Features, Lesson
from attune.finetuning.resuming import forget, owned
from attune.finetuning.trainer import WerTrainer, arguments
from attune.finetuning.training import finetune
from attune.params import TrainParams
from attune.scoring import pool, score

ROOT = Path(__file__).resolve().parents[3]
TINY = {"whisper": ROOT / "models" / "tiny" / "whisper", "ctc": ROOT / "models" / "tiny" / "ctc"}


class Tones:
    """Stands in for a corpus: each id is a chord of its own, one second long."""

    def __getitem__(self, utterance_id: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        number = int(utterance_id)
        time_s = np.arange(16_000) / 16_000
        tones = [np.sin(2 * np.pi * (200 + 170 * ((number * k) % 11)) * time_s) for k in (1, 2, 3)]
        return (0.2 * np.sum(tones, axis=0)).astype(np.float32)


LORA = {"rank": 8, "alpha": 16, "dropout": 0.0, "variant": "lora", "targets": None}


def params(**changes: Any) -> TrainParams:
    content = {
        "method": "lora",
        "part": "both",
        "lora": LORA,
        "learning_rate": {"lora": 5e-3, "full": 2e-3},
        "epochs": 2,
        "batch_size": 4,
        "accumulation": 1,
        "processes": 1,
        "gradient_checkpointing": False,
        "cache_gb": 1.0,
        "warmup_share": 0.1,
        "weight_decay": 0.0,
        "evaluations_per_epoch": 1,
        "patience": 100,
        "keep_learnt": 1.0,
        "validation_utterances": 1000,
        "augmentation": {
            "speed": 0.0,
            "gain_db": 0.0,
            "equalizer_db": 0.0,
            "noise_snr_db": None,
            "noise_folder": None,
            "room": 0.0,
            "room_folder": None,
            "spec_augment": 0.0,
        },
        "vocabulary": "drop",
        "whisper": {"timestamps_share": 0.0, "packing": False},
        "forgetting": {"set": "none", "max_increase_points": None},
        "precision": "float32",
        "seed": 1,
    }
    return TrainParams.model_validate(content | changes)


def tiny(kind: str) -> Checkpoint:
    return load_checkpoint(str(TINY[kind]), None)


VARIED = {
    "speed": 0.2,
    "gain_db": 3.0,
    "equalizer_db": 6.0,
    "noise_snr_db": [10.0, 30.0],
    "noise_folder": None,
    "room": 0.0,
    "room_folder": None,
    "spec_augment": 0.2,
}
EXAMPLES = [Example(str(n), text, 1.0) for n, text in enumerate(["go back", "stop", "yes please", "seven two"])]


@pytest.mark.parametrize(
    ("kind", "method", "rate", "changes"),
    [
        ("whisper", "lora", 5e-3, {}),
        ("whisper", "full", 2e-3, {}),
        ("ctc", "lora", 1e-2, {}),
        ("ctc", "full", 2e-3, {}),
        ("whisper", "lora", 5e-3, {"variant": "dora"}),
        ("ctc", "lora", 3e-3, {"variant": "rslora"}),
        ("whisper", "qlora", 5e-3, {}),
        ("ctc", "qlora", 1e-2, {}),
    ],
)
def test_overfits_four_recordings(kind: str, method: str, rate: float, changes: dict[str, Any], tmp_path: Path) -> None:
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    rates = {"lora": rate, "full": rate}
    lora = LORA | {"rank": 16} | changes
    epochs = 120 if (kind, method) == ("ctc", "qlora") else 60  # rounded to four bits it learns more slowly
    settings = params(method=method, epochs=epochs, evaluations_per_epoch=0.1, learning_rate=rates, lora=lora)
    report = finetune(tiny(kind), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "out", tmp_path / "work")
    assert report.wer_before is not None
    assert report.wer_after is not None
    assert report.wer_before > 0.5
    assert report.wer_after < 0.2
    assert (report.trainable_share < 0.2) == (method != "full")
    if method != "full":
        tuned = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)  # merged into the unquantised base
        family = family_of(kind, tuned.model, tuned.processor, None)
        texts = family.recognize(tuned.model, [family.features(Tones()[e.id]) for e in EXAMPLES])
        words, _ = pool(score(e.id, e.text, text) for text, e in zip(texts, EXAMPLES, strict=True))
        assert words.rate < (0.7 * report.wer_before if method == "qlora" else 0.2)  # so small a model feels four bits


@pytest.mark.parametrize(("part", "method"), [("encoder", "lora"), ("decoder", "lora"), ("decoder", "full"), ("encoder", "full")])
def test_only_the_part_that_is_asked_for_learns(part: str, method: str) -> None:
    checkpoint = tiny("whisper")
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    model = methods.prepared(checkpoint.model, family, params(part=part, method=method), "cpu")
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learning
    assert all(f".{part}." in name or name.startswith(f"{part}.") for name in learning)


def test_a_pattern_of_ones_own_chooses_the_layers() -> None:
    checkpoint = tiny("whisper")
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    settings = params(lora=LORA | {"targets": r".*\.(q_proj|v_proj)"})
    names = methods.adapted_layers(checkpoint.model, family, settings)
    assert names
    assert {name.rpartition(".")[2] for name in names} == {"q_proj", "v_proj"}


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("whisper", {"lora": LORA | {"targets": "nothing"}}, r"finds none of its layers \(nothing\).*fc1.*train\.lora\.targets"),
        ("ctc", {"part": "decoder"}, "in its decoder"),
        ("ctc", {"part": "decoder", "method": "full"}, "has no decoder"),
        ("whisper", {"lora": LORA | {"rank": 500}}, "only 1.. dimensions; choose a smaller rank"),
    ],
)
def test_what_cannot_learn_is_one_line_with_what_to_change(kind: str, changes: dict[str, Any], said: str) -> None:
    checkpoint = tiny(kind)
    family = family_of(kind, checkpoint.model, checkpoint.processor, None)
    with pytest.raises(TrainingError, match=said):
        methods.prepared(checkpoint.model, family, params(**changes), "cpu")


def test_what_validation_cannot_hear_whole_judges_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard = [*EXAMPLES[:2], Example("9", "too long a sound", 9.0)]
    report = finetune(tiny("whisper"), EXAMPLES, heard, Tones(), params(epochs=1), None, tmp_path / "out", tmp_path / "work")
    assert report.validation_utterances == 2
    assert "1 of 3 validation utterances are longer than the model's window" in caplog.text


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_does_not_take_is_refused_with_the_params(seed: int) -> None:
    with pytest.raises(ValidationError, match="seed"):
        params(seed=seed)


@pytest.mark.parametrize("rank", [0, -1, 513])
def test_a_rank_that_no_adapter_can_have_is_refused_with_the_params(rank: int) -> None:
    with pytest.raises(ValidationError, match=r"lora\.rank"):
        params(lora=LORA | {"rank": rank})


def test_adapters_load_with_plain_peft_and_say_the_same(tmp_path: Path) -> None:
    from peft import PeftModel

    finetune(
        tiny("whisper"),
        EXAMPLES,
        EXAMPLES,
        Tones(),
        params(epochs=30, evaluations_per_epoch=0.1),
        None,
        tmp_path / "out",
        tmp_path / "work",
    )
    written = json.loads((tmp_path / "out" / "lora_adapters" / "adapter_config.json").read_text())["target_modules"]
    assert len(written) > 3
    assert written == sorted(written)  # the same bytes each time
    base = tiny("whisper")
    with quietly():
        adapted = PeftModel.from_pretrained(base.model, tmp_path / "out" / "lora_adapters").eval()
    family = family_of("whisper", base.model, base.processor, None)
    features = [family.features(Tones()[e.id]) for e in EXAMPLES]
    through_adapter = family.recognize(adapted, features)
    merged = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)
    assert through_adapter == family.recognize(merged.model, features)


def test_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def weights(name: str) -> dict[str, torch.Tensor]:
        return load_file(tmp_path / name / "lora_adapters" / "adapter_model.safetensors")

    settings = params(
        epochs=3, batch_size=2, evaluations_per_epoch=2, lora=LORA | {"rank": 4, "alpha": 8, "dropout": 0.1}, augmentation=VARIED
    )
    finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "calm", tmp_path / "calm-work")

    steps = 0
    plain = training.WerTrainer.training_step

    def killed(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "storm", tmp_path / "work")
    monkeypatch.undo()
    last = max((tmp_path / "work").glob("*/checkpoint-*"))
    torn = shutil.copytree(last, last.with_name("checkpoint-99"), ignore=lambda *_: ["whole", "trainer_state.json"])
    os.truncate(torn / "adapter_model.safetensors", 100)  # as a kill in the middle of saving leaves it
    report = finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "storm", tmp_path / "work")
    calm, storm = weights("calm"), weights("storm")
    assert calm.keys() == storm.keys()
    assert all(torch.equal(calm[name], storm[name]) for name in calm)
    with owned(report.checkpoints or tmp_path):
        forget(report.checkpoints)  # somebody is at it again
    assert list((tmp_path / "work").glob("*/checkpoint-*"))
    forget(report.checkpoints)
    assert not list((tmp_path / "work").glob("*"))


def test_ctrl_c_saves_the_step_and_the_rest_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = params(epochs=4, batch_size=2, evaluations_per_epoch=0.25)
    report = finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "calm", tmp_path / "calm-work")
    assert [step for step, _ in report.losses] == [2, 4, 6, 8]
    plain = training.WerTrainer.training_step

    def interrupted(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(self, *arguments, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "storm", tmp_path / "work")
    monkeypatch.undo()
    (saved,) = (tmp_path / "work").glob("*/checkpoint-*")
    assert saved.name == "checkpoint-3"
    assert not (tmp_path / "storm").exists()
    resumed = finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "storm", tmp_path / "work")
    assert resumed.losses == report.losses  # the mean of steps 3 and 4 too, between which it was stopped
    calm, storm = (load_file(tmp_path / name / "lora_adapters" / "adapter_model.safetensors") for name in ("calm", "storm"))
    assert all(torch.equal(calm[name], storm[name]) for name in calm)


def test_a_second_writer_is_refused_with_the_owners_name(tmp_path: Path) -> None:
    home, said = tmp_path / "home", rf"in use by process {os.getpid()} on "
    with owned(home), pytest.raises(TrainingError, match=said), owned(home):
        pass
    with owned(tmp_path / "home"):
        assert (tmp_path / "home" / "owner").is_file()


def test_unfinished_trainings_of_other_params_are_kept_and_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other" / "checkpoint-3").mkdir(parents=True)
    (tmp_path / "other" / "checkpoint-3" / "model.safetensors").write_bytes(b"x" * 3_000_000)
    with owned(tmp_path / "home"):
        pass
    assert f"1 unfinished training(s) with other data or params keep 3 MB in {tmp_path}" in capfd.readouterr().err
    assert (tmp_path / "other" / "checkpoint-3" / "model.safetensors").is_file()


def test_where_memory_runs_out_fewer_at_once_make_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = params(epochs=1, batch_size=4, evaluations_per_epoch=1)
    plain, sizes = training.WerTrainer.training_step, list[int]()

    def hungry(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        sizes.append(len(inputs["labels"]))
        if sizes[-1] > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(self, model, inputs, *rest, **named)

    monkeypatch.setattr(training.WerTrainer, "training_step", hungry)
    report = finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "out", tmp_path / "work")
    assert sizes == [4, 2, 1, 1, 1, 1]
    assert (report.batch_size, report.accumulation, report.steps) == (1, 4, 1)
    monkeypatch.setattr(training.WerTrainer, "training_step", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(EnvironmentFault, match="gradient_checkpointing"):
        finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "o", tmp_path / "w")


@pytest.mark.parametrize("kind", ["whisper", "ctc"])
def test_gradient_checkpointing_learns_the_same(kind: str, tmp_path: Path) -> None:
    curves = []
    for checkpointing in (False, True):
        settings = params(epochs=4, gradient_checkpointing=checkpointing)
        work = tmp_path / f"{checkpointing}"
        report = finetune(tiny(kind), EXAMPLES, EXAMPLES, Tones(), settings, None, work / "out", work / "work")
        curves.append([loss for _, loss in report.losses])
    assert len(curves[0]) > 2
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_share_of_what_was_learnt_lies_between_base_and_tuned(method: str, tmp_path: Path) -> None:
    def logits(share: float) -> torch.Tensor:
        settings = params(method=method, epochs=8, keep_learnt=share, accumulation=1)
        report = finetune(tiny("ctc"), EXAMPLES, [], Tones(), settings, None, tmp_path / f"{share}", tmp_path / "work")
        assert report.kept_learnt == share
        tuned = load_checkpoint(str(tmp_path / f"{share}" / ("model" if method == "full" else "lora_adapters")), None)
        return tuned.model.lm_head.weight + tuned.model.wav2vec2_bert.encoder.layers[0].self_attn.linear_q.weight.sum()

    base = tiny("ctc").model
    start = base.lm_head.weight + base.wav2vec2_bert.encoder.layers[0].self_attn.linear_q.weight.sum()
    whole, half = logits(1.0), logits(0.5)
    assert not torch.allclose(whole, start, atol=1e-4)
    assert torch.allclose(half, (whole + start) / 2, atol=1e-3)


def test_the_best_share_is_found_on_the_validation_side(tmp_path: Path) -> None:
    settings = params(epochs=30, evaluations_per_epoch=0.1, keep_learnt="auto")
    report = finetune(tiny("whisper"), EXAMPLES, EXAMPLES, Tones(), settings, None, tmp_path / "out", tmp_path / "work")
    assert report.kept_learnt in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    tuned = load_checkpoint(str(tmp_path / "out" / "lora_adapters"), None)
    family = family_of("whisper", tuned.model, tuned.processor, None)
    texts = family.recognize(tuned.model, [family.features(Tones()[e.id]) for e in EXAMPLES])
    words, _ = pool(score(e.id, e.text, text) for text, e in zip(texts, EXAMPLES, strict=True))
    assert words.rate == report.wer_after
    assert report.wer_before is not None
    assert words.rate < report.wer_before


@pytest.mark.parametrize(("done", "to_come"), [(0, 2), (1, 1), (3, 0)])
def test_the_time_is_estimated_from_a_few_steps_and_compared_with_what_it_took(done: int, to_come: int) -> None:
    now_s = iter([0.0, 10.0, 16.0, 30.0])
    estimate = Estimate(validation_s=3.0, evaluations=2, clock=lambda: next(now_s))
    estimate.on_train_begin(None, SimpleNamespace(log_history=[{"loss": 1.0}, *[{"eval_wer": 0.5}] * done]), None)
    for step in range(1, 9):
        estimate.on_step_end(None, SimpleNamespace(max_steps=20, global_step=step), None)
    estimate.on_train_end(None, None, None)
    assert estimate.estimated_s == 16.0 + 12 * 1.0 + to_come * 3.0
    assert estimate.figures()["estimate_error"] == pytest.approx(estimate.estimated_s / 30 - 1)


def test_each_pass_hears_the_recordings_changed_and_the_same_pass_hears_them_alike(tmp_path: Path) -> None:
    checkpoint = tiny("whisper")
    family = family_of("whisper", checkpoint.model, checkpoint.processor, None)
    settings = params(augmentation=VARIED)
    trainer = WerTrainer(
        checkpoint.model,
        arguments(settings, tmp_path, 4, validated=False, device="cpu"),
        settings,
        Lesson(Features(family, Tones()), EXAMPLES, [], Forgetting([], None)),
    )
    first, again, second = (trainer._varied(EXAMPLES[0], number) for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_changed_params_do_not_resume_another_run(tmp_path: Path) -> None:
    checkpoint = tiny("whisper")
    one = training._fingerprint(checkpoint, (EXAMPLES, EXAMPLES), params(), None, "cpu")
    assert one == training._fingerprint(checkpoint, (EXAMPLES, EXAMPLES), params(), None, "cpu")
    assert one != training._fingerprint(checkpoint, (EXAMPLES, EXAMPLES), params(seed=2), None, "cpu")
    assert one != training._fingerprint(checkpoint, (EXAMPLES[1:], EXAMPLES), params(), None, "cpu")
    assert one != training._fingerprint(checkpoint, (EXAMPLES, EXAMPLES), params(), "es", "cpu")


def test_other_code_or_libraries_do_not_resume_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("code_version.py", "families.py"):
        shutil.copy(Path(training.__file__).with_name(file), tmp_path / file)
    monkeypatch.setattr(code_version, "__file__", str(tmp_path / "code_version.py"))
    one = code_version.code_version(family_of)
    assert one == code_version.code_version(family_of) == code_version.code_version(partial(family_of, "whisper"))
    (tmp_path / "losses.py").write_text("# another way to learn")
    other = code_version.code_version(family_of)
    monkeypatch.setattr(code_version, "version", lambda _: "9.9")
    assert len({one, other, code_version.code_version(family_of)}) == 3

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.WerTrainer, "training_step", killed)
    for _ in range(2):
        monkeypatch.setattr(training, "code_version", code_version.code_version)
        with pytest.raises(KeyboardInterrupt):
            finetune(tiny("ctc"), EXAMPLES, [], Tones(), params(), None, tmp_path / "out", tmp_path / "work")
        monkeypatch.setattr(code_version, "version", lambda _: "10.0")
    assert len(list((tmp_path / "work").iterdir())) == 2


def test_without_validation_the_last_checkpoint_is_kept(tmp_path: Path) -> None:
    report = finetune(tiny("ctc"), EXAMPLES, [], Tones(), params(), None, tmp_path / "out", tmp_path / "work")
    assert report.wer_after is None
    assert "no validation split" in report.verdict()
    assert (tmp_path / "out" / "lora_adapters" / "adapter_model.safetensors").is_file()


def test_examples_that_do_not_fit_are_dropped_and_counted(tmp_path: Path) -> None:
    odd = [*EXAMPLES, Example("4", "too long a sound", 9.0), Example("5", " ".join(["word"] * 99), 1.0)]
    report = finetune(tiny("whisper"), odd, [], Tones(), params(epochs=1), None, tmp_path / "out", tmp_path / "work")
    assert report.dropped == {"longer_than_window": 1, "text_too_long": 1}
    assert report.refused == {"4": "longer_than_window", "5": "text_too_long"}
    assert report.trained_utterances == len(EXAMPLES)


def test_text_with_more_letters_than_frames_cannot_be_learned_by_ctc() -> None:
    checkpoint = tiny("ctc")
    family = family_of("ctc", checkpoint.model, checkpoint.processor, None)
    short = Example("0", "a very long sentence for so short a sound", 0.3)
    assert family.refusal(short, family.labels(short.text)) == "text_longer_than_sound"
    foreign = Example("0", "größe", 2.0)
    assert family.refusal(foreign, family.labels(foreign.text)) == "character_outside_vocabulary"


def test_nothing_learnable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"trained on \(longer_than_window 1\); .*split_clean_noisy.cut_long_to_s"):
        finetune(tiny("whisper"), [Example("0", "stop", 9.0)], [], Tones(), params(), None, tmp_path / "o", tmp_path / "w")


def test_loss_that_is_not_finite_stops_training(tmp_path: Path) -> None:
    wild = params(method="full", learning_rate={"lora": 1e-3, "full": 1.0}, epochs=40, warmup_share=0.0)
    broken = tiny("whisper")
    with torch.no_grad():
        next(broken.model.parameters())[0] = float("nan")
    with pytest.raises(TrainingError, match=r"the loss became nan at step 1, of utterances .*; lower train.learning_rate"):
        finetune(broken, EXAMPLES, [], Tones(), wild, None, tmp_path / "out", tmp_path / "work")


def test_padding_does_not_change_the_loss_of_a_clip() -> None:
    for kind in ("whisper", "ctc"):
        checkpoint = tiny(kind)
        family = family_of(kind, checkpoint.model, checkpoint.processor, None)
        long = np.concatenate([Tones()["1"], Tones()["2"]])
        rows = [(family.features(Tones()["0"]), family.labels("stop")), (family.features(long), family.labels("yes please"))]
        with torch.no_grad():
            alone = [float(checkpoint.model(**family.collate([row])).logits[0, :3].sum()) for row in rows]
            together = checkpoint.model(**family.collate(rows)).logits
        assert alone[0] == pytest.approx(float(together[0, :3].sum()), abs=2e-2)


def test_where_memory_runs_out_in_validation_fewer_are_heard_at_once(tmp_path: Path) -> None:
    checkpoint, heard = tiny("ctc"), list[int]()
    family = family_of("ctc", checkpoint.model, checkpoint.processor, None)
    plain = family.recognize

    def hungry(model: Any, features: Any) -> list[str]:
        heard.append(len(features))
        if len(features) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(model, features)

    lesson = Lesson(Features(family, Tones()), EXAMPLES, EXAMPLES, Forgetting([], None))
    trainer = WerTrainer(checkpoint.model, arguments(params(), tmp_path, 4, validated=True, device="cpu"), params(), lesson)
    expected = trainer.validation_wer()
    family.recognize = hungry  # type: ignore[method-assign]
    assert trainer.validation_wer() == expected
    assert heard == [4, 2, 1, 1, 1, 1]
    family.recognize = lambda *_: (_ for _ in ()).throw(MemoryError())  # type: ignore[method-assign]
    with pytest.raises(MemoryError):
        trainer.validation_wer()
