"""What happened to the versions of a model, and what follows: versions, stages, the way back.

GTO writes the tags; they are read here by their names (https://mlem.ai/doc/gto/user-guide#git-tags-format), as starting
`gto history` takes longer than all else. A test holds that both tell the same.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from attune.errors import RegistryError
from attune.shell import Shell

ROLLBACK = "Rollback"
"""What the message of a tag begins with that takes a stage back, rather than on."""
_KINDS = ("registration", "deregistration", "assignment", "unassignment")
_NAMED = re.compile(r"(?:@(?P<version>v\d+\.\d+\.\d+[^!#]*)|#(?P<stage>[^!#]+))(?P<back>!?)(?:#(?P<count>\d+))?")
"""What stands behind the artifact's name in a tag: `@v1.0.0`, `@v1.0.0!`, `#prod#3`, `#prod!#4`."""
_FIELDS = ("refname:strip=2", "*objectname", "taggerdate:raw", "taggername", "contents")
_FORMAT = "%00".join(f"%({field})" for field in _FIELDS) + "%00"


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
            there = ", ".join(event.version for event in self.versions()[-5:]) or "none; make one with: attune model register"
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

    def had(self, stage: str) -> set[str]:
        """Every version that ever was in a stage."""
        return {event.version for event in self.events if event.stage == stage and event.kind == "assignment"}

    def left(self, stage: str) -> str | None:
        """What a stage had until the last thing happened to it: after a rollback, what was taken back."""
        happened = tuple(event for event in self.events if event.stage == stage)
        return Journal(self.name, happened[:-1]).stages().get(stage)

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
    """The tags of the repository that `shell` is in."""
    printed = shell.run("git", "for-each-ref", f"--format={_FORMAT}", *tag_refs(name)).split("\0")
    tags = zip(*(printed[field :: len(_FIELDS)] for field in range(len(_FIELDS))), strict=False)  # a line break is left over
    return journal(name, (_event(name, *tag) for tag in tags))


def journal(name: str, found: Iterable[Event | None]) -> Journal:
    """The same of single events; None is left out. Tags are dated to the second: of one second their counts decide."""
    events = sorted((event for event in found if event is not None), key=_order)
    registered = dict[str, str]()
    for number, event in enumerate(events):
        if event.kind == "registration":
            registered[event.commit] = event.version
        elif event.stage is not None:  # such a tag names a commit, and no version
            events[number] = replace(event, version=registered.get(event.commit, event.commit))
    return Journal(name, tuple(events))


def tag_refs(name: str) -> tuple[str, str]:
    """Patterns of all tags of the artifact."""
    return f"refs/tags/{name}@*", f"refs/tags/{name}#*"


def version_order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sorts v1.10.0 after v1.9.0, and v1.0.0-rc.1 before v1.0.0."""
    head, _, rest = version.removeprefix("v").partition("-")
    return tuple(int(part) for part in re.findall(r"\d+", head)), not rest, rest


def _event(name: str, tag: str, commit: str, made: str, author: str, message: str) -> Event | None:
    """None for a tag that is not GTO's: one of another form, or without a message."""
    tag = tag.strip()
    parts = _NAMED.fullmatch(tag.removeprefix(name))
    if parts is None or not commit:
        return None
    kind = _KINDS[2 * (parts["stage"] is not None) + bool(parts["back"])]
    return Event(kind, _date(made), parts["version"] or "", parts["stage"], commit, author, message.strip(), tag)


def _date(raw: str) -> str:
    """ISO 8601 of git's seconds and offset: `1732255615 +0100`."""
    seconds, offset = raw.split()
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return datetime.fromtimestamp(int(seconds), timezone(-ahead if offset[0] == "-" else ahead)).isoformat()


def _order(event: Event) -> tuple[datetime, int, int]:
    parts = _NAMED.search(event.tag)
    return datetime.fromisoformat(event.made_at), _KINDS.index(event.kind), int((parts and parts["count"]) or 0)
