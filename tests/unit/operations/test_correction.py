"""Which ears the second opinion gets, and when it gets none."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from attune.corrections import Correction
from attune.correctors.protocol import Item, Proposal
from attune.correctors.references import References
from attune.dataset import Samples, write_corpus
from attune.dataset import encode_flac as encoded
from attune.errors import DataError, GoldError
from attune.operations import correction
from attune.params import Params, load_params
from attune.recognizers.ctc import Alphabet, CtcRecognizer
from attune.recognizers.protocol import Transcript
from attune.records import Alternative, Hypothesis, Utterance
from attune.workcache import WorkCache

Configure = Callable[..., Params]
_ALPHABET = Alphabet(("", "a", "b", " "), 0)


class OtherEars:
    """Hears `ba` in everything."""

    family = "whisper"
    window_s, workers = None, 2

    def __init__(self, name: str) -> None:
        self.name = self.digest = name

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:
        return [Transcript("ba", 0.5, (), (Alternative("ba", 0.0),)) for _ in clips]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Params with three checkpoints in folders: `ctc` reads `ab` in everything, `base` and `other` hear `ba`."""
    for name in ("ctc", "base", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(name)

    def open_fake(name: str, _params: object) -> CtcRecognizer | OtherEars:
        return _ctc(name) if Path(name).name == "ctc" else OtherEars(name)

    for door in ("open_recognizer", "open_on_engine"):
        monkeypatch.setattr(correction, door, open_fake)

    empty = tmp_path / "empty.txt"
    empty.touch()

    def configured(base: str = "base", ctc: str = "ctc", witness: str = "other", glossary: Path = empty) -> Params:
        params = load_params(Path("params.yaml"))
        folder = {name: str(tmp_path / name) for name in (base, ctc, witness)}
        opinion = params.llm_gold.second_opinion.model_copy(
            update={"ctc_model": folder[ctc], "witness_model": folder[witness], "lm_weight": 0.0}
        )
        gold = params.llm_gold.model_copy(update={"corrector": "second_opinion", "second_opinion": opinion, "glossary": glossary})
        model = params.model.model_copy(update={"name": folder[base], "revision": None})
        return params.model_copy(update={"llm_gold": gold, "model": model})

    return configured


def test_another_base_model_is_its_own_witness(configure: Configure, tmp_path: Path) -> None:
    assert _proposed(configure(), tmp_path, "ab") == "ab"
    assert _proposed(configure(), tmp_path, "bb") is None


def test_when_the_base_is_the_reading_checkpoint_the_witness_model_is_asked(configure: Configure, tmp_path: Path) -> None:
    assert _proposed(configure(base="ctc"), tmp_path, "ab") is None


def test_a_copy_of_the_reading_checkpoint_counts_as_the_same_ears(configure: Configure, tmp_path: Path) -> None:
    params = configure(base="base")
    (tmp_path / "base" / "config.json").write_text("ctc")
    assert _proposed(params, tmp_path, "ab") is None


def test_a_witness_with_the_same_ears_is_refused(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(GoldError, match="witness_model"):
        _proposed(configure(base="ctc", witness="ctc"), tmp_path, "ab")


def test_a_reader_that_is_no_ctc_model_is_refused(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(GoldError, match="whisper model"):
        _proposed(configure(ctc="other", base="base"), tmp_path, "ab")


def test_no_model_is_opened_where_people_transcribed_everything(configure: Configure, tmp_path: Path) -> None:
    known = _utterance("0" * 16, "ab")
    workshop = correction.Workshop(configure(), [known], tmp_path / "nowhere", WorkCache(tmp_path / "cache"))
    assert workshop.corrector({}).name == "references"


def test_no_model_is_opened_where_a_person_judged_the_rest(configure: Configure, tmp_path: Path) -> None:
    workshop = correction.Workshop(configure(), [_utterance("1" * 16, None)], tmp_path, WorkCache(tmp_path / "cache"))
    judged = {"1" * 16: Correction("1" * 16, "discarded", None, "x:1")}
    assert workshop.corrector(judged).name == "references"


def test_a_glossary_gives_words(configure: Configure, tmp_path: Path) -> None:
    glossary = tmp_path / "glossary.txt"
    glossary.write_bytes(b"\xef\xbb\xbfab\r\n# not a word\r\nba\n")
    assert correction.read_glossary(glossary) == ["ab", "ba"]
    assert _proposed(configure(glossary=glossary), tmp_path, "ab", reference=None) == "ab"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa"])
def test_a_glossary_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    glossary = tmp_path / "glossary.txt"
    if content is not None:
        glossary.write_bytes(content)
    with pytest.raises(DataError, match=r"glossary\.txt"):
        correction.read_glossary(glossary)


def test_the_gate_settles_what_is_sure_and_heard_alike_by_another(configure: Configure, tmp_path: Path) -> None:
    params = configure()
    gate = params.llm_gold.gate.model_copy(update={"witness_model": str(tmp_path / "other"), "min_probability": 0.8})
    params = params.model_copy(update={"llm_gold": params.llm_gold.model_copy(update={"gate": gate})})
    names = [f"{n}" * 16 for n in range(4)]
    utterances = [_utterance(name, None) for name in names]
    (tmp_path / "prepared").mkdir()
    sounds = {u.id: encoded(np.zeros(1600, np.float32)) for u in utterances}
    write_corpus(tmp_path / "prepared", utterances, sounds, [])
    heard = [("ba", 0.9, None), ("ba", 0.7, None), ("ab", 0.9, None), ("Ba.", 0.1, 0.85)]
    items = [
        Item(u, Hypothesis(u.id, text, confidence, probability=probability))
        for u, (text, confidence, probability) in zip(utterances, heard, strict=True)
    ]
    settle = correction.Workshop(params, utterances, tmp_path / "prepared", WorkCache(tmp_path / "cache")).gate()
    assert settle is not None
    assert settle(items) == {names[0], names[3]}


def test_a_gate_whose_witness_is_the_base_model_is_refused(configure: Configure, tmp_path: Path) -> None:
    params = configure()
    gate = params.llm_gold.gate.model_copy(update={"witness_model": str(tmp_path / "base")})
    params = params.model_copy(update={"llm_gold": params.llm_gold.model_copy(update={"gate": gate})})
    with pytest.raises(GoldError, match="always agrees"):
        correction.Workshop(params, [], tmp_path, WorkCache(tmp_path / "cache")).gate()
    assert correction.Workshop(configure(), [], tmp_path, WorkCache(tmp_path / "cache")).gate() is None


def test_the_base_model_judges_what_is_proposed_and_remembers(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    class Ears:
        digest = "ears"

        def log_probs(self, clips: Sequence[Samples], texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
            asked.extend(map(tuple, texts))
            return [[-1.0, -9.0] for _ in clips]

    monkeypatch.setattr(correction, "load_checkpoint", lambda *_: None)
    monkeypatch.setattr(correction, "open_acoustics", lambda *_: Ears())
    utterances = [_utterance("1" * 16, None)]
    (tmp_path / "prepared").mkdir()
    write_corpus(tmp_path / "prepared", utterances, {"1" * 16: encoded(np.zeros(1600, np.float32))}, [])
    item = Item(utterances[0], Hypothesis("1" * 16, "no feeder", 0.9))
    for _ in range(2):
        workshop = correction.Workshop(configure(), utterances, tmp_path / "prepared", WorkCache(tmp_path / "cache"))
        proposals = {item.utterance.id: Proposal(item.utterance.id, "no fever", "told")}
        gold = workshop.judge().judge([item], proposals, References())[item.utterance.id]
        assert gold.why == "acoustic_loss: 8.0 nats for a change, bound 6.5"
    assert asked == [("no feeder", "no fever")]


def test_a_converted_base_model_cannot_listen_again(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "base" / "model.bin").touch()
    with pytest.raises(GoldError, match="max_acoustic_loss to null"):
        correction.Workshop(configure(), [], tmp_path, WorkCache(tmp_path / "cache")).judge()


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xfa", b"  \n"])
def test_a_prompt_that_cannot_be_read_or_is_empty_is_named(configure: Configure, tmp_path: Path, content: bytes | None) -> None:
    prompt = tmp_path / "prompt.txt"
    if content is not None:
        prompt.write_bytes(content)
    gold = configure().llm_gold.model_copy(update={"prompt": prompt})
    with pytest.raises(DataError, match=r"llm_gold\.prompt .*prompt\.txt"):
        correction.read_prompt(gold, None, ())


def _proposed(params: Params, folder: Path, heard: str, reference: str | None = "ab") -> str | None:
    """What is proposed for a recording in which the baseline heard `heard`, beside one with a human `reference`."""
    wanted, known = _utterance("1" * 16, None), _utterance("0" * 16, reference)
    flac = {u.id: encoded(np.zeros(1600, np.float32)) for u in (wanted, known)}
    (folder / "prepared").mkdir(exist_ok=True)
    write_corpus(folder / "prepared", [wanted, known], flac, [])
    workshop = correction.Workshop(params, [wanted, known], folder / "prepared", WorkCache(folder / "cache"))
    (proposal,) = workshop.corrector({}).propose(
        [Item(wanted, Hypothesis(wanted.id, heard, 0.5, (), (Alternative(heard, 0.0),)))]
    )
    return proposal.text


def _utterance(name: str, reference: str | None) -> Utterance:
    return Utterance(name, name * 4, f"{name}.wav", "amara", "clean", "train", 0.1, 30.0, reference)


def _ctc(name: str) -> CtcRecognizer:
    probs = np.full((3, 4), 0.01, np.float32)
    probs[[0, 1, 2], [1, 2, 0]] = 0.97

    def listen(clips: Sequence[Samples]) -> list[np.ndarray]:
        return [np.log(probs) for _ in clips]

    return CtcRecognizer(name, "digest", listen, _ALPHABET, 0.02, batch_s=20.0, equal_lengths=False)
