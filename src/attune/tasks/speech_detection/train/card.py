"""The README.md of a tuned detector: what it is, what it learnt from, how it is used; the same bytes from the same inputs."""

from collections import Counter
from importlib.metadata import version
from pathlib import Path

from attune.checkpoints import tuned_place
from attune.files import write_text
from attune.operations.base_cards import base_facts
from attune.operations.card_parts import CARD
from attune.operations.model_card import Facts

_TASK = "audio-classification"
_USED = ('detector = open_deployed("path/to/ct2")', 'print(detector.detect_file("clip.wav"))')


def write_detection_card(folder: Path, facts: Facts) -> None:
    """Puts it beside the weights in a tuned `folder`."""
    base = base_facts(facts.model.name, facts.model.revision)
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        base_model=base.hub_name,
        license=base.licence or "unknown",
        library_name="transformers" if facts.train.method == "full" else "peft",
        pipeline_tag=_TASK,
        tags=[_TASK, "speech-detection", facts.checkpoint.config.model_type, facts.train.method, "attune"],
    )
    head = data.to_yaml(line_break="\n")
    write_text(folder / tuned_place(facts.train.method) / CARD, f"---\n{head}\n---\n\n{_body(facts, base.name)}")


def _body(facts: Facts, base: str) -> str:
    report, train = facts.report, facts.train
    roles = Counter(f"{s.role} {s.text}" for s in facts.selected)
    wrong = [("before", report.wer_before), ("after", report.wer_after)]
    told = ", ".join(f"{when} {rate:.2%}" for when, rate in wrong if rate is not None) or "not measured"
    asked = facts.model.detection
    steps = (
        f"{report.steps} steps of {report.batch_size * report.accumulation} clips; {report.trainable_share:.2%} of the weights"
    )
    usage = ("from attune.detection import open_deployed", "", *_USED)
    parts = [
        f"# {Path(facts.model.name).name} tuned by {train.method} to tell speech",
        f"{base}, fine-tuned by Attune to answer SPEECH or NONSPEECH.",
        f"Asked: {asked.question!r}; at most {asked.max_audio_length_s:g} s of sound at once.",
        "Clips: " + ", ".join(f"{role} {count}" for role, count in sorted(roles.items())) + ".",
        f"Wrong labels on the {report.validation_utterances} validation clips, which chose the checkpoint: {told}.",
        f"{steps} learnt; rank {train.lora.rank}, alpha {train.lora.alpha}.",
        "\n".join(("```python", *usage, "```")),
        f"Made with torch {_release('torch')}, transformers {_release('transformers')}, peft {_release('peft')}.",
    ]
    return "\n\n".join(parts) + "\n"


def _release(package: str) -> str:
    return version(package).partition("+")[0]
