"""When is a correction too far from what was heard to be believed? Pure bounds, each with its own name.

A guard is a function of a claim and the bounds; it answers with the reason for refusing, or None. Each is off where its bound
is null or false in params.yaml. A further guard is one more function in GUARDS.

What language models do wrong when they correct transcripts, and so what is looked for: they talk (chatter), translate (script,
language), go round in circles (repetition), tell more or less than was said (edit_ratio, length_ratio, sound), put in what
sounds quite different (sound), make figures plausible (numbers), turn the sense round (negation), swap rare terms for common
words (glossary), mend what was heard surely (changed_confidence), and find right what was misheard (unchanged_…).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from attune.params import GuardParams
from attune.records import Edit
from attune.scoring import edits, score
from attune.text import compression_ratio, language_of, negations, normalize, numbers, repeats, scripts, sounding, units

_SURE = 0.7
"""How sure the language of a proposal must be before it counts."""
_LEAST = 1e-6
_SMALL, _SMALL_IN = 1, 4
"""So many sounds may change in words of so many sounds and more, whatever their share: endings."""
_MARKS = frozenset("*_~^`<>|\\{}[]()#")
_CHATTER = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:as an?|i am an?|i'?m an?) (?:ai|artificial|language model|large language)\b",
        r"\b(?:i'?m |i am )?(?:sorry|afraid)\b[^.]{0,40}\b(?:can(?:no|')t|cannot|unable)\b",
        r"\bi (?:can(?:no|')t|cannot|am unable to|won't) (?:assist|help|comply|provide|correct|transcribe|process|fulfil)",
        r"^\W*(?:sure|certainly|of course|absolutely|okay)\s*[,!:.]\s*(?:here|the|i)\b",
        r"\b(?:here is|here's|here are|below is) (?:the|your|a|my)\b[^.]{0,30}\b(?:correct|transcri|text|version|sentence)",
        r"\b(?:corrected|revised|improved|original|most likely) (?:text|transcript(?:ion)?|version|sentence|utterance)\b",
        r"\b(?:the|this) (?:transcript(?:ion)?|utterance) (?:is|was|says|seems|appears|reads|should|contains|has been)\b",
        r"\b(?:no (?:changes|corrections?) (?:needed|necessary|required|were made))\b|\bunchanged\b",
        r"\blet me know if\b|\bhope this helps\b|\bplease (?:provide|note that)\b|\bthanks? (?:you )?for watching\b",
        r"^\W*(?:note|explanation|correction|output|answer|transcript|assistant|user|system)\s*:",
        r"```|<\||\|>|\[/?inst\]|</?s>|\{\s*\"|\*\*",
    )
)
"""What models say of themselves and of their task, and marks that nobody pronounces."""


@dataclass(frozen=True)
class Claim:
    """A proposed text, and what it is judged by."""

    heard: str
    """By the baseline."""
    proposal: str
    alternatives: tuple[str, ...] = ()
    """What else the baseline may have heard."""
    likely: tuple[str, ...] = ()
    """Those of them that are nearly as likely as what it heard."""
    glossary: tuple[str, ...] = ()
    """Terms and names that the user's speakers use."""
    language: str | None = None
    """Code of ISO 639-1; None where nobody said."""
    confidences: tuple[float, ...] = ()
    """Of the baseline in each of the units of `heard`, 0 to 1; empty where whoever proposes listened, too."""
    probability: float | None = None
    """That all words of `heard` are right; None where whoever proposes listened, too."""


Guard = Callable[[Claim, GuardParams], str | None]


@dataclass(frozen=True)
class Refusal:
    """Which guard refused a proposal, and why."""

    guard: str
    reason: str
    """A clause with the value seen and its bound."""


def refuse(claim: Claim, params: GuardParams) -> Refusal | None:
    """The first refusal of the claim in the order of GUARDS; None where all of them let it pass."""
    for name, guard in GUARDS.items():
        if (reason := guard(claim, params)) is not None:
            return Refusal(name, reason)
    return None


def asked(params: GuardParams) -> tuple[str, ...]:
    """The names of the guards that these bounds leave on."""
    off = {key.removeprefix("max_").removeprefix("min_") for key, bound in params if bound is None or bound is False}
    return tuple(name for name in GUARDS if name not in off)


def empty(claim: Claim, _params: GuardParams) -> str | None:
    """Refuses a text without a word: there is nothing to learn from it."""
    return None if normalize(claim.proposal) else "no word in it"


def chatter(claim: Claim, params: GuardParams) -> str | None:
    """Refuses what a language model says of itself or of its task, and mark-up, where nobody was heard to say it."""
    if not params.chatter:
        return None
    said = [f" {normalize(text)} " for text in (claim.heard, *claim.alternatives)]
    found = (match.group().strip() for pattern in _CHATTER for match in pattern.finditer(claim.proposal))
    remark = next((text for text in found if not any(f" {normalize(text)} " in each for each in said)), None)
    if remark is None:
        strange = (c for c in claim.proposal if c in _MARKS or (unicodedata.category(c) == "So" and c != "°"))
        remark = next((c for c in strange if c not in claim.heard), None)
    return None if remark is None else f"{remark[:40]!r} is no part of a transcript"


def repetition(claim: Claim, params: GuardParams) -> str | None:
    """Refuses a text that says the same again and again, more than was heard."""
    if params.max_repetition is None:
        return None
    ratio, before = (compression_ratio(normalize(text)) or 0.0 for text in (claim.proposal, claim.heard))
    if ratio > before and (reason := _above(ratio, params.max_repetition, "times smaller by zlib")):
        return reason
    return "says the same again and again" if repeats(claim.proposal) and not repeats(claim.heard) else None


def script(claim: Claim, params: GuardParams) -> str | None:
    """Refuses letters of a script that neither what was heard nor the glossary is written in."""
    known = frozenset[str]().union(*map(scripts, (claim.heard, *claim.alternatives, *claim.glossary)))
    strange = sorted(scripts(claim.proposal) - known)
    if not params.script or not strange or not known:
        return None
    return f"{strange[0]} letters, heard were {', '.join(sorted(known))}"


def language(claim: Claim, params: GuardParams) -> str | None:
    """Refuses a text that is surely in another language than what was heard, or than the one that was said to be spoken."""
    if not params.language or normalize(claim.heard) == normalize(claim.proposal):
        return None
    code, probability = language_of(claim.proposal)
    expected = {claim.language or language_of(claim.heard)[0]} | {language_of(text)[0] for text in claim.alternatives}
    return f"its language is {code!r}, not {min(expected)!r}" if probability >= _SURE and code not in expected else None


def edit_ratio(claim: Claim, params: GuardParams) -> str | None:
    """Refuses more word edits per baseline word than the bound; one edit is never too many, an empty baseline is one word."""
    if params.max_edit_ratio is None:
        return None
    before, after = units(claim.heard), units(claim.proposal)
    count = Levenshtein.distance(before, after)
    if count <= 1:
        return None
    return _above(count / max(1, len(before)), params.max_edit_ratio, "word edits per baseline word")


def length_ratio(claim: Claim, params: GuardParams) -> str | None:
    """Refuses texts of too different length: the longer over the shorter, in normalised characters, empty counts as one."""
    if params.max_length_ratio is None:
        return None
    lengths = sorted(max(1, len(normalize(text))) for text in (claim.heard, claim.proposal))
    return _above(lengths[1] / lengths[0], params.max_length_ratio, "times the shorter text's characters")


def changed_numbers(claim: Claim, params: GuardParams) -> str | None:
    """Refuses other numbers in numbers' places, in figures or words, unless a likely alternative has just these.

    A number for a word that sounds like it (two for too) is the next guard's to judge.
    """
    said, proposed, *likely = (Counter(numbers(t, claim.language)) for t in (claim.heard, claim.proposal, *claim.likely))
    gone, new = said - proposed, proposed - said
    if not params.numbers or proposed in (said, *likely):
        return None
    one_sided = (e.heard or e.gold for e in edits(claim.heard, claim.proposal) if not (e.heard and e.gold))
    if (gone and new) or any(numbers(text, claim.language) for text in one_sided):
        return f"{' '.join(new.elements()) or 'no number'} where {' '.join(gone.elements()) or 'none'} was heard"
    return None


def negation(claim: Claim, params: GuardParams) -> str | None:
    """Refuses more or fewer negations than were heard, unless a likely alternative has as many."""
    said, proposed, *likely = map(negations, (claim.heard, claim.proposal, *claim.likely))
    if not params.negation or said == proposed or proposed in likely:
        return None
    return f"{proposed} negation(s), heard were {said}"


def lost_terms(claim: Claim, params: GuardParams) -> str | None:
    """Refuses to lose a term of the glossary that was heard."""
    if not params.glossary:
        return None
    heard, proposed = (f" {normalize(text)} " for text in (claim.heard, claim.proposal))
    lost = [term for term in claim.glossary if f" {normalize(term)} " in heard and f" {normalize(term)} " not in proposed]
    return f"loses the term {lost[0]!r}" if lost else None


def sound(claim: Claim, params: GuardParams) -> str | None:
    """Refuses words that sound unlike those they replace, come from nowhere or go, unless an alternative has that very change.

    The distance is the share of edits between both, sound by sound (`text.sounding`); one sound of many may always change.
    """
    if params.max_sound_distance is None:
        return None
    for edit in edits(claim.heard, claim.proposal):
        if _is_witnessed(claim, edit):
            continue
        before, after = (sounding(text).replace(" ", "") for text in (edit.heard, edit.gold))
        distance = Levenshtein.distance(before, after)
        share = distance / max(len(before), len(after)) if before and after else 1.0
        if distance <= _SMALL and min(len(before), len(after)) >= _SMALL_IN:
            continue
        if share > params.max_sound_distance:
            both = f"{edit.gold or 'nothing'!r} sounds unlike {edit.heard or 'nothing'!r}"
            return f"{both} ({share:.2f} of its sounds, bound {params.max_sound_distance:g})"
    return None


def changed_confidence(claim: Claim, params: GuardParams) -> str | None:
    """Refuses to change what the baseline heard surely, by the least confidence in a changed stretch, unless a likely
    alternative has that very change: who only reads must leave it."""
    bound = params.max_changed_confidence
    if bound is None or not claim.confidences:
        return None
    for edit in edits(claim.heard, claim.proposal):
        least = min(claim.confidences[edit.at : edit.at + len(edit.heard.split())], default=0.0)
        if least > bound and not _is_witnessed(claim, edit, claim.likely):
            return f"{edit.heard!r} was heard with confidence {least:.3f}, bound {bound:g}"
    return None


def unchanged_confidence(claim: Claim, params: GuardParams) -> str | None:
    """Refuses texts of which words stay that the baseline itself is not sure of, by the geometric mean of its confidences.

    Who only reads cannot know whether the rest of a misheard utterance is right.
    """
    bound, changes = params.min_unchanged_confidence, edits(claim.heard, claim.proposal)
    if bound is None or not claim.confidences or not changes:
        return None
    changed = {place for edit in changes for place in range(edit.at, edit.at + len(edit.heard.split()))}
    rest = [max(value, _LEAST) for place, value in enumerate(claim.confidences) if place not in changed]
    mean = math.exp(sum(map(math.log, rest)) / len(rest)) if rest else 1.0
    return f"{mean:.2f} is the confidence in the words that stay, bound {bound:g}" if mean < bound else None


def unchanged_probability(claim: Claim, params: GuardParams) -> str | None:
    """Refuses texts that were left as they were heard where it is not probable enough that all of their words are right."""
    bound, probability = params.min_unchanged_probability, claim.probability
    if bound is None or probability is None or edits(claim.heard, claim.proposal):
        return None
    return f"{probability:.2f} is the probability that it was heard rightly, bound {bound:g}" if probability < bound else None


def doubt_reference(heard: str, reference: str, params: GuardParams) -> str | None:
    """Why a human's text may not belong to its recording: it is too far from what was heard. No guard: people are believed."""
    longest = max(1, len(normalize(heard)), len(normalize(reference)))
    counts = score("", reference, heard).characters
    return _above(counts.errors / longest, params.max_reference_distance, "character edits per character from what was heard")


GUARDS: Mapping[str, Guard] = {
    "empty": empty,
    "chatter": chatter,
    "script": script,
    "repetition": repetition,
    "length_ratio": length_ratio,
    "edit_ratio": edit_ratio,
    "language": language,
    "numbers": changed_numbers,
    "negation": negation,
    "glossary": lost_terms,
    "sound_distance": sound,
    "changed_confidence": changed_confidence,
    "unchanged_confidence": unchanged_confidence,
    "unchanged_probability": unchanged_probability,
}
"""Every guard by the name it is counted under, in the order they are asked."""


def _is_witnessed(claim: Claim, edit: Edit, among: tuple[str, ...] | None = None) -> bool:
    """Whether an alternative has the new words after the same word, or before the same one; both, where words only go."""
    said, new = [None, *units(claim.heard), None], edit.gold.split()
    left, right = said[edit.at], said[edit.at + len(edit.heard.split()) + 1]
    for text in claim.alternatives if among is None else among:
        other = [None, *units(text), None]
        runs = {tuple(other[at : at + len(new) + 1]) for at in range(len(other))}
        after, before = (left, *new) in runs, (*new, right) in runs
        if (after or before) if new else (left, right) in {*pairwise(other)}:
            return True
    return False


def _above(value: float, bound: float, what: str) -> str | None:
    return f"{value:.2f} {what}, bound {bound:g}" if value > bound else None
