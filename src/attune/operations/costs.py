"""What a run of training took, found again by what it learnt.

Minutes and memory differ from run to run, so the graph does not keep them. The work cache does, under the figures and the loss
curve of the run: whoever has these in git, a commit or an experiment made in a copy of the project, can be told its cost.
"""

from collections.abc import Mapping
from typing import Any

from attune.workcache import WorkCache, digest_of


def remember(cache: WorkCache, figures: str, curve: str, timing: Mapping[str, Any]) -> None:
    """Keeps `timing` of the run that wrote these contents of `train.json` and `training_loss.csv`."""
    cache.put({_key(figures, curve): dict(timing)})


def recall(cache: WorkCache, figures: str, curve: str) -> Mapping[str, Any]:
    """The same; empty where it is not known here."""
    found = cache.get_or_none(_key(figures, curve))
    return found if isinstance(found, dict) else {}


def _key(figures: str, curve: str) -> str:
    return digest_of("cost of training", figures, curve)
