"""What the gold stage stops, costs and saves, in four parts; each prints figures, nothing is asserted.

    python benchmarks/gold.py guards [--project DIR]   a corrector that hallucinates in ten ways: what the guards stop, and cost
    python benchmarks/gold.py guards --subtle          in fourteen: single words dropped, put in, or swapped for near ones, too
    python benchmarks/gold.py batching                 a model in this process: batches against one prompt at a time
    python benchmarks/gold.py faults                   a server with 20% faults: what is lost, doubled, asked again
    python benchmarks/gold.py overhead                 32 requests at the same time against the bare client

`guards` makes a demo corpus and its baseline in a clone of the committed project (2 minutes), or takes those of a project
in DIR. `batching` uses a GPU when there is one, with a 7B shape in 4 bits besides. Run it on an idle machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from adversary import HALLUCINATIONS, PLAIN, Adversary
from chat_server import FAULTS, ChatServer, serving, unchanged

from attune import guards
from attune.correctors.blind_check import check_blind
from attune.correctors.chat import Chat, Message
from attune.correctors.gold import reason
from attune.correctors.judging import claim_of
from attune.correctors.language_model import LanguageModelCorrector
from attune.correctors.memory import RememberedCorrector
from attune.correctors.openai_chat import OpenAIChat
from attune.correctors.prompting import Prompt
from attune.correctors.protocol import Item
from attune.dataset import read_utterances
from attune.files import read_jsonl
from attune.operations.correction import Workshop, percentile
from attune.params import GuardParams, InProcessParams, OpenAIParams, SelectionParams, load_params
from attune.records import Alternative, Gold, Hypothesis, Utterance
from attune.selection import select
from attune.workcache import WorkCache

PROMPT = Prompt((ROOT / "data" / "prompts" / "correct.txt").read_text(encoding="utf-8"), "en", "a clinic", ("metformin",), 0.5)
_HALLUCINATED_SHARE, _FAULTY_SHARE = 0.3, 0.2
_SEEDS = 5
_CONCURRENT, _LATENCY_S, _REQUESTS = 32, 0.5, 960


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["guards", "batching", "faults", "overhead"])
    parser.add_argument("--project", type=Path, help="for guards: a project that ran up to stt_baseline")
    parser.add_argument("--subtle", action="store_true", help="for guards: all fourteen kinds of hallucinations")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        with serving(ChatServer(unchanged, latency_s=_LATENCY_S), arguments.serve):
            sys.stdin.read()
        return
    if arguments.part == "guards":
        with tempfile.TemporaryDirectory() as folder:
            kinds = tuple(HALLUCINATIONS) if arguments.subtle else PLAIN
            measure_guards(arguments.project or _demo_project(Path(folder)), Path(folder) / "cache", kinds)
        return
    {"batching": measure_batching, "faults": measure_faults, "overhead": measure_overhead}[arguments.part]()


def measure_guards(project: Path, cache: Path, kinds: Sequence[str]) -> None:
    """An adversary on every utterance with a reference, with several seeds: what becomes of each kind of answer."""
    trained = 0
    os.chdir(project)
    params = load_params(ROOT / "params.yaml")
    heard = {h.id: h for h in read_jsonl(params.paths.baseline / "hypotheses.jsonl", Hypothesis)}
    items = [Item(u, heard[u.id]) for u in read_utterances(params.paths.prepared) if u.reference]
    workshop = Workshop(params, [item.utterance for item in items], params.paths.prepared, WorkCache(cache))
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    alone: dict[str, Counter[bool]] = defaultdict(Counter)
    for seed in range(_SEEDS):
        adversary = Adversary(_HALLUCINATED_SHARE, items, seed, kinds)
        proposals = {proposal.id: proposal for proposal in adversary.propose(items)}
        golds = workshop.judge().judge(items, proposals, adversary)
        for item in items:
            gold, answer = golds[item.utterance.id], adversary.answers[item.utterance.id]
            outcomes[answer.kind][reason(gold) if gold.text is None else "believed"] += 1
            if gold.text is not None and answer.kind in HALLUCINATIONS:
                print(
                    f"believed: {answer.kind}: {item.hypothesis.text!r} -> {gold.text!r}, said was {item.utterance.reference!r}"
                )
            if answer.kind != "right":
                for name in _refusals(item, answer.text, params.llm_gold.guards, workshop.glossary):
                    alone[name][answer.kind == "good"] += 1
        lies = {name for name, answer in adversary.answers.items() if answer.kind in kinds}
        trained += len(lies & _selected(items, golds, params.select_errors))
        figures = asdict(check_blind(items, golds))
        told = (f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items())
        print(f"seed {seed}: {'; '.join(told)}")
    planted = sum((outcomes[kind] for kind in kinds), Counter[str]())
    good = outcomes["good"]
    print("\n| answer | requests | believed | stopped first by |\n|---|---|---|---|")
    for kind in (*kinds, "good", "right"):
        stopped = ", ".join(f"{name} {count}" for name, count in outcomes[kind].most_common() if name != "believed")
        print(f"| {kind} | {outcomes[kind].total()} | {outcomes[kind]['believed']} | {stopped} |")
    print("\n| guard alone | hallucinations stopped | good corrections refused |\n|---|---|---|")
    for name in guards.GUARDS:
        print(f"| {name} | {alone[name][False] / planted.total():.1%} | {alone[name][True] / good.total():.1%} |")
    print(f"\nhallucinations stopped: {1 - planted['believed'] / planted.total():.2%} of {planted.total()}")
    print(f"hallucinations selected for training: {trained}")
    print(f"good corrections lost: {1 - good['believed'] / good.total():.2%} of {good.total()}")


def _selected(items: Sequence[Item], golds: Mapping[str, Gold], params: SelectionParams) -> set[str]:
    """The ids that select_errors would train on, were all of them training utterances that nobody transcribed."""
    utterances = [replace(item.utterance, split="train", reference=None) for item in items]
    report = select(utterances, list(golds.values()), [item.hypothesis for item in items], params)
    return {chosen.id for chosen in report.selections}


def _refusals(item: Item, text: str, bounds: GuardParams, glossary: Sequence[str]) -> list[str]:
    """The guards that would refuse the text, each by itself."""
    claim = claim_of(item.hypothesis, text, glossary, None, deaf=True)
    return [name for name, guard in guards.GUARDS.items() if guard(claim, bounds) is not None]


def measure_batching() -> None:
    """Batches in this process against the same model one prompt at a time."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    shapes = {"a small Mistral shape": (256, 4, 4, "none")} | (
        {"a 7B shape in 4 bits": (4096, 32, 32, "4bit")} if device == "cuda" else {}
    )
    for name, (width, layers, heads, quantized) in shapes.items():
        with tempfile.TemporaryDirectory() as folder:
            _make_mistral(Path(folder), width, layers, heads)
            _compare_batches(name, Path(folder), quantized, device)


def _compare_batches(name: str, folder: Path, quantized: str, device: str) -> None:
    from attune.correctors.transformers_chat import TransformersChat

    messages = [Message(PROMPT.instructions, PROMPT.question(item)) for item in _items(64)]

    def opened(batch: int) -> Chat:
        given = {"revision": None, "quantized": quantized, "kv_cache": "auto", "fast": True, "batch_size": batch}
        return TransformersChat(InProcessParams(model=str(folder), **given), device)

    one = opened(1)
    one.answer(messages[:1])
    begin_s = time.monotonic()
    alone = [_plainly(one, message) for message in messages[:16]]
    alone_s = (time.monotonic() - begin_s) / 16
    print(f"{name} on {device}: one prompt at a time, plain greedy: {alone_s:.2f} s each")
    seconds = sorted(reply.seconds for message in messages[:16] for reply in one.answer([message]))
    each_s = sum(seconds) / len(seconds)
    times = f"p50 {percentile(seconds, 0.5)} s, p95 {percentile(seconds, 0.95)} s"
    print(f"  one by one with prompt lookup: {each_s:.2f} s each, {times}")
    for batch in (4, 16, 32):
        chat = opened(batch)
        chat.answer(messages[:batch])
        begin_s = time.monotonic()
        replies = [reply for at in range(0, 64, batch) for reply in chat.answer(messages[at : at + batch])]
        each_s = (time.monotonic() - begin_s) / len(replies)
        same = sum(reply.text == text for reply, text in zip(replies, alone, strict=False))
        print(f"  batches of {batch}: {each_s:.3f} s each, {alone_s / each_s:.1f} x; {same} of {len(alone)} texts the same")


def _plainly(chat: Any, message: Message) -> str:
    """As everybody writes it: one prompt, `generate`, greedy."""
    import torch

    with torch.inference_mode():
        inputs = chat._tokenizer(chat._prompt(message), return_tensors="pt", add_special_tokens=False).to(chat._device)
        ids = chat._model.generate(**inputs, do_sample=False, max_new_tokens=128, pad_token_id=chat._tokenizer.pad_token_id)
    return str(chat._tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


def measure_faults() -> None:
    """A server that stumbles on every fifth request, in every way; then again, and with a tenth more."""
    kinds = iter(FAULTS * 10_000)
    chance, lock = Random(0), Lock()

    def stumble(_number: int) -> str | None:
        with lock:
            return next(kinds) if chance.random() < _FAULTY_SHARE else None

    server = ChatServer(unchanged, fault=stumble, hang_s=3.0)
    items = _items(1000)

    with serving(server) as running, tempfile.TemporaryDirectory() as folder:
        params = OpenAIParams(
            base_url=f"{running.address}/v1", model="llama3.2:3b", concurrency=16, timeout_s=2.0, attempts=6, max_tokens=None
        )
        asked = 0
        for what, some in (("first", items[:900]), ("again", items[:900]), ("a tenth more", items[:990])):
            corrector = LanguageModelCorrector("openai", OpenAIChat(params), PROMPT)
            answers = list(RememberedCorrector(corrector, WorkCache(Path(folder))).propose(some))
            calls, asked = len(running.requests) - asked, len(running.requests)
            whys = Counter(answer.why for answer in answers)
            lost = len({item.utterance.id for item in some} - {answer.id for answer in answers})
            print(
                f"{what}: {len(some)} utterances, {calls} requests, {lost} lost, "
                f"{len(answers) - len({a.id for a in answers})} doubled, {dict(whys)}"
            )


def measure_overhead() -> None:
    """The whole corrector with its cache against the bare client, both with 32 requests on their way."""
    port = 8765
    command = [sys.executable, __file__, "overhead", "--serve", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as server:
        params = OpenAIParams(
            base_url=f"http://127.0.0.1:{port}/v1", model="llama3.2:3b", concurrency=_CONCURRENT, timeout_s=30.0, attempts=5,
            max_tokens=None,
        )  # fmt: skip
        chat, items = OpenAIChat(params), _items(_REQUESTS)
        time.sleep(5)
        _bare(chat, items[:64])
        taken: dict[str, list[float]] = {"bare": [], "attune": []}
        for turn in range(3):
            for name, run in (("bare", _bare), ("attune", _whole)):
                begin_s = time.monotonic()
                run(chat, [replace(item, utterance=replace(item.utterance, id=f"{turn}-{item.utterance.id}")) for item in items])
                taken[name].append(time.monotonic() - begin_s)
        assert server.stdin is not None
        server.stdin.close()
    for name, seconds in taken.items():
        print(f"{name}: {', '.join(f'{s:.2f}' for s in seconds)} s for {_REQUESTS} requests, {_CONCURRENT} at a time")
    print(f"least over least: {min(taken['attune']) / min(taken['bare']):.3f} x")


def _bare(chat: OpenAIChat, items: Sequence[Item]) -> None:
    client = chat._client

    def ask(item: Item) -> str:
        messages = [{"role": "system", "content": PROMPT.instructions}, {"role": "user", "content": PROMPT.question(item)}]
        done = client.chat.completions.create(model="llama3.2:3b", messages=messages, temperature=0.0, max_tokens=512)
        return str(done.choices[0].message.content)

    with ThreadPoolExecutor(_CONCURRENT) as pool:
        assert len(list(pool.map(ask, items))) == len(items)


def _whole(chat: OpenAIChat, items: Sequence[Item]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corrector = RememberedCorrector(LanguageModelCorrector("openai", chat, PROMPT), WorkCache(Path(folder)))
        assert len(list(corrector.propose(items))) == len(items)


def _items(count: int) -> list[Item]:
    """Utterances of 4 to 12 words, no two alike."""
    words = [
        "the",
        "patient",
        "has",
        "a",
        "feeder",
        "and",
        "takes",
        "met",
        "forming",
        "twice",
        "every",
        "day",
        "since",
        "last",
        "monday",
        "at",
        "night",
    ]
    found = []
    for n in range(count):
        text = " ".join([*words[: 4 + n % 9], f"number {n}"])
        utterance = Utterance(f"{n:016x}", f"{n:064x}", f"{n}.wav", "anna", "clean", "train", 2.0 + n % 9, 20.0, None)
        found.append(Item(utterance, Hypothesis(utterance.id, text, 0.8, (), (Alternative(text, 0.0),))))
    return found


def _make_mistral(folder: Path, width: int, layers: int, heads: int) -> None:
    """Random weights of that shape, and the tokenizer of the tests' tiny one, with 8,000 entries in the model."""
    import torch
    from tiny_models import make_mistral
    from transformers import MistralConfig, MistralForCausalLM

    make_mistral(folder)
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=8000, hidden_size=width, intermediate_size=int(3.5 * width), num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=max(1, heads // 4), max_position_embeddings=8192, eos_token_id=0,
        bos_token_id=0, pad_token_id=0, sliding_window=None,
    )  # fmt: skip
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        MistralForCausalLM(config).to(torch.bfloat16 if torch.cuda.is_available() else torch.float32).save_pretrained(folder)


def _demo_project(folder: Path) -> Path:
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "src"),
        "ATTUNE_CACHE": str(folder / "demo-cache"),
        "DVC_NO_ANALYTICS": "1",
    }
    for command in (("attune", "demo", "corpus"), ("dvc", "repro", "stt_baseline")):
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return clone


if __name__ == "__main__":
    main()
