"""Versions and stages over a bare repository: what each command does, and what it refuses."""

import shutil
import subprocess
from pathlib import Path

import pytest
from projects import commit, evaluate_into, git
from registries import Place, make_place, own_place

from attune.registry.sharing import share
from attune.shell import Shell


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_place(folder / "anna")
    return folder


@pytest.fixture
def anna(made: Path, tmp_path: Path) -> Place:
    """A project that nothing was registered in yet; of its own, as is what it shares."""
    return own_place(made, tmp_path / "w")


def test_versions_go_to_stages_and_the_commands_are_told(anna: Place) -> None:
    done = anna.attune("model", "register")
    assert done.exit_code == 0, done.output
    for command in ("$ git fetch", "$ git for-each-ref", "$ dvc push models/ct2", "$ gto register stt", "$ git push"):
        assert command in done.stderr
    assert "stt v1.0.0 is registered" in done.stdout
    assert "v1.0.0 is in prod" in anna.said("model", "promote", "--yes")
    assert "is in prod already" in anna.said("model", "promote", "--yes")
    shown = anna.said("model", "show")
    assert "stt v1.0.0: WER" in shown
    assert "stages: prod" in shown


def test_a_command_that_is_told_can_be_typed_whatever_is_in_it(tmp_path: Path) -> None:
    told = list[str]()
    message = "a 'b'\\n\n\"c\" $HOME"
    Shell(tmp_path, told.append).answer("git", message)
    typed = subprocess.run(["bash", "-c", told[0].replace("$ git", "printf %s", 1)], capture_output=True, text=True, check=True)
    assert typed.stdout == message


def test_a_rollback_takes_a_stage_back_and_history_tells_it(anna: Place) -> None:
    for number, version in enumerate(("v1.0.0", "v2.0.0")):
        anna.train(f"weights {number}", errors=2 - number)
        assert version in anna.said("model", "register", "--bump", "major")
        anna.said("model", "promote", "--yes")
    assert "v1.0.0 is in prod again, in place of v2.0.0" in anna.said("model", "rollback", "--reason", "it mishears names")
    listed = anna.said("model", "list").splitlines()
    assert [line.split()[0] for line in listed[:2]] == ["v2.0.0", "v1.0.0"]
    assert "prod" in listed[1]
    assert listed[2] == "no version is in: staging"
    history = anna.said("model", "history").splitlines()
    assert len(history) == 5
    assert "Rollback of stt in prod from v2.0.0 to v1.0.0: it mishears names" in history[0]
    assert "% of v1.0.0 -> " in anna.said("model", "show", "v2.0.0")


def test_a_tag_says_when_of_how_much_how_good_and_what_became_better(anna: Place) -> None:
    anna.said("model", "register")
    message = git(anna.folder, "tag", "--list", "--format=%(contents)", "stt@v1.0.0")
    for part in ("date: 20", "data: ", "WER: ", "95% interval", "base WER: ", "validation: passed", "points lower", "speakers"):
        assert part in message
    assert "speaker1" not in message  # people's names stay out of tags
    assert git(anna.folder, "ls-remote", "--tags", "origin", "stt@v1.0.0")


def test_what_did_not_pass_is_registered_only_for_a_reason(anna: Place) -> None:
    anna.train("worse", errors=7)
    assert "did not pass validation" in anna.refused("model", "register")
    assert "wants a reason" in anna.refused("model", "register", "--force", " ")
    assert not anna.tags()
    anna.said("model", "register", "--force", "a pilot with three doctors")
    assert "forced: a pilot with three doctors" in anna.said("model", "show", "v1.0.0")


def test_a_version_is_a_commit_that_is_whole(anna: Place) -> None:
    params = anna.folder / "params.yaml"
    params.write_text(params.read_text() + "\n")
    assert "params.yaml is changed but not committed" in anna.refused("model", "register")
    git(anna.folder, "checkout", "--quiet", "params.yaml")
    assert "dvc.yaml of HEAD has no artifact tts (it has: stt)" in anna.refused("model", "register", "--name", "tts")
    anna.said("model", "register")
    assert "HEAD is stt v1.0.0 already" in anna.refused("model", "register")
    anna.train("second")
    assert "v1.0.0 exists, and versions never change" in anna.refused("model", "register", "--version", "v1.0.0")
    for wrong in ("banana", "1.2.0", "v1.2", "v01.2.0"):
        assert anna.refused("model", "register", "--version", wrong).startswith(f"attune: {wrong} is no version")
    git(anna.folder, "rm", "--quiet", "metrics/evaluation_results.json")
    commit(anna.folder, "no metrics")
    assert "evaluation_results.json is not in git at HEAD" in anna.refused("model", "register")
    assert anna.tags() == ["stt@v1.0.0"]


def test_a_model_that_does_not_get_into_storage_gets_no_version(anna: Place) -> None:
    anna.dvc("remote", "remove", "storage")
    commit(anna.folder, "no storage")
    assert "attune storage use" in anna.refused("model", "register")
    assert not anna.tags()


def test_names_that_are_unknown_are_told_with_those_that_are_there(anna: Place) -> None:
    assert "has no version yet" in anna.refused("model", "promote", "--yes")
    anna.said("model", "register")
    assert "there is no stage live; there are: staging, prod" in anna.refused("model", "promote", "--stage", "live", "--yes")
    assert "no version v9.9.9; there are: v1.0.0" in anna.refused("model", "promote", "v9.9.9", "--yes")
    assert "no version of stt is in stage prod" in anna.refused("model", "rollback")
    anna.said("model", "promote", "--yes")
    assert "prod had nothing before v1.0.0" in anna.refused("model", "rollback")


def test_what_was_never_in_a_stage_is_not_rolled_back_to_as_nobody_approved_it(anna: Place) -> None:
    anna.said("model", "register")
    anna.said("model", "promote", "--yes")
    anna.train("second")
    anna.said("model", "register")
    said = anna.refused("model", "rollback", "--to", "v1.1.0")
    assert "v1.1.0 was never in prod, so nobody approved it for that: attune model promote v1.1.0 --stage prod" in said
    anna.said("model", "promote", "--yes")
    anna.said("model", "rollback")
    assert "v1.1.0 is in prod again" in anna.said("model", "rollback", "--to", "v1.1.0")


def test_a_promotion_wants_a_persons_yes_unless_params_say_otherwise(anna: Place) -> None:
    anna.said("model", "register")
    assert "nobody is here to approve" in anna.refused("model", "promote")
    answered = anna.attune("model", "promote", answer="n\n")
    assert answered.exit_code == 2
    assert "was not approved; prod has no version as before" in answered.stderr
    assert anna.tags() == ["stt@v1.0.0"]
    assert anna.attune("model", "promote", answer="y\n").exit_code == 0
    params = anna.folder / "params.yaml"
    params.write_text(params.read_text().replace("approval: true", "approval: false"))
    anna.said("model", "promote", "--stage", "staging")


def test_what_is_missing_in_storage_is_not_promoted(anna: Place) -> None:
    anna.said("model", "register")
    weights = next(path for path in (anna.folder.parent / "storage").rglob("*") if path.is_file() and path.stat().st_size == 500)
    weights.unlink()
    said = anna.refused("model", "promote", "--yes")
    assert "models/ct2/model.bin" in said
    assert "dvc push models/ct2" in said


def test_of_two_who_promote_at_once_one_wins_and_the_other_is_told(anna: Place, tmp_path: Path) -> None:
    anna.said("model", "register")
    anna.train("second")
    anna.said("model", "register")
    git(anna.folder, "push", "--quiet", "origin", "main")
    ben = anna.clone(tmp_path / "w" / "ben")
    # ben's command has looked, and just before it pushes anna's is through
    hook = ben.folder / ".git" / "hooks" / "pre-push"
    hook.write_text(f"#!/bin/sh\ncd {anna.folder} && git push --quiet origin refs/tags/stt#prod#1\n")
    hook.chmod(0o755)
    git(anna.folder, "tag", "--annotate", "--message", "Promotion", "stt#prod#1", "stt@v1.0.0^{commit}")
    said = ben.refused("model", "promote", "v1.1.0", "--yes")
    assert "somebody else was quicker" in said
    assert "stt#prod#1" not in ben.tags()
    hook.unlink()
    assert "v1.0.0 to prod" in ben.said("model", "history")  # as the refusal advises
    ben.said("model", "promote", "v1.1.0", "--yes")
    assert git(anna.folder, "ls-remote", "--tags", "origin", "stt#prod#2")


def test_what_a_killed_command_left_is_taken_back(anna: Place) -> None:
    anna.said("model", "register")
    git(anna.folder, "tag", "--annotate", "--message", "half done", "stt#prod#1", "stt@v1.0.0^{commit}")
    (anna.folder / ".git" / "attune-registry").write_text("99999999\nstt@v1.0.0")
    anna.said("model", "promote", "--stage", "staging", "--yes")
    assert anna.tags() == ["stt#staging#1", "stt@v1.0.0"]


def test_tags_that_clash_with_those_of_others_are_named_with_the_command_that_mends_it(anna: Place, tmp_path: Path) -> None:
    ben = anna.clone(tmp_path / "w" / "ben")
    git(ben.folder, "tag", "--annotate", "--message", "his own", "stt@v1.0.0")
    anna.said("model", "register")
    said = ben.refused("model", "promote", "--yes")
    assert "stt@v1.0.0 says one thing here and another one in origin" in said
    assert "git tag --delete 'stt@v1.0.0'" in said


def test_everything_works_without_anybody_to_share_with(anna: Place) -> None:
    git(anna.folder, "remote", "remove", "origin")
    assert "nobody else sees this" in anna.attune("model", "register").stderr
    anna.said("model", "promote", "--yes")
    assert "prod" in anna.said("model", "list")


def test_what_is_known_here_is_shown_where_others_cannot_be_asked(anna: Place) -> None:
    anna.said("model", "register")
    git(anna.folder, "remote", "set-url", "origin", str(anna.folder.parent / "gone.git"))
    for command in ("list", "history"):
        shown = anna.attune("model", command)
        assert "v1.0.0" in shown.stdout
        assert "# shown is what this copy knows, as git remote origin cannot be reached" in shown.stderr


def test_without_git_there_are_no_versions(tmp_path: Path, anna: Place) -> None:
    (tmp_path / "plain").mkdir()
    shutil.copy(anna.folder / "params.yaml", tmp_path / "plain")
    plain = Place(tmp_path / "plain")
    assert "git init" in plain.refused("model", "list")
    git(plain.folder, "init", "--quiet")
    assert "has no commit yet" in plain.refused("model", "register")


def test_a_verdict_of_another_run_is_not_believed(anna: Place) -> None:
    lock = "schema: '2.0'\nstages:\n  evaluate:\n    cmd: x\n    outs:\n    - {path: metrics/evaluation_results.json, md5: %s}\n"
    (anna.folder / "dvc.lock").write_text(lock % ("0" * 32))
    commit(anna.folder, "lock")
    assert "is not the one that dvc.lock names" in anna.refused("model", "register")
    evaluate_into(anna.folder, 1)


def test_prune_tells_then_removes_what_only_old_versions_need(anna: Place) -> None:
    for number in range(3):
        anna.train(f"weights {number}")
        anna.said("model", "register")
    git(anna.folder, "push", "--quiet", "origin", "main")
    storage = anna.folder.parent / "storage"
    before = {path.name for path in storage.rglob("*") if path.is_file()}
    planned = anna.said("model", "prune", "--keep", "1")
    assert "stt v1.0.0: would be removed\nstt v1.1.0: would be removed\n4 files" in planned
    assert "kept: v1.2.0" in planned
    assert {path.name for path in storage.rglob("*") if path.is_file()} == before
    assert "4 files of 0.0 MB removed" in anna.said("model", "prune", "--keep", "1", "--remove")
    assert len(before - {path.name for path in storage.rglob("*") if path.is_file()}) == 4
    assert "v1.1.0" not in anna.said("model", "list")
    assert "was pruned, its files are gone" in anna.refused("model", "promote", "v1.1.0", "--yes")
    assert "0 files" in anna.said("model", "prune", "--keep", "1", "--remove")
    anna.said("model", "promote", "--yes")  # looks whether its files are all there


def test_an_interrupt_takes_the_tag_back(anna: Place) -> None:
    def make() -> None:
        git(anna.folder, "tag", "--annotate", "--message", "interrupted", "stt@v1.0.0")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share(Shell(anna.folder, lambda line: None), "stt", "origin", make)
    assert not anna.tags()
    assert not (anna.folder / ".git" / "attune-registry").exists()


def test_a_tag_of_the_future_is_told_as_dvc_would_go_on_believing_it(anna: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    anna.said("model", "register")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-01-01T00:00:00+0000")
    git(anna.folder, "tag", "--annotate", "--message", "Promotion", "stt#prod#1", "stt@v1.0.0^{commit}")
    monkeypatch.delenv("GIT_COMMITTER_DATE")
    assert "later than it is by the clock here" in anna.refused("model", "promote", "--stage", "staging", "--yes")
    assert anna.tags() == ["stt#prod#1", "stt@v1.0.0"]
