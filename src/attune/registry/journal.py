"""What happened to the versions of a model, as `gto history` tells it, and what follows: versions, stages, the way back."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from attune.errors import RegistryError
from attune.shell import Shell

ROLLBACK = "Rollback"
"""What the message of a tag begins with that takes a stage back, rather than on."""
_KINDS = ("registration", "deregistration", "assignment", "unassignment")
_COUNT = re.compile(r"#(\d+)$")


@dataclass(frozen=True)
class Event:
    """One tag."""

    kind: str
    """registration, deregistration, assignment or unassignment."""
    made_at: str
    """ISO 8601 with offset."""
    version: str
    stage: str | None
    commit: str
    author: str
    message: str
    tag: str


@dataclass(frozen=True)
class Journal:
    """All tags of the artifact `name`, oldest first."""

    name: str
    events: tuple[Event, ...]

    def versions(self) -> list[Event]:
        """Registrations that were not taken back, oldest version first."""
        kept = [event for event in self.registered() if event.version not in self.pruned()]
        return sorted(kept, key=lambda event: version_order(event.version))

    def registered(self) -> list[Event]:
        """Every registration there ever was."""
        return [event for event in self.events if event.kind == "registration"]

    def pruned(self) -> set[str]:
        """Versions that were deregistered."""
        return {event.version for event in self.events if event.kind == "deregistration"}

    def find(self, version: str) -> Event:
        """The registration of a version. Raises RegistryError for one that there is not."""
        known = {event.version: event for event in self.registered()}
        if version not in known:
            there = ", ".join(sorted(known, key=version_order)[-5:]) or "none yet; make one with: attune model register"
            raise RegistryError(f"{self.name} has no version {version}; there are: {there}")
        if version in self.pruned():
            raise RegistryError(f"{self.name} {version} was pruned, its files are gone; see: attune model list")
        return known[version]

    def stages(self) -> dict[str, str]:
        """The version in each stage that has one."""
        stacks = {event.stage: self._stack(event.stage) for event in self.events if event.stage is not None}
        return {stage: stack[-1] for stage, stack in stacks.items() if stack}

    def way_back(self, stage: str) -> str | None:
        """What was in a stage before what is there now, rollbacks taken as such: two in a row go back two steps."""
        stack = self._stack(stage)
        return stack[-2] if len(stack) > 1 else None

    def holder(self, stage: str) -> Event:
        """The version in a stage. Raises RegistryError where it is empty."""
        filled = self.stages()
        if stage not in filled:
            others = ", ".join(f"{name}: {version}" for name, version in sorted(filled.items())) or "no stage has one"
            raise RegistryError(
                f"no version of {self.name} is in stage {stage} ({others}); put one there with: "
                f"attune model promote --stage {stage}"
            )
        return self.find(filled[stage])

    def _stack(self, stage: str) -> list[str]:
        """Versions in a stage, each over the one that it took the place of."""
        stack = list[str]()
        for event in self.events:
            if event.stage != stage:
                continue
            if event.kind == "unassignment":
                stack = [version for version in stack if version != event.version]
            elif event.message.startswith(ROLLBACK) and event.version in stack:
                del stack[stack.index(event.version) + 1 :]
            else:
                stack = [version for version in stack if version != event.version] + [event.version]
        return stack


def read_journal(shell: Shell, name: str) -> Journal:
    """The tags of the repository that `shell` is in. Raises RegistryError where GTO cannot read it."""
    printed = shell.run("gto", "history", name, "--json")
    rows = json.loads(printed[printed.index("[") :])
    return journal(name, rows)


def journal(name: str, rows: Iterable[Mapping[str, object]]) -> Journal:
    """The same of parsed JSON. GTO dates tags to the second and leaves those of one second in any order: they count on."""
    events = [_event(row) for row in rows if row["event"] in _KINDS]
    return Journal(name, tuple(sorted(events, key=_order)))


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sorts v1.10.0 after v1.9.0, and v1.0.0-rc.1 before v1.0.0."""
    head, _, rest = version.removeprefix("v").partition("-")
    return tuple(int(part) for part in re.findall(r"\d+", head)), not rest, rest


def _event(row: Mapping[str, object]) -> Event:
    text = {key: "" if value is None else str(value) for key, value in row.items()}
    stage = text["stage"] or None
    return Event(
        text["event"], text["timestamp"], text["version"], stage, text["commit"], text["author"], text["message"], text["ref"]
    )


def _order(event: Event) -> tuple[datetime, int, int]:
    counted = _COUNT.search(event.tag)
    return datetime.fromisoformat(event.made_at), _KINDS.index(event.kind), int(counted[1]) if counted else 0
