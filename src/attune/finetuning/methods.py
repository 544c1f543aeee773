"""Which weights learn: adapters beside frozen weights (LoRA and its kin, on a 4-bit base too), or all of a part of the model."""

import re
from functools import partial
from importlib import import_module
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from attune.checkpoints import quietly
from attune.errors import EnvironmentFault, TrainingError
from attune.finetuning.adapters import add_in_place
from attune.finetuning.families import Family
from attune.params import TrainParams

_PARTS = {"encoder": r"(^|\.)encoder\.", "decoder": r"(^|\.)decoder\."}
"""Where the layers of a part stand among a model's modules."""
_SINUSOIDS = re.compile(r"(^|\.)(encoder|audio_tower)\.embed_positions\.")
"""Those of the kin of Whisper, which are computed and not learnt."""


def prepared(model: Any, family: Family, params: TrainParams, device: str, *, new_letters: bool = False) -> Any:
    """The model with what learns left learning, and nothing else; its output layer too, where it got `new_letters`.

    Raises TrainingError where nothing would learn, or for a rank that the layers do not have, EnvironmentFault where a package
    is missing.
    """
    model.config.apply_spec_augment = False  # features are masked before they reach the model, see `augmentation`
    if params.method == "full":
        return _thawed(model, params, new_letters=new_letters)
    names = adapted_layers(model, family, params)
    if params.method == "qlora":
        model = in_four_bits(model, device)
    lora = params.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=names,
        modules_to_save=["lm_head"] if new_letters else None,
        use_dora=lora.variant == "dora",
        use_rslora=lora.variant == "rslora",
    )
    with quietly():
        adapted = get_peft_model(model, config)
    config.target_modules = sorted(config.target_modules or ())  # peft has a set, which is written in another order each run
    if params.method == "lora" and lora.variant != "dora":  # DoRA takes the norm of weights in the type of its input
        _take_input_as_it_is(adapted)
        if device == "cpu":  # where it was measured
            add_in_place(adapted)
    # told, as peft would compare vocabularies to find out: CTC models have no embeddings, and an earlier result is not on the hub
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)  # type: ignore[method-assign]
    return adapted


def adapted_layers(model: Any, family: Family, params: TrainParams) -> list[str]:
    """The names of the layers that get adapters. Raises TrainingError where there are none, or where the rank is above theirs.

    A rank above the smaller side of a layer's matrix would have more weights than the layer, and learn no more.
    """
    wanted, rank = re.compile(params.lora.targets or family.adapted_layers), params.lora.rank
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    found = {name: module for name, module in linear.items() if wanted.fullmatch(name) and _is_in(name, params.part)}
    if not found:
        where = "" if params.part == "both" else f" in its {params.part}"
        raise TrainingError(
            f"LoRA finds none of its layers ({wanted.pattern}){where} in this {type(model).__name__}; its linear layers are "
            f"called {', '.join(sorted({name.rpartition('.')[2] for name in linear}))}: correct train.lora.targets or train.part"
        )
    smallest = min(found, key=lambda name: min(found[name].weight.shape))
    if rank > min(found[smallest].weight.shape):
        raise TrainingError(
            f"train.lora.rank is {rank}, and {smallest} has only {min(found[smallest].weight.shape)} dimensions; choose a "
            "smaller rank"
        )
    return sorted(found)


def in_four_bits(model: Any, device: str) -> Any:
    """The model on its device, its linear layers but for the output ones in NF4 (Dettmers et al., 2023, "QLoRA").

    Adapters that are learnt on it belong to the unquantised model, and are merged into that.
    """
    try:
        bnb: Any = import_module("bitsandbytes")
    except ImportError as error:
        raise EnvironmentFault(
            "train.method qlora needs bitsandbytes: pip install -c constraints.txt -e '.[quantized]'; or set it to lora"
        ) from error
    if device == "cpu":
        # packed weights stay packed after an evaluation pass there, and nothing more is learnt (bitsandbytes 0.50)
        bnb.nn.modules.has_avx512bf16 = lambda: False
    compute = torch.bfloat16 if device == "cuda" else torch.float32
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    for name, module in list(model.named_modules()):
        if type(module) is torch.nn.Linear and module is not output and not name.endswith("lm_head"):
            if model.config.model_type == "wavlm" and ".attention." in name:
                continue  # it takes these weights past their layers, as plain matrices
            packed = bnb.nn.Linear4bit(
                module.in_features, module.out_features, module.bias is not None, compute_dtype=compute, quant_type="nf4"
            )
            packed.weight = bnb.nn.Params4bit(module.weight.data, requires_grad=False, quant_type="nf4")
            if module.bias is not None:
                packed.bias = torch.nn.Parameter(module.bias.data, requires_grad=False)
            model.set_submodule(name, packed)
    model.is_loaded_in_4bit = True  # what peft asks
    return model.to(device)


def _take_input_as_it_is(adapted: Any) -> None:
    """Lets adapters not turn their input into float32, as autocast would turn it back at once: a tenth of a step on a CPU."""
    for module in adapted.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False


def trainable_share(model: Any) -> float:
    """How much of the weights learns; one that is packed counts as what it stands for."""
    sizes = [(_size(parameter), bool(parameter.requires_grad)) for parameter in model.parameters()]
    return sum(size for size, learns in sizes if learns) / sum(size for size, _ in sizes)


def _size(parameter: Any) -> int:
    state = getattr(parameter, "quant_state", None)
    return int(torch.Size(state.shape).numel()) if state is not None else int(parameter.numel())


def _thawed(model: Any, params: TrainParams, *, new_letters: bool) -> Any:
    if not any(_is_in(name, params.part) for name, _ in model.named_parameters()):
        raise TrainingError(f"this {type(model).__name__} has no {params.part}; set train.part to both")
    for name, parameter in model.named_parameters():
        learns = _is_in(name, params.part) and not _SINUSOIDS.search(name)
        parameter.requires_grad_(learns or (new_letters and name.startswith("lm_head.")))
    if hasattr(model, "freeze_feature_encoder"):
        model.freeze_feature_encoder()
    return model


def _is_in(name: str, part: str) -> bool:
    return part == "both" or re.search(_PARTS[part], name) is not None
