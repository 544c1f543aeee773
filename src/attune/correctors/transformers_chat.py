"""An instruct model in this process, by transformers: messages in left-padded batches of like length, greedy.

Left-padded batches say what single messages say. The instructions, with which all messages begin, are read once. A single message
is decoded with prompt lookup (Saxena, 2023), as a correction mostly copies what it corrects.
"""

import copy
import logging
import time
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch

from attune.checkpoint_files import files_digest, one_line, resolve_base
from attune.checkpoints import quietly
from attune.correctors.chat import Message, Reply
from attune.devices import is_memory, reuse_freed_memory
from attune.errors import EnvironmentFault, ModelError
from attune.params import InProcessParams
from attune.workcache import digest_of

_LOG = logging.getLogger(__name__)
_FAST_TOKENS, _TOKENS = 128, 512
_LOOKED_UP = 10
_WARM_UP, _TRIED_TOKENS = "Good morning.", 24
_WORTH_KEEPING = 32


class TransformersChat:
    """See `Chat`."""

    concurrency, repeats = 1, True

    def __init__(self, params: InProcessParams, device: str) -> None:
        """Loads the model and warms it up. Raises ModelError, or EnvironmentFault where a package or memory is missing."""
        folder = resolve_base(params.model, params.revision)
        self._new_tokens = _FAST_TOKENS if params.fast else _TOKENS
        four_bit = params.quantized == "4bit" or (params.quantized == "auto" and device == "cuda")
        dtype = torch.bfloat16 if device == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
        if device == "cpu":
            reuse_freed_memory()
        self.model, self.batch, self._device = f"transformers {params.model}", params.batch_size, device
        self._tokenizer, self._model = _loaded(folder, params.model, device, dtype, four_bit)
        self.digest = digest_of("transformers 1", files_digest(folder), four_bit, dtype, self._new_tokens, params.kv_cache)
        self._cache: str | None = None if params.kv_cache == "auto" else params.kv_cache
        self._beginning: list[int] = []
        self._beginning_states: Any = None
        self.answer([Message("Answer briefly.", _WARM_UP)])

    @torch.inference_mode()
    def answer(self, messages: Sequence[Message], *, chance: int = 0) -> list[Reply]:  # noqa: ARG002 : greedy, always
        """See `Chat.answer`; where memory runs out, half as many at a time."""
        begin_s = time.monotonic()
        if len(messages) > (size := self.batch):  # memory ran out before
            return [reply for at in range(0, len(messages), size) for reply in self.answer(messages[at : at + size])]
        try:
            texts = self._generated(messages, self._new_tokens)
        except (RuntimeError, MemoryError) as error:
            if not is_memory(error):
                raise
            if len(messages) == 1:
                raise EnvironmentFault(
                    f"memory does not suffice for {self.model}; use a smaller model, or llm_gold.transformers.quantized: 4bit"
                ) from error
            half = len(messages) // 2
            _LOG.warning("Memory ran out with %d messages at once; going on with %d.", len(messages), half)
            if self._device == "cuda":
                torch.cuda.empty_cache()
            self.batch = half
            return self.answer(messages)
        seconds = time.monotonic() - begin_s
        return [Reply(text, tokens_in, tokens_out, seconds) for text, tokens_in, tokens_out in texts]

    def _generated(self, messages: Sequence[Message], new_tokens: int, cache: str | None = None) -> list[tuple[str, int, int]]:
        """The answers, each with its count of tokens in and out."""
        prompts: list[list[int]] = self._tokenizer(list(map(self._prompt, messages)), add_special_tokens=False).input_ids
        if len(prompts) > 1 and cache is None and self._cache is None:
            self._cache = self._quicker_cache(messages)
        kind, pad = cache or self._cache, self._tokenizer.pad_token_id
        shared = 0 if kind == "static" else self._share_beginning(prompts)
        longest = max(map(len, prompts))
        rows = [[*ids[:shared], *[pad] * (longest - len(ids)), *ids[shared:]] for ids in prompts]
        masks = [[*[1] * shared, *[0] * (longest - len(ids)), *[1] * (len(ids) - shared)] for ids in prompts]
        how: dict[str, Any] = {"prompt_lookup_num_tokens": _LOOKED_UP} if len(prompts) == 1 else {}
        if kind == "static" and not how:
            how = {"cache_implementation": "static"}
        elif shared:
            how["past_key_values"] = copy.deepcopy(self._beginning_states)
            how["past_key_values"].batch_repeat_interleave(len(prompts))
        ids = self._model.generate(
            input_ids=torch.tensor(rows, device=self._device), attention_mask=torch.tensor(masks, device=self._device),
            do_sample=False, max_new_tokens=new_tokens, pad_token_id=pad, **how,
        )  # fmt: skip
        said = ids[:, longest:]
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        return [(text, len(given), int((row != pad).sum())) for text, given, row in zip(texts, prompts, said, strict=True)]

    def _share_beginning(self, prompts: list[list[int]]) -> int:
        """How many tokens all prompts begin with, if the model's states for them are kept: the instructions are read once."""
        known = self._beginning
        if known and all(ids[: len(known)] == known and len(ids) > len(known) for ids in prompts):
            return len(known)
        columns = takewhile(lambda column: len(set(column)) == 1, zip(*prompts, strict=False))
        alike = [column[0] for column in columns][: min(map(len, prompts)) - 1] if len(prompts) > 1 else []
        if len(alike) < _WORTH_KEEPING:
            return 0
        states = self._model(torch.tensor([alike], device=self._device), use_cache=True).past_key_values
        self._beginning, self._beginning_states = alike, states
        return len(alike)

    def _prompt(self, message: Message) -> str:
        """In the model's own form; some know no system message, and get it before the question."""
        from jinja2 import TemplateError

        turns = [{"role": "system", "content": message.system}, {"role": "user", "content": message.user}]
        try:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except TemplateError:
            whole = [{"role": "user", "content": f"{message.system}\n\n{message.user}"}]
            return str(self._tokenizer.apply_chat_template(whole, tokenize=False, add_generation_prompt=True))

    def _quicker_cache(self, trial: Sequence[Message]) -> str:
        """The kind of KV cache that takes less time for a few tokens of these answers; where they differ little, `dynamic`."""
        seconds = {}
        for cache in ("dynamic", "static"):
            self._generated(trial, _TRIED_TOKENS, cache)  # compiled and warmed up
            begin_s = time.monotonic()
            self._generated(trial, _TRIED_TOKENS, cache)
            seconds[cache] = time.monotonic() - begin_s
        chosen = "static" if seconds["static"] < 0.9 * seconds["dynamic"] else "dynamic"
        _LOG.info("%s with a %s cache: dynamic took %.2f s, static %.2f s.", self.model, chosen, *seconds.values())
        return chosen


def _loaded(folder: Any, name: str, device: str, dtype: torch.dtype, four_bit: bool) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no weights in safetensors; llm_gold.transformers.model {name!r} must have them")
    try:
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, device_map=device,
                attn_implementation=_attention(device), **_quantization(dtype, four_bit),
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise ModelError(f"llm_gold.transformers.model {name!r} cannot be loaded from {folder}: {one_line(error)}") from error
    if not tokenizer.chat_template:
        raise ModelError(
            f"{name} has no chat template, so it is no instruct model; choose one that is, such as its -Instruct kin"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    for name in ("temperature", "top_p", "top_k"):  # greedy: a warning each time otherwise
        setattr(model.generation_config, name, None)
    return tokenizer, model.eval()


def _attention(device: str) -> str:
    from transformers.utils.import_utils import is_flash_attn_2_available

    return "flash_attention_2" if device == "cuda" and is_flash_attn_2_available() else "sdpa"


def _quantization(dtype: torch.dtype, four_bit: bool) -> dict[str, Any]:
    if not four_bit:
        return {}
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise EnvironmentFault(
            "llm_gold.transformers.quantized needs bitsandbytes: pip install -c constraints.txt -e '.[quantized]'; or none"
        )
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    }
