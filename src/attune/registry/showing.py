"""Versions, stages and what happened, as lines for a terminal."""

from collections.abc import Iterator, Sequence

from attune.registry.journal import Event, Journal


def listed(known: Journal, stages: Sequence[str]) -> Iterator[str]:
    """A line for each version, newest first: number, day, stages, headline; then the stages that are empty."""
    held = known.stages()
    versions = known.versions()
    for event in reversed(versions):
        at = ", ".join(stage for stage, version in sorted(held.items()) if version == event.version)
        yield f"{event.version:10}{event.made_at[:10]:12}{at:16}{_headline(known, event)}"
    if not versions:
        yield f"{known.name} has no version yet; make one with: attune model register"
    empty = [stage for stage in stages if stage not in held]
    if versions and empty:
        yield f"no version is in: {', '.join(empty)}"


def described(known: Journal, version: Event) -> Iterator[str]:
    """Everything that is known of one version."""
    at = [stage for stage, held in sorted(known.stages().items()) if held == version.version]
    yield from version.message.rstrip().splitlines()
    yield f"registered: {version.made_at} by {version.author}"
    yield f"commit: {version.commit}"
    yield f"stages: {', '.join(at) or 'none'}"


def told(known: Journal) -> Iterator[str]:
    """A line for each tag, newest first."""
    for event in reversed(known.events):
        what = {
            "registration": f"{event.version} registered",
            "deregistration": f"{event.version} pruned",
            "assignment": f"{event.version} to {event.stage}",
            "unassignment": f"{event.version} out of {event.stage}",
        }[event.kind]
        yield f"{event.made_at}  {event.author:16} {what:24} {_headline(known, event)}"


def _headline(known: Journal, event: Event) -> str:
    """The first line of the tag, without what stands before it anyway."""
    first = next(iter(event.message.splitlines()), "")
    return first.removeprefix(f"{known.name} {event.version}: ")
