"""Commands end with one line that a person understands, and the exit code that fits."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from attune.commandline import AttuneCommand, AttuneGroup, one_line
from attune.errors import DataError


def run(fault: BaseException | None, *arguments: str) -> Result:
    @click.command(name="work", cls=AttuneCommand)
    @click.option("--out", type=click.Path(path_type=Path))
    def work(out: Path | None) -> None:
        if fault:
            raise fault

    return CliRunner().invoke(work, arguments)


def test_a_command_that_works_says_nothing() -> None:
    assert (run(None).exit_code, run(None).output) == (0, "")


def test_a_fault_of_the_user_is_one_line_on_stderr_and_code_2() -> None:
    result = run(DataError("the folder 'a\nb' is empty; fill it"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "work: the folder 'a\\nb' is empty; fill it\n"


def test_a_full_disk_says_how_much_is_free_and_where(tmp_path: Path) -> None:
    result = run(OSError(errno.ENOSPC, "No space left on device"), "--out", str(tmp_path / "not" / "there"))
    assert result.exit_code == 2
    assert "is full" in result.stderr
    assert "MB are free" in result.stderr
    assert str(tmp_path) in result.stderr or os.getcwd() in result.stderr  # noqa: PTH109


def test_a_full_disk_that_a_library_tells_in_its_own_way_is_one_line_too(tmp_path: Path) -> None:
    result = run(RuntimeError("I/O error: No space left on device (os error 28)"), "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "is full" in result.stderr
    assert isinstance(run(RuntimeError("something else")).exception, RuntimeError)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_folder_that_refuses_is_named(code: int) -> None:
    result = run(OSError(code, os.strerror(code), "/some/folder"))
    assert result.exit_code == 2
    assert result.stderr.startswith("work: /some/folder cannot be written or read: ")


def test_other_refusals_of_the_machine_are_one_line_too() -> None:
    result = run(OSError(errno.EMFILE, "Too many open files", "x"))
    assert (result.exit_code, result.stderr) == (2, "work: x: Too many open files\n")


def test_a_package_that_a_slim_install_lacks_is_named_with_what_installs_it() -> None:
    result = run(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert result.exit_code == 2
    assert "torch, which is not installed; from a clone: pip install -c constraints.txt -e '.[graph]'" in result.stderr
    assert isinstance(run(ModuleNotFoundError("ours", name="attune.missing")).exception, ModuleNotFoundError)


def test_an_interrupt_ends_with_130() -> None:
    result = run(KeyboardInterrupt())
    assert (result.exit_code, result.stderr.count("\n")) == (130, 1)


def test_our_own_faults_keep_their_traceback() -> None:
    assert isinstance(run(ZeroDivisionError("ours")).exception, ZeroDivisionError)


def test_commands_of_a_group_end_alike() -> None:
    @click.group(cls=AttuneGroup)
    def main() -> None: ...

    @main.command()
    def work() -> None:
        raise DataError("nothing there")

    result = CliRunner().invoke(main, ["work"])
    assert (result.exit_code, result.stderr) == (2, "main: nothing there\n")


def test_a_full_disk_is_that_of_what_the_command_of_a_group_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.group(cls=AttuneGroup)
    def main() -> None: ...

    @main.group()
    def inner() -> None: ...

    @inner.command()
    @click.argument("out", type=click.Path(path_type=Path))
    def work(out: Path) -> None:
        raise OSError(errno.ENOSPC, f"No space left on device for {out.name}")

    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free._replace(free=0 if Path(path) == tmp_path else free.free))
    result = CliRunner().invoke(main, ["inner", "work", str(tmp_path / "new")])
    assert (result.exit_code, result.stderr.split(",")[0]) == (2, f"main: the disk of {tmp_path} is full")


def test_names_are_escaped_but_readable() -> None:
    assert one_line("李 'x'\t\n\x1b[31m\udcff") == "李 'x'\\t\\n\\x1b[31m\\udcff"


def test_a_process_of_ours_seldom_looks_for_garbage_and_not_at_all_as_it_ends() -> None:
    asked = "import atexit, gc, stages; atexit._run_exitfuncs(); print(gc.get_threshold()[0] > 10_000, gc.get_freeze_count() > 0)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", asked], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
