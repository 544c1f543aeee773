"""Which version a stage has: promoted on with somebody's approval, rolled back to what was there before."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from attune.errors import EnvironmentFault, RegistryError
from attune.registry.journal import ROLLBACK, Event, Journal, read_journal
from attune.registry.sharing import refresh, require_repository, share
from attune.registry.storing import require_stored
from attune.shell import Shell

_PATIENCE_S = 3.0


@dataclass(frozen=True)
class Move:
    """One version that takes the place of another in a stage."""

    name: str
    stage: str
    version: Event
    former: str | None

    @property
    def sentence(self) -> str:
        """What happens, for a person who approves or reads of it."""
        place = f"where {self.former} is" if self.former else "which is empty"
        return f"{self.version.version} to {self.stage}, {place}: {self.version.message.splitlines()[0]}"


Approve = Callable[[Move], bool]


def promote(shell: Shell, name: str, version: str | None, stage: str, approve: Approve) -> tuple[Move, bool]:
    """Puts a version, the newest if None, in a stage; the move, and whether it was needed. Raises RegistryError where it cannot
    be, somebody else was quicker, or `approve` says no; then the stage is as it was."""
    require_repository(shell)
    remote = refresh(shell, name)
    known = read_journal(shell, name)
    wanted = _newest(known) if version is None else known.find(version)
    move = Move(name, stage, wanted, known.stages().get(stage))
    if move.former == wanted.version:
        return move, False
    require_stored(shell, name, wanted.tag)
    if not approve(move):
        raise RegistryError(f"{wanted.version} was not approved; {stage} has {move.former or 'no version'} as before")
    _assign(shell, remote, known, move, f"Promotion of {name} {wanted.version} to {stage}")
    return move, True


def roll_back(shell: Shell, name: str, stage: str, version: str | None, reason: str | None) -> Move:
    """Puts the version in a stage that was there before, or by name another one that once was. Raises RegistryError for one that
    never was: nobody approved it."""
    require_repository(shell)
    remote = refresh(shell, name)
    known = read_journal(shell, name)
    now = known.holder(stage).version
    before = version or known.way_back(stage)
    if before is None:
        raise RegistryError(
            f"{stage} had nothing before {now}; put another version there: attune model promote VERSION --stage {stage}"
        )
    if before == now:
        raise RegistryError(f"{stage} has {now} already; see what was there: attune model history")
    move = Move(name, stage, known.find(before), now)
    if before not in known.had(stage):
        raise RegistryError(
            f"{before} was never in {stage}, so nobody approved it for that: attune model promote {before} --stage {stage}"
        )
    _assign(
        shell, remote, known, move, f"{ROLLBACK} of {name} in {stage} from {now} to {before}{f': {reason}' if reason else ''}"
    )
    return move


def require_stage(stage: str, stages: Sequence[str]) -> None:
    """Raises RegistryError for a stage that there is not."""
    if stage not in stages:
        raise RegistryError(f"there is no stage {stage}; there are: {', '.join(stages)} (registry.stages in params.yaml)")


def _assign(shell: Shell, remote: str | None, known: Journal, move: Move, message: str) -> None:
    """Tags it. DVC and GTO believe the tag of the latest second, so this one must be later than all others."""
    _wait_for_clock(known)
    command = ("gto", "assign", move.name, "--version", move.version.version, "--stage", move.stage, "--force", "-m", message)
    share(shell, move.name, remote, lambda: shell.run(*command))


def _wait_for_clock(known: Journal) -> None:
    latest = max((datetime.fromisoformat(event.made_at).timestamp() for event in known.events), default=0.0)
    missing_s = latest + 1 - time.time()
    if missing_s > _PATIENCE_S:
        raise EnvironmentFault(
            f"the newest tag is of {known.events[-1].made_at}, {missing_s:.0f} s later than it is by the clock here, and what is "
            "tagged now would not count; set the clock, or wait"
        )
    time.sleep(max(0.0, missing_s))


def _newest(known: Journal) -> Event:
    there = known.versions()
    if not there:
        raise RegistryError(f"{known.name} has no version yet; make one with: attune model register")
    return there[-1]
