import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from attune.finetuning.attention import BY_HEAD, ByHead, attend_by_head


def _grown(attend, *given: torch.Tensor) -> list[torch.Tensor]:
    """What comes out, and the gradients of the inputs."""
    leaves = [each.clone().requires_grad_() for each in given]
    out = attend(*leaves)
    out.backward(torch.ones_like(out) + torch.arange(out.shape[2], dtype=out.dtype)[:, None] / out.shape[2])
    return [out.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("laid", ["whole", "transposed"])
def test_heads_one_by_one_are_fused_attention_forth_and_back(laid: str) -> None:
    given = [torch.randn(2, 3, 40, 16, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    if laid == "transposed":  # as layers hand them over
        given = [each.transpose(1, 2).contiguous().transpose(1, 2) for each in given]
    ours = _grown(lambda q, k, v: ByHead.apply(q * 0.25, k, v), *given)
    theirs = _grown(torch.nn.functional.scaled_dot_product_attention, *given)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_model_learns_the_same_in_bfloat16_and_hears_as_before() -> None:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, num_mel_bins=8, max_source_positions=60, vocab_size=50, decoder_start_token_id=1, pad_token_id=2,
        bos_token_id=1, eos_token_id=2, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).train()
    batch = {"input_features": torch.randn(2, 8, 120), "labels": torch.randint(3, 50, (2, 7))}
    found = {}
    for way in ("sdpa", BY_HEAD):
        attend_by_head(model) if way == BY_HEAD else model.set_attn_implementation(way)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        slope = model.model.encoder.layers[0].self_attn.q_proj.weight.grad.clone()
        with torch.no_grad():
            found[way] = loss.item(), slope, model.generate(batch["input_features"], max_new_tokens=5)
    assert found["sdpa"][0] == pytest.approx(found[BY_HEAD][0], abs=2e-3)
    apart = (found["sdpa"][1] - found[BY_HEAD][1]).norm() / found["sdpa"][1].norm()
    assert 0 < apart < 0.05  # another order of roundings, so it was the other way
    assert torch.equal(found["sdpa"][2], found[BY_HEAD][2])
