"""What recognising costs: clips of 1 to 15 s, against transformers' pipeline and faster-whisper on the same weights and clips.

    python benchmarks/transcribe.py [--shape whisper-tiny|whisper-base|wav2vec2-base] [--clips 200] [--tokens 40]

Weights are of the published shape and random but for the output layer (see `melodies`); Whisper-class models write as many
tokens for every clip. Each peer runs in a process of its own, with the same threads, greedily; loading and a first clip are not
counted. Prints seconds of sound per second, how many texts are those of the pipeline, and peak memory; for Attune also what
choosing a way took, a second run from the cache, the engine alone on the same batches, and four times as many clips. Uses a GPU
when there is one. Run it on an idle machine; nothing here is asserted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from melodies import KEYS, RATE_HZ, make_clips, teach_keys, teach_notes

from attune.devices import peak_memory_mb

PEERS = {
    "whisper": ("pipeline 1", "pipeline 4", "pipeline 16", "faster-whisper 1", "faster-whisper 8", "faster-whisper 16"),
    "wav2vec2": ("pipeline 1", "pipeline 4", "pipeline 8"),
}
_FIRST_WORD = 1000
"""Of the tokens that a taught Whisper-class model says."""
_PART, _TURNS = 4, 5
"""Every so many-th clip is heard so often by Attune and by its engine alone, in turns."""
_WIDTHS = {"whisper-tiny": (384, 4, 6), "whisper-base": (512, 6, 8)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=[*_WIDTHS, "wav2vec2-base"], default="whisper-tiny")
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--child", nargs=2, metavar=("PEER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        peer, folder = arguments.child
        print(json.dumps(_RUN[peer.split()[0]](Path(folder), int(peer.split()[1]), arguments.tokens)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", arguments.clips)
        make_model(folder / "model", arguments.shape, arguments.tokens, taught=True)
        report(folder, PEERS[arguments.shape.split("-")[0]], arguments.tokens)


def report(folder: Path, peers: Sequence[str], tokens: int) -> None:
    """Runs the peers, then Attune, and prints a line for each."""
    first = None
    for peer in peers:
        measured = _child(peer, folder, tokens)
        first = first or measured
        same = sum(a == b for a, b in zip(measured["texts"], first["texts"], strict=True))
        _print(peer, measured, first, f"{same} of {len(first['texts'])} texts as the first")
    assert first is not None
    ours = _child("attune 1", folder, tokens)
    same = sum(a == b for a, b in zip(ours["texts"], first["texts"], strict=True))
    _print("attune", ours, first, f"{same} of {len(first['texts'])} texts as the first")
    print(f"  {ours['way']}, found in {ours['choosing_s']:.1f} s: {ours['why']}")
    _print("attune, again", _child("attune 1", folder, tokens), ours, "all from the cache")
    _print("attune, a tenth more", _child("grown 1", folder, tokens), ours, "the others from the cache")
    alone = _child("engine 1", folder, tokens)
    turns = ", ".join(f"{ratio:.3f}" for ratio in alone["ratios"])
    _print("the engine alone", alone, ours, f"every {_PART}th clip, the same batches; attune takes {turns} of its time, in turns")
    _print("attune, 4 times the clips", _child("attune 4", folder, tokens), ours, "beside a quarter of the clips")


def make_model(folder: Path, shape: str, tokens: int, *, taught: bool) -> None:
    """A checkpoint of random weights in `folder`, the output layer `taught` or not, and the same for faster-whisper in
    `folder`-ct2."""
    import torch

    torch.manual_seed(0)
    (_make_whisper if shape in _WIDTHS else _make_wav2vec2)(folder, shape, tokens, taught)


def _make_whisper(folder: Path, shape: str, tokens: int, taught: bool) -> None:
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
    )

    from attune.checkpoints import load_checkpoint
    from attune.export.conversion import convert
    from attune.finetuning.tiny import whisper_tokenizer

    width, layers, heads = _WIDTHS[shape]
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (60_000, 7))
    tokenizer = whisper_tokenizer([" ".join(map("".join, letters.tolist()))] * 3, 50_257, ("en",), 30)
    token, end = tokenizer.convert_tokens_to_ids, tokenizer.eos_token_id
    config = WhisperConfig(
        vocab_size=len(tokenizer), d_model=width, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=heads,
        decoder_attention_heads=heads, encoder_ffn_dim=4 * width, decoder_ffn_dim=4 * width, bos_token_id=end,
        decoder_start_token_id=token("<|startoftranscript|>"), eos_token_id=end, pad_token_id=end, suppress_tokens=None,
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    never = sorted({end, *range(token("<|startoftranscript|>"), len(tokenizer))})
    model.generation_config = GenerationConfig(
        decoder_start_token_id=token("<|startoftranscript|>"), bos_token_id=end, eos_token_id=end, pad_token_id=end,
        no_timestamps_token_id=token("<|notimestamps|>"), is_multilingual=False, max_length=2 * tokens, suppress_tokens=never,
        begin_suppress_tokens=[], alignment_heads=[[layers - 1, 0]], _from_model_config=False,
    )  # fmt: skip
    processor = WhisperProcessor(WhisperFeatureExtractor(), tokenizer)
    if taught:
        words = np.arange(_FIRST_WORD, _FIRST_WORD + 4 * KEYS).reshape(KEYS, 4).tolist()
        teach_keys(model.eval(), processor.feature_extractor, token(["<|startoftranscript|>", "<|notimestamps|>"]), words, tokens)
    for part in (model, processor, processor.feature_extractor):
        part.save_pretrained(folder)
    convert(load_checkpoint(str(folder), None), "random", "float32", Path(f"{folder}-ct2"))


def _make_wav2vec2(folder: Path, shape: str, tokens: int, taught: bool) -> None:  # noqa: ARG001
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir()
    vocabulary = {letter: n for n, letter in enumerate(["<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    config = Wav2Vec2Config(vocab_size=len(vocabulary), pad_token_id=0, bos_token_id=None, eos_token_id=None)
    processor = Wav2Vec2Processor(Wav2Vec2FeatureExtractor(return_attention_mask=False), tokenizer)
    model = Wav2Vec2ForCTC(config)
    model.lm_head.bias.data[1] = -1e4  # nobody is trained to say <unk>, which the pipeline would write out
    if taught:
        teach_notes(model.eval(), processor.feature_extractor, range(3, 3 + 2 * KEYS))
    for part in (model, processor, processor.feature_extractor):
        part.save_pretrained(folder)


def _child(peer: str, folder: Path, tokens: int) -> dict[str, Any]:
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(os.cpu_count()), "ATTUNE_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false", **({"OMP_WAIT_POLICY": "PASSIVE"} if peer.startswith(("attune", "engine")) else {}),
    }  # fmt: skip
    command = [sys.executable, __file__, "--tokens", str(tokens), "--child", peer, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{peer} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _print(name: str, measured: dict[str, Any], other: dict[str, Any], what: str) -> None:
    ratio = (measured["sound_s"] / measured["wall_s"]) / (other["sound_s"] / other["wall_s"])
    speed = measured["sound_s"] / measured["wall_s"]
    print(f"{name:26} {measured['wall_s']:8.2f} s {speed:8.1f} x real time {ratio:7.2f} x; {what}; {measured['peak_mb']:.0f} MB")
    sys.stdout.flush()


def _sounds(folder: Path, copies: int = 1) -> list[np.ndarray]:
    clips = [soundfile.read(file, dtype="float32")[0] for file in sorted((folder / "clips").iterdir())]
    return [np.roll(clip, 100 * n) for n in range(copies) for clip in clips]


def _timed(hear: Callable[[], list[str]], sound_s: float) -> dict[str, Any]:
    start_s = time.perf_counter()
    texts = [" ".join(text.split()) for text in hear()]
    wall_s = time.perf_counter() - start_s
    return {"wall_s": wall_s, "sound_s": sound_s, "peak_mb": peak_memory_mb("cpu"), "texts": texts}


def _pipeline(folder: Path, batch_size: int, tokens: int) -> dict[str, Any]:
    import torch
    from transformers import pipeline

    device = "cuda" if torch.cuda.is_available() else "cpu"
    asr = pipeline("automatic-speech-recognition", str(folder / "model"), device=device, batch_size=batch_size)
    wanted = {"generate_kwargs": {"max_new_tokens": tokens, "num_beams": 1}} if asr.type == "seq2seq_whisper" else {}
    clips = _sounds(folder)
    asr([{"raw": clips[0], "sampling_rate": RATE_HZ}], **wanted)
    inputs = ({"raw": clip, "sampling_rate": RATE_HZ} for clip in clips)
    return _timed(lambda: [said["text"] for said in asr(inputs, **wanted)], sum(map(len, clips)) / RATE_HZ)


def _faster_whisper(folder: Path, batch_size: int, tokens: int) -> dict[str, Any]:
    """One clip after another, or in batches: then all of them in one recording, as it batches within recordings only."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    never = json.loads((folder / "model" / "generation_config.json").read_text())["suppress_tokens"]
    model = WhisperModel(f"{folder}/model-ct2", compute_type="float32", cpu_threads=os.cpu_count() or 1)
    wanted = {"language": "en", "beam_size": 1, "temperature": 0.0, "without_timestamps": True, "suppress_tokens": never,
              "max_new_tokens": tokens, "compression_ratio_threshold": None, "log_prob_threshold": None,
              "no_speech_threshold": None, "vad_filter": False}  # fmt: skip
    clips = _sounds(folder)
    sound_s = sum(map(len, clips)) / RATE_HZ
    list(model.transcribe(clips[0], **wanted)[0])
    if batch_size == 1:
        return _timed(lambda: ["".join(s.text for s in model.transcribe(clip, **wanted)[0]) for clip in clips], sound_s)
    ends_s = np.cumsum([len(clip) for clip in clips]) / RATE_HZ
    spans = [{"start": end_s - len(clip) / RATE_HZ, "end": end_s - 0.001} for clip, end_s in zip(clips, ends_s, strict=True)]
    batched = BatchedInferencePipeline(model)
    joined = np.concatenate(clips)
    options = {"batch_size": batch_size, "clip_timestamps": spans}
    return _timed(lambda: [s.text for s in batched.transcribe(joined, **wanted, **options)[0]], sound_s)


def _grown(folder: Path, copies: int, tokens: int) -> dict[str, Any]:
    return _attune(folder, copies, tokens, more=0.1)


def _attune(folder: Path, copies: int, tokens: int, more: float = 0.0) -> dict[str, Any]:  # noqa: ARG001
    from attune.operations.choosing import Clips
    from attune.operations.hearing import choose_way, open_as
    from attune.workcache import WorkCache

    utterances, sounds, params = _corpus(folder, copies, more)
    cache = WorkCache()
    start_s = time.perf_counter()
    choice = choose_way(params.name, params, Clips(utterances, sounds, 1, False), cache)
    choosing_s = time.perf_counter() - start_s
    recognizer = open_as(params.name, params, choice.way)
    recognizer.transcribe([sounds[utterances[0].id]])
    hear = _hear_with(recognizer, utterances, sounds, cache, choice.way.batch_s)
    measured = _timed(hear, sum(u.duration_s for u in utterances))
    return {**measured, "choosing_s": choosing_s, "way": str(choice.way), "why": choice.why}


def _hear_with(recognizer: Any, utterances: Any, sounds: Any, cache: Any, batch_s: float) -> Callable[[], list[str]]:
    from attune.recognizers.transcription import transcribe_corpus

    return lambda: [heard.text for heard in transcribe_corpus(recognizer, utterances, sounds, cache, batch_s)[0]]


def _engine(folder: Path, copies: int, tokens: int) -> dict[str, Any]:  # noqa: ARG001
    """The chosen engine fed with the same batches of decoded clips, as many at once, and nothing kept of what it says; in turns
    with Attune and an empty cache, as a machine drifts by more than the two differ.
    """
    import torch

    from attune.operations.choosing import Clips
    from attune.operations.hearing import choose_way, open_as
    from attune.recognizers.batching import in_batches
    from attune.workcache import WorkCache

    utterances, sounds, params = _corpus(folder, copies)
    choice = choose_way(params.name, params, Clips(utterances, sounds, 1, False), WorkCache())
    recognizer = open_as(params.name, params, choice.way)
    some = utterances[::_PART]
    clips = [sounds[u.id] for u in some]
    batches = in_batches([u.duration_s for u in some], choice.way.batch_s, recognizer.window_s)
    run = _bare(recognizer, torch)
    run([clips[0]])

    def hear() -> list[str]:
        with ThreadPoolExecutor(recognizer.workers) as engines:
            list(engines.map(run, [[clips[place] for place in batch] for batch in batches]))
        return []

    sound_s, alone_s, ours_s = sum(u.duration_s for u in some), [], []
    for turn in range(_TURNS):
        ours = _hear_with(recognizer, some, sounds, WorkCache(folder / f"turn-{turn}"), choice.way.batch_s)
        ours_s.append(_timed(ours, sound_s)["wall_s"])
        alone_s.append(_timed(hear, sound_s)["wall_s"])
    ratios = sorted(ours / alone for ours, alone in zip(ours_s, alone_s, strict=True))
    return {"wall_s": median(alone_s), "sound_s": sound_s, "peak_mb": peak_memory_mb("cpu"), "ratios": ratios}


def _bare(recognizer: Any, torch: Any) -> Callable[[list[np.ndarray]], Any]:
    """Features and the engine's own greedy decoding of one batch."""
    if recognizer.family == "ctc":
        parts = recognizer._batches  # models that hear padding get clips of one length only
        return lambda clips: [recognizer._listen([clips[n] for n in part]) for part in parts([clip.size for clip in clips])]
    engine, extractor = recognizer.engine, recognizer._extractor
    if type(engine).__name__ == "Ct2Engine":
        import ctranslate2

        def run_ct2(clips: list[np.ndarray]) -> Any:
            features = extractor(clips, sampling_rate=RATE_HZ, return_tensors="np").input_features
            prompts = recognizer._prompts.like([None] * len(clips))
            sound = ctranslate2.StorageView.from_array(np.ascontiguousarray(features))
            return engine._model.generate(sound, prompts, beam_size=1, max_length=2 * engine._new_tokens)

        return run_ct2

    def run(clips: list[np.ndarray]) -> Any:
        from transformers import GenerationMixin

        features = extractor(clips, sampling_rate=RATE_HZ, return_tensors="pt").input_features
        prompt = torch.tensor(recognizer._prompts.like([None] * len(clips)), device=engine._model.device)
        with torch.inference_mode():
            return GenerationMixin.generate(
                engine._model, features.to(engine._model.device, engine._model.dtype), decoder_input_ids=prompt, do_sample=False,
                num_beams=1, max_length=prompt.shape[1] + engine._new_tokens,
            )  # fmt: skip

    return run


def _corpus(folder: Path, copies: int, more: float = 0.0) -> tuple[Any, Any, Any]:
    """Prepared as the graph would: all clips so often, each time a little otherwise, and a share `more` of them once more."""
    from attune.dataset import Sounds, encode_flac, read_utterances, write_corpus
    from attune.params import GREEDY, load_params
    from attune.records import Utterance

    prepared = folder / f"prepared-{copies}-{more:g}"
    if not prepared.exists():
        prepared.mkdir()
        clips = _sounds(folder, copies + 1)
        clips = clips[: round((copies + more) * len(clips) / (copies + 1))]
        utterances = [
            Utterance(f"{n:05d}", f"clip {n}", f"{n:05d}.wav", str(n % 20), "clean", "train", clip.size / RATE_HZ, None, None)
            for n, clip in enumerate(clips)
        ]
        write_corpus(prepared, utterances, {u.id: encode_flac(c) for u, c in zip(utterances, clips, strict=True)}, [])
    params = load_params(Path(__file__).parents[1] / "params.yaml").model
    changed = {"name": str(folder / "model"), "safeguards": GREEDY, "device": "auto"}
    return read_utterances(prepared), Sounds(prepared), params.model_copy(update=changed)


_RUN = {"pipeline": _pipeline, "faster-whisper": _faster_whisper, "attune": _attune, "grown": _grown, "engine": _engine}

if __name__ == "__main__":
    main()
