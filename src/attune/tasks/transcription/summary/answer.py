"""What the last run brought, in words."""

import json
from pathlib import Path
from typing import Any

from attune.errors import DataError
from attune.params import PathParams
from attune.report.results import read_results
from attune.report.run_facts import facts_of
from attune.report.summary import summary
from attune.report.tables import SCORES
from attune.report.wording import shortened

_REMEDY = "take it out of git or DVC again, or make it anew with: dvc repro --force"


def summarize(paths: PathParams) -> str:
    """See `report.summary`. Raises DataError where nothing was evaluated yet."""
    files = (f"evaluation/{SCORES}", "train.json", "convert_ct2.json")
    measured = [_read_metrics(paths.metrics / file) for file in files]
    results = read_results(paths.metrics / "evaluation_results.json")
    speed = _real_time_factors(paths.metrics / "timing/evaluate.json")
    return summary(facts_of(*measured, model_folder=paths.ct2, raw_folder=paths.raw, results=results, real_time_factors=speed))


def _real_time_factors(path: Path) -> dict[str, float]:
    """Of base and tuned model; empty in a clone, as times stay where they were taken."""
    content = _read_metrics(path) if path.is_file() else {}
    parts = {name: part for name in ("base", "tuned") if isinstance(part := content.get(name), dict)}
    factors = {name: part.get("real_time_factor") for name, part in parts.items()}
    return {name: float(factor) for name, factor in factors.items() if isinstance(factor, int | float)}


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist yet; run: dvc repro") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON ({error}); {_REMEDY}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no metrics but {shortened(str(content), 40)}; {_REMEDY}")
    return content
