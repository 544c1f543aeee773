from pathlib import Path

import pytest
import torch

from attune.finetuning.costs import Costs
from attune.finetuning.energy import EnergyMeter


def test_waiting_for_data_is_told_from_computing() -> None:
    now_s = iter([0.0, 1.0, 1.0, 10.0, 10.0, 11.0, 11.0, 20.0])
    costs = Costs("cpu", lambda: next(now_s))
    for _ in range(2):
        assert costs.fetch(lambda: ([{"labels": torch.zeros(5, 3)}], None))[1] is None
        costs.on_step_begin(None, None, None)
        costs.on_step_end(None, None, None)
    figures = costs.figures()
    assert figures["samples_per_s"] == 10 / 20
    assert figures["compute_share"] == 18 / 20
    assert figures["peak_memory_mb"]


def test_where_nothing_was_trained_there_is_no_speed() -> None:
    figures = Costs("cpu").figures()
    assert (figures["samples_per_s"], figures["compute_share"]) == (None, None)


def test_energy_is_read_from_each_package_and_counters_start_anew(tmp_path: Path) -> None:
    def counters(*joules: float) -> None:
        for n, value in enumerate(joules):
            zone = tmp_path / f"intel-rapl:{n}"
            zone.mkdir(exist_ok=True)
            (zone / "energy_uj").write_text(f"{value * 1e6:.0f}\n")
            (zone / "max_energy_range_uj").write_text("4000000000\n")

    counters(100, 3900)
    meter = EnergyMeter("cpu", tmp_path)
    counters(200, 300)
    assert meter.wh() == pytest.approx((100 + 400) / 3600)


def test_where_no_counter_can_be_read_energy_is_unknown(tmp_path: Path) -> None:
    assert EnergyMeter("cpu", tmp_path).wh() is None
