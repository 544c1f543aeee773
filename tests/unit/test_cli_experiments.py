import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from projects import commit, evaluate_into, git, project, set_params

from attune.cli import main
from attune.operations.costs import remember
from attune.report.charts import Point, scatter
from attune.report.results import FORMAT
from attune.workcache import WorkCache


def attune(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--params", str(folder / "params.yaml")])


def said(folder: Path, *arguments: str) -> str:
    done = attune(folder, *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def refused(folder: Path, *arguments: str) -> str:
    done = attune(folder, *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Commits: four errors in ten words; one, of twice the size; another test. In the workspace four."""
    folder = project(tmp_path_factory.mktemp("revisions"))
    evaluate_into(folder, 4)
    commit(folder, "first")
    git(folder, "tag", "first")
    set_params(folder, 64)
    evaluate_into(folder, 1, size_mb=20)
    commit(folder, "better")
    git(folder, "tag", "better")
    evaluate_into(folder, 1, count=30, size_mb=20)
    commit(folder, "another test")
    git(folder, "tag", "other")
    git(folder, "checkout", "--quiet", "better")
    evaluate_into(folder, 4)
    return folder


def rows_of(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return {row["name"]: row for row in csv.DictReader(lines)}


def test_workspace_is_compared_with_head(revisions: Path, tmp_path: Path) -> None:
    output = said(revisions, "compare", "--csv", str(tmp_path / "c.csv"))
    rows = rows_of(tmp_path / "c.csv")
    assert list(rows) == ["HEAD", "workspace"]
    assert rows["workspace"]["judgement"] == "worse"
    assert float(rows["workspace"]["better_by_high"]) < 0
    assert re.search(r"workspace +4\d\.\d\d% .* -\d+\.\d\d .* worse", output)


def test_rates_intervals_costs_and_changed_params_are_those_of_each_commit(revisions: Path, tmp_path: Path) -> None:
    output = said(revisions, "compare", "--against", "first", "better", "--csv", str(tmp_path / "c.csv"))
    rows = rows_of(tmp_path / "c.csv")
    then = json.loads(git(revisions, "show", "better:metrics/evaluation_results.json"))["overall"]["tuned"]
    assert float(rows["better"]["wer"]) == pytest.approx(then["wer"], abs=1e-5)
    assert float(rows["better"]["wer_low"]) < then["wer"] < float(rows["better"]["wer_high"])
    assert (rows["first"]["size_mb"], rows["better"]["size_mb"]) == ("10.0", "20.0")
    assert rows["better"]["changed_params"] == "train.lora.rank=64"
    assert rows["better"]["judgement"] == "better"
    assert "Unknown: minutes of all; memory, MB of all (" in output
    assert max(map(len, output.splitlines())) <= 110


def test_several_comparisons_are_corrected_by_holm(revisions: Path, tmp_path: Path) -> None:
    said(revisions, "compare", "--against", "first", "better", "workspace", "--csv", str(tmp_path / "c.csv"))
    rows = rows_of(tmp_path / "c.csv")
    assert float(rows["better"]["p_value_corrected"]) == pytest.approx(2 * float(rows["better"]["p_value"]))
    assert rows["workspace"]["judgement"] == "same"
    assert float(rows["workspace"]["better_by_points"]) == 0


def test_what_is_named_twice_is_compared_once(revisions: Path, tmp_path: Path) -> None:
    same = git(revisions, "rev-parse", "better")
    names = ("better", "workspace", "better", same, "first")
    said(revisions, "compare", "--against", "first", *names, "--csv", str(tmp_path / "c.csv"))
    rows = rows_of(tmp_path / "c.csv")
    assert list(rows) == ["first", "better", "workspace"]
    assert float(rows["better"]["p_value_corrected"]) == pytest.approx(2 * float(rows["better"]["p_value"]))


def test_an_experiment_that_did_not_pass_is_not_recommended(tmp_path: Path) -> None:
    folder = project(tmp_path / "failed")
    evaluate_into(folder, 4)
    commit(folder, "first")
    evaluate_into(folder, 1)
    assert "do not deploy" not in said(folder, "compare")
    results = folder / "metrics/evaluation_results.json"
    results.write_text(results.read_text().replace('"passed": true', '"passed": false'))
    output = " ".join(said(folder, "compare", "--html", str(tmp_path / "c.html")).split())
    assert "better than HEAD. It did not pass validation, though: do not deploy it yet." in output
    assert "Did not pass validation against the base model: workspace." in output
    assert "do not deploy it yet" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_front_holds_what_is_neither_worse_nor_dearer(revisions: Path, tmp_path: Path) -> None:
    said(revisions, "compare", "--against", "first", "better", "workspace", "--csv", str(tmp_path / "c.csv"))
    assert {name: row["on_pareto_front"] for name, row in rows_of(tmp_path / "c.csv").items()} == {
        "first": "1", "better": "1", "workspace": "1"
    }  # fmt: skip
    said(revisions, "compare", "--against", "first", "better", "--cost", "minutes", "--csv", str(tmp_path / "c.csv"))
    assert {row["on_pareto_front"] for row in rows_of(tmp_path / "c.csv").values()} == {"0"}


def test_another_test_is_not_compared_and_says_how_much_is_common(revisions: Path, tmp_path: Path) -> None:
    output = said(revisions, "compare", "--against", "better", "other", "--csv", str(tmp_path / "c.csv"))
    row = rows_of(tmp_path / "c.csv")["other"]
    assert (row["judgement"], row["p_value"], row["on_pareto_front"]) == ("not compared", "", "0")
    assert "of its 30 test utterances 24 are among the 24 of better" in " ".join(output.split())


def test_common_utterances_can_be_compared_alone(revisions: Path, tmp_path: Path) -> None:
    output = said(revisions, "compare", "--against", "better", "other", "--common", "--csv", str(tmp_path / "c.csv"))
    row = rows_of(tmp_path / "c.csv")["other"]
    assert (row["utterances"], row["judgement"]) == ("24", "same")
    assert "Only the 24 utterances that all were tested on count." in output


def test_page_is_whole_by_itself_and_escapes_names(revisions: Path, tmp_path: Path) -> None:
    git(revisions, "branch", "--force", "<b>&co", "better")
    said(revisions, "compare", "--against", "first", "<b>&co", "--html", str(tmp_path / "c.html"))
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    seen = _Tags(page)
    assert {"table", "svg", "h1"} <= set(seen.tags)
    assert "b" not in seen.tags
    assert "&lt;b&gt;&amp;co" in page
    assert not re.search(r"https?:|src=|href=\"[^d#]|@import|url\(", page)
    assert seen.tags.count("circle") == 0
    assert page.count('<path class="tuned"') == 2  # both are on the front
    assert "The lowest WER beyond chance: &lt;b&gt;&amp;co" in page


def test_experiments_that_lie_together_share_a_label_and_far_costs_an_axis_of_powers() -> None:
    near = [Point(str(n), 8 + 0.1 * n, 0.2, 0.1, 0.3, on_front=False) for n in range(2)]
    drawn = scatter([*near, Point("2", 400.0, 0.1, None, None, on_front=True)], "WER", "about", x_label="MB", y_label="WER")
    assert ">0, 1</text>" in drawn
    assert all(f">{tick}</text>" in drawn for tick in (5, 10, 50, 100, 200))


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_what_training_took_is_told_of_any_revision_that_has_its_figures(tmp_path: Path) -> None:
    folder = project(tmp_path / "timed")
    figures, curve = folder / "metrics/train.json", folder / "metrics/plots/training_loss.csv"
    for name, minutes in (("slow", 7.5), ("quick", 0.0312), ("elsewhere", None)):
        evaluate_into(folder, 3)
        figures.write_text(f'{{"steps": "{name}"}}')
        curve.write_text("step,loss\r\n1,0.5\r\n")
        if minutes is not None:
            took = {"minutes": minutes, "peak_memory_mb": 900}
            remember(WorkCache(), figures.read_text(encoding="utf-8"), curve.read_text(encoding="utf-8"), took)
        commit(folder, name)
        git(folder, "tag", name)
    output = said(folder, "compare", "--against", "slow", "quick", "elsewhere", "--csv", str(tmp_path / "c.csv"))
    told = {name: (row["minutes"], row["memory_mb"]) for name, row in rows_of(tmp_path / "c.csv").items()}
    assert told == {"slow": ("7.5", "900.0"), "quick": ("0.0312", "900.0"), "elsewhere": ("", "")}
    assert re.search(r"quick .* 0\.031 +900", output)
    assert "Unknown: minutes of elsewhere; memory, MB of elsewhere (" in output


def test_trend_tells_each_commit_that_changed_the_evaluation(revisions: Path, tmp_path: Path) -> None:
    output = said(revisions, "compare", "--trend", "--against", "other", "--csv", str(tmp_path / "t.csv"))
    lines = [line for line in output.splitlines() if re.match(r"^[0-9a-f]{7} ", line)]
    assert [line.split("  ")[-1].strip() for line in lines] == ["first", "better", "another test"]
    assert "~" in lines[2]
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        assert [row["utterances"] for row in csv.DictReader(file)] == ["24", "24", "30"]


def test_unknown_revision_is_one_line(revisions: Path) -> None:
    assert "'nowhere' is neither a commit, branch or tag of git nor an experiment" in refused(revisions, "compare", "nowhere")


def test_revision_without_metrics_is_one_line(tmp_path: Path) -> None:
    folder = project(tmp_path / "bare")
    commit(folder, "nothing evaluated")
    assert "HEAD has no metrics/evaluation_results.json" in refused(folder, "compare")
    assert "no commit up to HEAD has" in refused(folder, "compare", "--trend")


def test_older_metrics_are_refused_and_named_in_a_trend(tmp_path: Path) -> None:
    folder = project(tmp_path / "old")
    evaluate_into(folder, 3)
    results = folder / "metrics" / "evaluation_results.json"
    results.write_text(results.read_text().replace(FORMAT, "attune-evaluation-1"))
    commit(folder, "older")
    evaluate_into(folder, 3)
    assert "HEAD:metrics/evaluation_results.json has format 'attune-evaluation-1'" in refused(folder, "compare")
    commit(folder, "newer")
    assert "has format 'attune-evaluation-1'" in said(folder, "compare", "--trend")


def test_folder_outside_git_is_one_line(tmp_path: Path) -> None:
    folder = project(tmp_path / "plain")
    (folder / ".git").rename(tmp_path / "gone")
    assert "is not in a git repository" in refused(folder, "compare")


def test_project_below_the_root_of_its_repository_is_found(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    folder = tmp_path / "speech"
    folder.mkdir()
    set_params(folder, 8)
    evaluate_into(folder, 3)
    commit(tmp_path, "first")
    assert "the same errors" in said(folder, "compare")
    assert "first" in said(folder, "compare", "--trend")
