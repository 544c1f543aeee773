"""An instruct model in this process, by transformers: messages in left-padded batches of like length, greedy.

Left-padded batches say exactly what single messages say. A single one is decoded with prompt lookup (Saxena, 2023), as a
correction mostly copies what it corrects.
"""

import logging
import time
from collections.abc import Sequence
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
_WARM_UP, _WARM_UP_TOKENS = "Good morning, how are you today?", 24


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
        self.digest = digest_of("transformers 1", files_digest(folder), four_bit, dtype, self._new_tokens)
        self._cache = self._quicker_cache() if params.kv_cache == "auto" else params.kv_cache

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
        prompts = [self._prompt(message) for message in messages]
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(self._device)
        alone = len(messages) == 1
        how: dict[str, Any] = (
            {"prompt_lookup_num_tokens": _LOOKED_UP} if alone else {"cache_implementation": cache or self._cache}
        )
        ids = self._model.generate(
            **inputs, do_sample=False, max_new_tokens=new_tokens, pad_token_id=self._tokenizer.pad_token_id, **how
        )
        said = ids[:, inputs["input_ids"].shape[1] :]
        texts = self._tokenizer.batch_decode(said, skip_special_tokens=True)
        pad, lengths = self._tokenizer.pad_token_id, inputs["attention_mask"].sum(1).tolist()
        return [(text, int(n), int((row != pad).sum())) for text, n, row in zip(texts, lengths, said, strict=True)]

    def _prompt(self, message: Message) -> str:
        """In the model's own form; some know no system message, and get it before the question."""
        from jinja2 import TemplateError

        turns = [{"role": "system", "content": message.system}, {"role": "user", "content": message.user}]
        try:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except TemplateError:
            whole = [{"role": "user", "content": f"{message.system}\n\n{message.user}"}]
            return str(self._tokenizer.apply_chat_template(whole, tokenize=False, add_generation_prompt=True))

    def _quicker_cache(self) -> str:
        """The kind of KV cache that takes less time on this device, each tried on a warm-up batch; a tie goes to `dynamic`."""
        trial = [Message("Answer briefly.", _WARM_UP)] * max(2, min(self.batch, 8))
        seconds = {}
        for cache in ("dynamic", "static"):
            with torch.inference_mode():
                self._generated(trial, _WARM_UP_TOKENS, cache)
                begin_s = time.monotonic()
                self._generated(trial, _WARM_UP_TOKENS, cache)
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
