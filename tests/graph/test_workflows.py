"""The workflows as data: what they may do, and that forks get nothing. actionlint, which CI runs, knows the language itself."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from projects import git

from attune.cli import main
from attune.report.pull_request import MARKER

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "workflows"
NAMES = ["ci", "gpu-run", "pull-request"]
_OWN = "github.event.pull_request.head.repo.full_name == github.repository"


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)  # "on" is a key
    return content


def steps(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in content["jobs"].values() for step in job["steps"]]


def test_all_workflows_are_known() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_and_tokens_may_only_read_unless_a_job_asks(name: str) -> None:
    content = workflow(name)
    used = [step["uses"] for step in steps(content) if "uses" in step]
    assert used
    assert all(re.search(r"[@:]v?\d+(\.\d+)*$", action) for action in used), used
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


@pytest.mark.parametrize("name", NAMES)
def test_no_workflow_runs_code_of_forks_with_secrets(name: str) -> None:
    assert "pull_request_target" not in workflow(name)["on"]


def test_steps_with_secrets_run_only_for_branches_of_the_repository_itself() -> None:
    content = workflow("pull-request")
    with_secrets = [step for step in steps(content) if "secrets." in str(step)]
    assert with_secrets
    assert all("env.OWN == 'true'" in step["if"] for step in with_secrets)
    assert content["jobs"]["report"]["env"]["OWN"] == f"${{{{ {_OWN} }}}}"


def test_writing_is_left_to_jobs_that_run_no_code_of_the_pull_request() -> None:
    jobs = workflow("pull-request")["jobs"]
    assert {name: job.get("permissions") for name, job in jobs.items()} == {
        "report": None, "charts": {"contents": "write"}, "comment": {"contents": "read", "pull-requests": "write"},
    }  # fmt: skip
    for name in ("charts", "comment"):
        assert _OWN in jobs[name]["if"]
        commands = [step["run"] for step in jobs[name]["steps"] if "run" in step]
        assert commands
        assert not any(word in run for run in commands for word in ("pip ", "python", "dvc ", "attune --", "bash "))


def test_charts_stand_where_the_report_says(tmp_path: Path) -> None:
    jobs = workflow("pull-request")["jobs"]
    (build,) = [step for step in jobs["report"]["steps"] if step.get("id") == "build"]
    branch, _, folder = build["env"]["MADE"].partition("/raw/")[2].partition("/")
    (put,) = [step for step in jobs["charts"]["steps"] if "run" in step]
    assert (branch, folder) == (put["env"]["BRANCH"], put["env"]["RUN"])
    (tmp_path / "report/metrics/figures").mkdir(parents=True)
    (tmp_path / "report/metrics/figures/wer_by_snr.svg").write_text("<svg/>")
    git(tmp_path, "init", "--quiet", "--bare", "served/me/stt")
    shell = {**os.environ, **put["env"], "REPOSITORY": "me/stt", "BRANCH": "charts", "RUN": "7"}
    shell |= {"GITHUB_SERVER_URL": f"file://{tmp_path}/served", "GIT_CONFIG_GLOBAL": os.devnull}
    for _ in range(2):
        subprocess.run(["bash", "-e", "-c", put["run"]], cwd=tmp_path, env=shell, check=True, capture_output=True)
        shutil.rmtree(tmp_path / "charts")
    shown = git(tmp_path / "served/me/stt", "ls-tree", "-r", "--name-only", "charts")
    assert shown == "7/figures/wer_by_snr.svg"


def test_values_of_others_reach_shells_only_through_the_environment() -> None:
    scripts = [step["run"] for name in NAMES for step in steps(workflow(name)) if "run" in step]
    assert len(scripts) > 5
    assert not [run for run in scripts if "${{" in run]


def test_gpu_machine_is_started_by_hand_alone() -> None:
    assert list(workflow("gpu-run")["on"]) == ["workflow_dispatch"]


def test_comment_is_found_again_by_the_marker_that_the_report_begins_with() -> None:
    (post,) = [step["run"] for step in steps(workflow("pull-request")) if "gh pr comment" in step.get("run", "")]
    assert f'startswith("{MARKER}")' in post


def test_commands_of_attune_in_workflows_are_there_with_these_options() -> None:
    scripts = "\n".join(step["run"] for step in steps(workflow("pull-request")) if "run" in step)
    called = re.findall(r"^ *attune (\w+) (.*)$", scripts, re.M)
    assert called
    for command, rest in called:
        told = CliRunner().invoke(main, [command, "--help"]).output
        assert all(option in told for option in re.findall(r"--[a-z-]+", rest))
