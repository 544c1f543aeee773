"""CTC models (Wav2Vec2, HuBERT, WavLM, Wav2Vec2-BERT): frames to letters, words with times, n-best by prefix search.

Frames of a model run by transformers come from here; another engine hands in its own `Listener`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attune.checkpoint_parts import Family, ctc_frame_s
from attune.checkpoints import Checkpoint
from attune.ctc_decoding import CtcEmissions, prefix_beam_search
from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.devices import workers_and_threads
from attune.errors import ModelError
from attune.params import ModelParams
from attune.recognizers.batching import in_batches
from attune.recognizers.protocol import Transcript
from attune.recognizers.windows import cut
from attune.records import Alternative, Word
from attune.workcache import digest_of

LogProbs = NDArray[np.float32]
Listener = Callable[[Sequence[Samples]], list[LogProbs]]
"""Clips of one batch → natural logarithms of shape (frames, vocabulary) for each."""

MODEL_TYPES = frozenset({"wav2vec2", "wav2vec2-bert", "hubert", "wavlm"})
BATCH_S = {"cpu": 20.0, "cuda": 960.0}  # on a CPU they are slower with much of it
_WINDOW_S = 30
"""These models take any length, but attention over all of it takes memory with its square."""
_SHORTEST_S = 0.1
"""Shorter clips are filled up with silence: the front ends need some frames."""
_BEAMS_PER_ALTERNATIVE = 4


@dataclass(frozen=True)
class Alphabet:
    """What each vocabulary id writes, and the id that writes nothing."""

    labels: tuple[str, ...]
    blank: int


@dataclass(frozen=True)
class _Token:
    """One letter after merging repeats: what it writes, how sure the model is, and the frames [begin, end) it stands in."""

    label: str
    log_prob: float
    begin: int
    end: int


class CtcRecognizer:
    """A CTC model on some engine."""

    family: Family = "ctc"
    window_s: float | None

    def __init__(
        self,
        name: str,
        digest: str,
        listen: Listener,
        alphabet: Alphabet,
        frame_s: float,
        batch_s: float,
        equal_lengths: bool,
        workers: int = 1,
    ) -> None:
        """`equal_lengths` is for models that hear the padding: clips are batched with others of exactly their length."""
        self.name = name
        self.digest = digest_of("ctc greedy 1", digest)
        self._listen, self._alphabet, self._frame_s = listen, alphabet, frame_s
        self._batch_s, self._equal_lengths = batch_s, equal_lengths
        self.window_s, self.workers = None, workers

    def transcribe(self, clips: Sequence[Samples], nbest: int = 1, *, word_times: bool = False) -> list[Transcript]:  # noqa: ARG002
        """See `Recognizer.transcribe`. N-best scores are log-probabilities over all alignments found; words have times always."""
        return [_transcript(emissions, nbest) for emissions in self.emissions(clips)]

    def emissions(self, clips: Sequence[Samples]) -> list[CtcEmissions]:
        """What the model heard in each clip, frame by frame; pieces of long clips are joined."""
        pieces = [[_filled(piece) for piece in cut(clip, _WINDOW_S * SAMPLE_RATE_HZ)] for clip in clips]
        flat = [piece for some in pieces for piece in some]
        heard: dict[int, LogProbs] = {}
        for batch in self._batches([len(piece) for piece in flat]):
            heard.update(zip(batch, self._listen([flat[index] for index in batch]), strict=True))
        found = iter(range(len(flat)))
        joined = [np.concatenate([heard[next(found)] for _ in some]) for some in pieces]
        return [CtcEmissions(frames, self._alphabet.labels, self._alphabet.blank, self._frame_s) for frames in joined]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        ordered = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
        groups = [list(g) for _, g in groupby(ordered, key=lambda index: lengths[index])] if self._equal_lengths else [ordered]
        for group in groups:
            for batch in in_batches([lengths[index] / SAMPLE_RATE_HZ for index in group], self._batch_s):
                yield [group[place] for place in batch]


def open_checkpoint(checkpoint: Checkpoint, device: str, dtype: Any, params: ModelParams, batch_s: float) -> CtcRecognizer:
    """A CTC checkpoint run by transformers. Raises ModelError where a translation is asked for."""
    if params.task == "translate":
        raise ModelError(f"{checkpoint.name} writes down what it hears, and model.task is 'translate'; set it to transcribe")
    return CtcRecognizer(
        name=checkpoint.name,
        digest=digest_of(checkpoint.digest, dtype),
        listen=_transformers_listener(checkpoint, device, dtype),
        alphabet=alphabet_of(checkpoint.processor.tokenizer, checkpoint.config.vocab_size),
        frame_s=ctc_frame_s(checkpoint.config, checkpoint.processor.feature_extractor),
        batch_s=batch_s,
        equal_lengths=hears_padding(checkpoint.config),
        workers=workers_and_threads(device)[0],
    )


def hears_padding(config: Any) -> bool:
    """Whether padding changes the output: group normalisation runs over all frames, and such models take no attention mask."""
    return bool(getattr(config, "feat_extract_norm", "layer") == "group")


def alphabet_of(tokenizer: Any, vocab_size: int) -> Alphabet:
    """The tokenizer's letters, with the word delimiter as a space and special tokens as nothing."""
    special = set(tokenizer.all_special_tokens) - {tokenizer.word_delimiter_token}
    labels = []
    for token in tokenizer.convert_ids_to_tokens(range(vocab_size)):
        label = "" if token is None or token in special else token.replace(tokenizer.word_delimiter_token, " ")
        labels.append(label.lower() if tokenizer.do_lower_case else label)
    return Alphabet(tuple(labels), int(tokenizer.pad_token_id))


def ctc_input(extractor: Any, clip: Samples) -> NDArray[np.float32]:
    """One clip as the model takes it, unpadded: samples of shape (time,), or mel frames of shape (frames, mels).

    Clip by clip, as the Seamless extractor's last stacked frame differs when it pads a batch.
    """
    inputs = extractor(clip, sampling_rate=SAMPLE_RATE_HZ, return_attention_mask=True, return_tensors="np")
    values = np.asarray(inputs[extractor.model_input_names[0]][0], dtype=np.float32)
    return values[inputs["attention_mask"][0].astype(bool)] if values.ndim == 2 else values


def _transformers_listener(checkpoint: Checkpoint, device: str, dtype: Any) -> Listener:
    import torch

    model, extractor = checkpoint.model.to(device=device, dtype=dtype), checkpoint.processor.feature_extractor
    masked = not hears_padding(checkpoint.config)

    def listen(clips: Sequence[Samples]) -> list[LogProbs]:
        inputs = [torch.from_numpy(ctc_input(extractor, clip)) for clip in clips]
        lengths = torch.tensor([len(one) for one in inputs])
        padded = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True).to(device, dtype)
        mask = (torch.arange(padded.shape[1])[None, :] < lengths[:, None]).long().to(device)
        with torch.inference_mode(), warnings.catch_warnings():
            # of WavLM's attention in transformers 5.23; torch still computes it rightly
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
            log_probs = model(padded, attention_mask=mask if masked else None).logits.float().log_softmax(-1).cpu().numpy()
        frames = model._get_feat_extract_output_lengths(lengths).tolist()
        return [np.asarray(row[:count], dtype=np.float32) for row, count in zip(log_probs, frames, strict=True)]

    return listen


def _filled(clip: Samples) -> Samples:
    return np.pad(clip, (0, max(0, int(_SHORTEST_S * SAMPLE_RATE_HZ) - len(clip))))


def _transcript(heard: CtcEmissions, nbest: int) -> Transcript:
    path = heard.log_probs.argmax(-1)
    best = heard.log_probs.max(-1)
    tokens = list(_merged(path, best, heard))
    text = " ".join("".join(token.label for token in tokens).split())
    sure = [token.log_prob for token in tokens if token.label.strip()] or best.tolist()
    alternatives = [Alternative(text, float(best.sum()))]
    if nbest > 1:
        alternatives = _holding(alternatives[0], prefix_beam_search(*_search(heard), _BEAMS_PER_ALTERNATIVE * nbest, nbest))
    return Transcript(text, float(np.exp(np.mean(sure))), tuple(_words(tokens, heard.frame_s)), tuple(alternatives))


def _search(heard: CtcEmissions) -> tuple[LogProbs, tuple[str, ...], int]:
    return heard.log_probs, heard.labels, heard.blank


def _holding(greedy: Alternative, found: list[Alternative]) -> list[Alternative]:
    """The list with the greedy text in it, in the place of the last if need be: its one alignment counts for less than all."""
    if any(alternative.text == greedy.text for alternative in found):
        return found
    return sorted([*found[: max(0, len(found) - 1)], greedy], key=lambda alternative: -alternative.score)


def _merged(path: NDArray[np.int64], best: LogProbs, heard: CtcEmissions) -> Iterator[_Token]:
    """Repeats as one, blanks and special tokens left out; a token is as sure as its surest frame."""
    for token, run in groupby(range(len(path)), key=lambda frame: int(path[frame])):
        frames = list(run)
        if heard.labels[token] and token != heard.blank:
            yield _Token(heard.labels[token], float(best[frames].max()), frames[0], frames[-1] + 1)


def _words(tokens: Sequence[_Token], frame_s: float) -> Iterator[Word]:
    for spoken, group in groupby(tokens, key=lambda token: bool(token.label.strip())):
        letters = list(group)
        if spoken:
            confidence = float(np.exp(np.mean([token.log_prob for token in letters])))
            start_s, end_s = letters[0].begin * frame_s, letters[-1].end * frame_s
            yield Word("".join(token.label for token in letters), confidence, round(start_s, 3), round(end_s, 3))
