"""Memory that is freed is handed out again, and nothing else changes."""

import ast
import subprocess
import sys

import pytest

from attune import devices

_GROWS = """
import resource, numpy
from attune.devices import reuse_freed_memory
if {reused}:
    reuse_freed_memory()
for _ in range(3):
    numpy.ones(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    numpy.ones(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
def test_blocks_that_were_freed_cost_no_page_faults_again() -> None:
    faults = {
        reused: int(subprocess.run([sys.executable, "-c", _GROWS.format(reused=reused)], capture_output=True, check=True).stdout)
        for reused in (False, True)
    }
    assert faults[True] < 2000
    assert faults[True] <= faults[False]


def test_the_growth_of_memory_is_that_of_the_work() -> None:
    """In a process of its own: one that has freed much may take it again without growing."""
    code = (
        "import numpy as np; from attune.devices import memory_growths_mb; "
        "print(memory_growths_mb([lambda n=n: np.ones(n, np.uint8).fill(2) for n in (40_000_000, 80_000_000)], 'cpu'))"
    )
    grown = ast.literal_eval(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    if grown is None:
        pytest.skip("this system does not tell")
    assert 30 < grown[0] < 70
    assert 70 < grown[1] < 110


@pytest.mark.parametrize(
    ("name", "flags", "learns"),
    [
        ("Intel(R) Xeon(R) Processor", {"avx512_bf16", "amx_tile", "amx_bf16"}, True),
        ("Intel(R) Xeon(R) Processor", {"avx512_bf16"}, False),
        ("AMD EPYC 9B14", {"avx512_bf16"}, True),
        ("AMD EPYC 7B13", {"avx2"}, False),
        ("arm", set(), False),
    ],
)
def test_a_processor_quick_in_bfloat16_where_that_is_quicker(monkeypatch, name: str, flags: set[str], learns: bool) -> None:
    monkeypatch.setattr(devices, "processor", lambda: (name, frozenset(flags)))
    assert devices.quick_in_bfloat16("cpu") is learns


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it so")
def test_a_processor_tells_its_name_and_what_it_can_do() -> None:
    name, flags = devices.processor()
    assert name
    assert {"sse2", "asimd"} & flags or not flags  # an ARM core calls them features
