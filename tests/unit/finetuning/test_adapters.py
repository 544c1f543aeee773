import pytest
import torch
from peft import LoraConfig, get_peft_model

from attune.finetuning.adapters import add_in_place


class Two(torch.nn.Module):
    """A layer with a bias and one without."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = torch.nn.Linear(24, 40), torch.nn.Linear(40, 24, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.down(torch.relu(self.up(hidden)))


def _adapted(**changed):
    torch.manual_seed(0)
    model = get_peft_model(Two(), LoraConfig(r=4, lora_alpha=12, target_modules=["up", "down"], **changed))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def _learnt(model, kind: torch.dtype) -> tuple[list[torch.Tensor], set[str]]:
    """What comes out, the gradients of the input and of the adapters, and the names of what made the graph of gradients."""
    hidden = torch.randn(3, 7, 24, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with torch.autocast("cpu", kind, enabled=kind != torch.float32):
        out = model(hidden)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    (out * weights).sum().backward()
    slopes = [p.grad for _, p in sorted(model.named_parameters()) if p.requires_grad]
    return [out.detach().float(), hidden.grad, *slopes], _made_by(out.grad_fn)


def _made_by(node) -> set[str]:
    return set() if node is None else {type(node).__name__}.union(*(_made_by(earlier) for earlier, _ in node.next_functions))


def test_adapters_added_in_place_are_pefts_forth_and_back() -> None:
    theirs, way = _learnt(_adapted(), torch.float32)
    assert "AddedInPlaceBackward" not in way
    model = _adapted()
    add_in_place(model)
    ours, way = _learnt(model, torch.float32)
    assert "AddedInPlaceBackward" in way
    assert len(ours) == 6
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)


def test_in_bfloat16_they_are_as_near_to_float32_as_pefts_are() -> None:
    exact, _ = _learnt(_adapted(), torch.float32)
    theirs, _ = _learnt(_adapted(), torch.bfloat16)
    model = _adapted()
    add_in_place(model)
    ours, _ = _learnt(model, torch.bfloat16)
    for one, other, right in zip(ours, theirs, exact, strict=True):
        assert one.dtype == other.dtype
        assert (one - right).norm() < 1.5 * (other - right).norm()


@pytest.mark.parametrize("changed", [{"lora_dropout": 0.5}, {"use_dora": True}])
def test_other_adapters_stay_as_peft_computes_them(changed) -> None:
    model = _adapted(**changed)
    add_in_place(model)
    assert "AddedInPlaceBackward" not in _learnt(model, torch.float32)[1]


def test_what_is_switched_off_or_merged_says_what_it_did_before() -> None:
    model, hidden = _adapted(), torch.randn(5, 24)
    add_in_place(model)
    with torch.no_grad():
        with model.disable_adapter():
            torch.testing.assert_close(
                model(hidden), model.get_base_model().down.base_layer(torch.relu(model.get_base_model().up.base_layer(hidden)))
            )
        before = model(hidden)
        torch.testing.assert_close(model.merge_and_unload()(hidden), before, atol=1e-5, rtol=1e-5)
