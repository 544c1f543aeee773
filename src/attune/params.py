"""The typed schema of `params.yaml`: what each key may be. Meanings and units stand as comments in that file.

There are no defaults here: a key that is missing from the file is an error, like an unknown one.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from attune.errors import ParamsError
from attune.files import parse_yaml

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Engine = Literal["auto", "transformers", "ctranslate2"]
Task = Literal["transcribe", "translate"]
TaskName = Literal["transcription", "speech_detection"]
Quantization = Literal["float32", "float16", "bfloat16", "int8", "int8_float16", "int8_float32"]
CorrectorName = Literal["references", "second_opinion", "transformers", "ollama", "openai"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Points = Annotated[float, Field(ge=0, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class PathParams(_Section):
    raw: Path
    prepared: Path
    baseline: Path
    gold: Path
    selected: Path
    finetuned: Path
    ct2: Path
    metrics: Path


class SafeguardParams(_Section):
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0, le=2)], ...], Field(min_length=1)]
    max_compression_ratio: Annotated[float, Field(gt=1)] | None
    min_log_prob: Annotated[float, Field(lt=0)] | None
    max_no_speech: Share | None

    @model_validator(mode="after")
    def _rises_from_zero(self) -> Self:
        given = self.temperatures
        if given[0] != 0 or any(later <= earlier for earlier, later in pairwise(given)):
            raise ValueError(f"temperatures must begin with 0 (greedy) and rise, not {list(given)}")
        return self


GREEDY = SafeguardParams(temperatures=(0.0,), max_compression_ratio=None, min_log_prob=None, max_no_speech=None)
"""No safeguards: two ways to run a model are compared without chance."""


class DetectionModelParams(_Section):
    question: Annotated[str, Field(min_length=1)]
    max_audio_length_s: Annotated[float, Field(ge=0.1, le=30)]
    quantized: Literal["auto", "4bit", "none"]


NO_QUESTION = DetectionModelParams(question="-", max_audio_length_s=30.0, quantized="none")
"""For models that transcribe, where none is asked."""


class ModelParams(_Section):
    name: Annotated[str, Field(min_length=1)]
    folder: Path
    """For dvc.yaml; no code reads it."""
    revision: str | None
    language: str | None
    task: Task
    long_audio: Literal["pauses", "timestamps"]
    safeguards: SafeguardParams
    device: Device
    engine: Engine
    precision: Precision
    batch_s: Annotated[float, Field(gt=0)] | None
    detection: DetectionModelParams


class ShareParams(_Section):
    train: Share
    validation: Share
    test: Share

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + validation + test must be 1, not {total:g}")
        return self


class TranscriptParams(_Section):
    style: Literal["verbatim", "normalised"]
    numbers: Literal["keep", "digits", "words"]
    case: Literal["keep", "lower"]
    punctuation: Literal["keep", "remove"]
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")] | None
    scripts: tuple[str, ...]
    min_chars_per_s: Annotated[float, Field(ge=0)]
    max_chars_per_s: Annotated[float, Field(gt=0)]
    max_repetition: Annotated[float, Field(gt=1)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.min_chars_per_s >= self.max_chars_per_s:
            raise ValueError("min_chars_per_s must be below max_chars_per_s")
        return self


class SplitParams(_Section):
    shares: ShareParams
    salt: str
    test_speakers: tuple[str, ...]
    validation_speakers: tuple[str, ...]
    validation_unit: Literal["speaker", "utterance"]
    flat_folders: Literal["snr", "halves"]
    noisy_below_snr_db: Annotated[float, Field(ge=-20, le=100)]
    min_duration_s: Annotated[float, Field(ge=0.1)]
    max_duration_s: Annotated[float, Field(gt=0, le=3600)]
    cut_long_to_s: Annotated[float, Field(ge=1, le=30)] | None
    silent_below_dbfs: Annotated[float, Field(le=0)]
    duplicates: Literal["reject", "keep"]
    voice_activity: bool
    min_speech_share: Share
    min_snr_db: Annotated[float, Field(ge=-20, le=100)] | None
    cut_centre: bool
    balance: str | None
    transcripts: TranscriptParams

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.min_duration_s >= self.max_duration_s:
            raise ValueError(f"min_duration_s ({self.min_duration_s:g}) must be below max_duration_s ({self.max_duration_s:g})")
        if self.cut_long_to_s is not None and not self.min_duration_s < self.cut_long_to_s <= self.max_duration_s:
            raise ValueError(f"cut_long_to_s ({self.cut_long_to_s:g}) must lie between min_duration_s and max_duration_s")
        if self.duplicates == "keep" and self.validation_unit == "utterance":
            raise ValueError(
                "duplicates: keep needs validation_unit: speaker, else one sound would be trained on and validated with"
            )
        if self.min_speech_share > 0 and not self.voice_activity:
            raise ValueError("min_speech_share above 0 needs voice_activity: true")
        both = set(self.test_speakers) & set(self.validation_speakers)
        if both:
            raise ValueError(f"test_speakers and validation_speakers both name {sorted(both)}; a speaker has one side")
        return self


class BaselineParams(_Section):
    nbest: Annotated[int, Field(ge=1, le=20)]
    word_times: bool
    calibration: Literal["platt", "isotonic", "none"]


class SecondOpinionParams(_Section):
    ctc_model: str
    witness_model: str
    beam_width: Annotated[int, Field(ge=4, le=500)]
    lm_weight: Annotated[float, Field(ge=0, le=5)]
    word_bonus: Annotated[float, Field(ge=-5, le=5)]


class GuardParams(_Section):
    chatter: bool
    script: bool
    max_repetition: Annotated[float, Field(gt=1)] | None
    max_length_ratio: Annotated[float, Field(ge=1, le=10)] | None
    max_edit_ratio: Annotated[float, Field(ge=0, le=5)] | None
    language: bool
    numbers: bool
    negation: bool
    glossary: bool
    max_sound_distance: Share | None
    max_changed_confidence: Share | None
    min_unchanged_confidence: Share | None
    min_unchanged_probability: Share | None
    max_acoustic_loss: Annotated[float, Field(ge=0)] | None
    max_reference_distance: Share

    @field_validator("*", mode="before")
    @classmethod
    def _false_is_off(cls, value: Any, info: ValidationInfo) -> Any:
        """A bound may be switched off by false as by null; true is no number."""
        if isinstance(value, bool) and str(info.field_name).startswith(("max_", "min_")):
            if value:
                raise ValueError("must be a number, or null: off")
            return None
        return value


class GateParams(_Section):
    witness_model: str | None
    min_probability: Share


class InProcessParams(_Section):
    model: Annotated[str, Field(min_length=1)]
    revision: str | None
    quantized: Literal["auto", "4bit", "none"]
    kv_cache: Literal["auto", "dynamic", "static"]
    fast: bool
    batch_size: Positive


class OllamaParams(_Section):
    model: Annotated[str, Field(min_length=1)]
    concurrency: Positive
    timeout_s: Annotated[float, Field(gt=0)]
    attempts: Positive


class OpenAIParams(_Section):
    base_url: Annotated[str, Field(pattern="^https?://")]
    model: Annotated[str, Field(min_length=1)]
    concurrency: Positive
    timeout_s: Annotated[float, Field(gt=0)]
    attempts: Positive
    max_tokens: Positive | None


class DetectionGoldParams(_Section):
    sure_from: Share


class GoldParams(_Section):
    corrector: CorrectorName
    agree_with: CorrectorName | Literal["itself"] | None
    glossary: Path
    corrections: Path
    prompt: Path
    domain: str | None
    doubtful_below: Share
    test_agreement: bool
    gate: GateParams
    transformers: InProcessParams
    ollama: OllamaParams
    openai: OpenAIParams
    second_opinion: SecondOpinionParams
    guards: GuardParams
    detection: DetectionGoldParams

    @model_validator(mode="after")
    def _asks_two(self) -> Self:
        told = self.agree_with
        if told in (self.corrector, "references"):
            raise ValueError(f"agree_with must name another corrector, or itself (asked twice), not {told}")
        if told is not None and self.corrector == "references":
            raise ValueError("agree_with needs a corrector that proposes texts, and corrector is references")
        if told == "itself" and self.corrector not in ("ollama", "openai"):
            raise ValueError(f"agree_with: itself needs a corrector with chance in it (ollama, openai), not {self.corrector}")
        return self


class DetectionSelectionParams(_Section):
    min_margin: Share


class SelectionParams(_Section):
    min_error_rate: Annotated[float, Field(ge=0)]
    max_error_rate: Annotated[float, Field(gt=0)]
    order: Literal["hardest", "balanced"]
    balance_by: Literal["condition", "speaker", "word"]
    max_errors: Positive | None
    few_shot_hours: Annotated[float, Field(gt=0)] | None
    replay_share: Annotated[float, Field(ge=0, le=5)]
    validation: Literal["all", "likewise"]
    seed: int
    detection: DetectionSelectionParams

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.min_error_rate >= self.max_error_rate:
            raise ValueError(f"min_error_rate ({self.min_error_rate:g}) must be below max_error_rate ({self.max_error_rate:g})")
        return self


class LoraParams(_Section):
    rank: Annotated[int, Field(ge=1, le=512)]
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, le=0.9)]
    variant: Literal["lora", "dora", "rslora"]
    targets: str | None

    @model_validator(mode="after")
    def _is_a_pattern(self) -> Self:
        try:
            re.compile(self.targets or "")
        except re.error as error:
            raise ValueError(f"targets is no regular expression: {error}") from error
        return self


class LearningRateParams(_Section):
    lora: Annotated[float, Field(gt=0, le=1)]
    full: Annotated[float, Field(gt=0, le=1)]


class AugmentationParams(_Section):
    speed: Annotated[float, Field(ge=0, le=0.5)]
    gain_db: Annotated[float, Field(ge=0, le=40)]
    equalizer_db: Annotated[float, Field(ge=0, le=40)]
    noise_snr_db: tuple[float, float] | None
    noise_folder: Path | None
    room: Share
    room_folder: Path | None
    spec_augment: Annotated[float, Field(ge=0, le=0.5)]

    @model_validator(mode="after")
    def _low_then_high(self) -> Self:
        if self.noise_snr_db is not None and self.noise_snr_db[0] > self.noise_snr_db[1]:
            raise ValueError(f"noise_snr_db must be [lowest, highest], not {list(self.noise_snr_db)}")
        return self

    @model_validator(mode="after")
    def _uses_its_folders(self) -> Self:
        if self.noise_folder is not None and self.noise_snr_db is None:
            raise ValueError("noise_folder needs noise_snr_db, how loud its noises are, e.g. [5, 40]")
        if self.room_folder is not None and not self.room:
            raise ValueError("room_folder needs room above 0, the share of clips that are heard in its rooms")
        return self


class WhisperTrainParams(_Section):
    timestamps_share: Share
    packing: bool


class ForgettingParams(_Section):
    set: Path
    max_increase_points: Annotated[float, Field(ge=0, le=100)] | None


class TrainParams(_Section):
    method: Literal["lora", "qlora", "full"]
    part: Literal["both", "encoder", "decoder"]
    lora: LoraParams
    learning_rate: LearningRateParams
    epochs: Positive
    batch_size: Positive
    accumulation: Positive
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=64)]
    gradient_checkpointing: bool
    cache_gb: Annotated[float, Field(ge=0)]
    warmup_share: Annotated[float, Field(ge=0, le=0.9)]
    weight_decay: Share
    evaluations_per_epoch: Annotated[float, Field(gt=0, le=100)]
    validation_utterances: Positive
    vocabulary: Literal["extend", "map", "drop"]
    whisper: WhisperTrainParams
    patience: Annotated[int, Field(ge=1, le=1000)]
    keep_learnt: Literal["auto"] | Annotated[float, Field(gt=0, le=1)]
    forgetting: ForgettingParams
    augmentation: AugmentationParams
    precision: Precision
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @model_validator(mode="after")
    def _scales_what_can_be_scaled(self) -> Self:
        if self.keep_learnt != 1 and self.method != "full" and self.lora.variant == "dora":
            raise ValueError("keep_learnt must be 1.0 with lora.variant dora, whose weights cannot be scaled")
        return self


class SliceParams(_Section):
    snr_db: tuple[float, ...]
    duration_s: tuple[float, ...]
    columns: tuple[str, ...]

    @model_validator(mode="after")
    def _rises(self) -> Self:
        for name in ("snr_db", "duration_s"):
            edges: tuple[float, ...] = getattr(self, name)
            if any(later <= earlier for earlier, later in pairwise(edges)):
                raise ValueError(f"{name} must rise, not {list(edges)}")
        return self


class ValidationParams(_Section):
    min_wer_improvement: Annotated[float, Field(ge=-1, le=1)]
    require_significance: bool
    max_slice_increase_points: Annotated[float, Field(ge=0)] | None
    max_forgetting_points: Annotated[float, Field(ge=0)] | None
    forgetting_utterances: Annotated[int, Field(ge=0)]


class SuiteParams(_Section):
    folder: Path
    critical_degradation_threshold: Annotated[float, Field(ge=0)]
    fail_on_critical: bool


class AdviceParams(_Section):
    worth_above_wer: Share
    skip_below_wer: Share
    enough_hours: Annotated[float, Field(ge=0)]
    deploy_from_reduction: Share
    collect_below_reduction: Share

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.skip_below_wer > self.worth_above_wer:
            raise ValueError("skip_below_wer must not be above worth_above_wer")
        if self.collect_below_reduction > self.deploy_from_reduction:
            raise ValueError("collect_below_reduction must not be above deploy_from_reduction")
        return self


class DetectionEvaluateParams(_Section):
    quick_clips: Annotated[int, Field(ge=0, le=10_000)]
    full_above: Share


class EvaluateParams(_Section):
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    resample: Literal["auto", "speakers", "utterances"]
    smallest_difference_points: Annotated[float, Field(gt=0, le=100)]
    seed: Annotated[int, Field(ge=0)]
    normalizers: tuple[Literal["raw", "whisper_basic", "whisper_english"], ...]
    hallucination_clips: Annotated[int, Field(ge=0, le=1000)]
    slices: SliceParams
    validation: ValidationParams
    suites: SuiteParams
    advice: AdviceParams
    detection: DetectionEvaluateParams


class ParityParams(_Section):
    float32: Points
    float16: Points
    bfloat16: Points
    int8: Points
    int8_float16: Points
    int8_float32: Points

    def of(self, quantization: Quantization) -> float:
        """The limit for one of them, in percentage points."""
        return float(getattr(self, quantization))


class ConvertParams(_Section):
    quantizations: Annotated[tuple[Quantization, ...], Field(min_length=1)]
    onnx: bool
    max_wer_increase_points: ParityParams
    fallback: Quantization | None
    parity_utterances: Annotated[int, Field(ge=1)]

    @field_validator("quantizations")
    @classmethod
    def _each_once(cls, given: tuple[Quantization, ...]) -> tuple[Quantization, ...]:
        if len(set(given)) < len(given):
            raise ValueError(f"each quantization may stand there once, not {list(given)}")
        return given


class RegistryParams(_Section):
    stages: Annotated[tuple[str, ...], Field(min_length=1)]
    approval: bool
    keep: Positive

    @field_validator("stages")
    @classmethod
    def _are_names_of_gto(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in given if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)]
        if wrong:
            raise ValueError(f"stages must be of lower-case letters, digits and '-', not {wrong}")
        return given


class Params(_Section):
    """All of `params.yaml`."""

    task: TaskName
    paths: PathParams
    model: ModelParams
    split_clean_noisy: SplitParams
    stt_baseline: BaselineParams
    llm_gold: GoldParams
    select_errors: SelectionParams
    train: TrainParams
    evaluate: EvaluateParams
    convert_ct2: ConvertParams
    registry: RegistryParams

    @model_validator(mode="after")
    def _starts_from_what_stays(self) -> Self:
        """Adapters that stand where their base stood would be adapters of themselves."""
        base = Path(self.model.name).absolute()
        if self.paths.finetuned.absolute() in (base, *base.parents):
            raise ValueError(
                f"model.name is {self.model.name}, where training writes its result; keep the earlier one elsewhere: "
                f"cp -r {self.paths.finetuned} models/first-stage, and set model.name to models/first-stage"
            )
        return self


def load_params(path: Path) -> Params:
    """The checked contents of `path`. Raises ParamsError naming every fault at once: key, value seen, what is allowed."""
    return check_params(read_yaml(path), str(path))


def read_yaml(path: Path) -> Any:
    """The contents of `path` as they are. Raises ParamsError where there is no such file, or no YAML in it."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path} does not exist; run from the project's root") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from error


def check_params(content: Any, where: str) -> Params:
    """The same of parsed YAML; `where` is named in errors."""
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        faults = [_describe(dict(fault)) for fault in error.errors()]
        raise ParamsError(f"{where} has {len(faults)} fault(s): " + "; ".join(faults)) from error


def _describe(fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "the file"
    if fault["type"] == "extra_forbidden":
        return f"{where}: unknown key; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{where}: missing; take it from the params.yaml that ships with Attune"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error" and not fault["loc"]:
        return message  # of sections together, which name what was seen
    return f"{where}: {message} (seen: {fault['input']!r})"
