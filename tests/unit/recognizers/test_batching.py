from hypothesis import given
from hypothesis import strategies as st

from attune.recognizers.batching import in_batches, padded_s

LENGTHS = st.lists(st.floats(0.1, 60), max_size=40)


@given(LENGTHS, st.floats(0.1, 200), st.sampled_from([None, 5.0, 30.0]))
def test_every_clip_is_in_one_batch_within_the_budget_and_longest_first(
    lengths_s: list[float], budget_s: float, window_s: float | None
) -> None:
    batches = in_batches(lengths_s, budget_s, window_s)
    flat = [place for batch in batches for place in batch]
    assert sorted(flat) == list(range(len(lengths_s)))
    assert [lengths_s[place] for place in flat] == sorted(lengths_s, reverse=True)
    for batch in batches:
        cost_s = len(batch) * padded_s(lengths_s[batch[0]], window_s)
        assert len(batch) == 1 or cost_s <= budget_s
