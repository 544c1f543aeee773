"""Sentences for the shipped models and the demo corpus, drawn from small grammars.

Two grammars: `everyday` is what the shipped models learn (home, clinic, commands, numbers); `clinic` adds
words and sentences that they have never heard, as a user's own field would. Which sentences are held out is
decided by a hash of the text, so that no sentence is ever both trained on and tested on.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LONGEST_WORDS = 11

_SLOTS: Mapping[str, Sequence[str]] = {
    "who": ("my mother", "my father", "the doctor", "the nurse", "my sister", "my brother", "the patient", "our teacher",
            "my friend", "the driver", "your daughter", "his son", "her husband", "my wife", "the woman", "the man",
            "the child", "our neighbour"),
    "they": ("i", "we", "you", "they"),
    "part": ("head", "back", "knee", "left arm", "right hand", "shoulder", "neck", "stomach", "chest", "foot", "ankle",
             "throat", "left ear", "right eye", "hip"),
    "symptom": ("pain", "a fever", "a cough", "a headache", "a rash", "trouble sleeping", "a sore throat", "no energy",
                "a cold", "bad dreams"),
    "medicine": ("the tablets", "the medicine", "the cream", "the drops", "the spray", "the vitamins", "the blue pills"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "month": ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
              "november", "december"),
    "when": ("today", "tomorrow", "last night", "this morning", "this evening", "next week", "on {day}", "after lunch",
             "before dinner", "every day", "since {day}"),
    "room": ("kitchen", "bedroom", "bathroom", "garden", "hall", "office", "living room", "garage"),
    "place": ("the market", "the hospital", "the station", "school", "the park", "the library", "the bank", "the beach",
              "the pharmacy", "work", "the city", "the village"),
    "food": ("bread", "milk", "apples", "coffee", "tea", "rice", "soup", "eggs", "fish", "cheese", "sugar", "water",
             "an orange", "some cake"),
    "thing": ("the window", "the door", "the light", "the radio", "the heating", "the fan", "the lamp", "the music",
              "the television", "the alarm"),
    "object": ("my keys", "the book", "a letter", "the phone", "her glasses", "the blue coat", "a red hat", "the ticket",
               "his bag", "a green box", "the white car", "the old chair"),
    "weather": ("cold", "warm", "windy", "rainy", "sunny", "cloudy", "dark", "quiet"),
    "feeling": ("better", "worse", "tired", "happy", "dizzy", "weak", "much better today", "a little sick", "nervous",
                "fine"),
    "unit": ("minutes", "hours", "days", "weeks", "months", "years"),
    "times": ("once a day", "twice a day", "three times a day", "every {n} hours", "with food", "at night"),
    "person": ("anna", "david", "maria", "peter", "susan", "thomas", "helen", "james", "laura", "robert"),
    "verb": ("walk", "run", "sleep", "eat", "drive", "sing", "read", "write", "cook", "swim"),
    # the words that only the `clinic` grammar has
    "drug": ("metformin", "insulin", "ibuprofen", "warfarin", "penicillin", "aspirin", "morphine", "steroids"),
    "condition": ("asthma", "diabetes", "anaemia", "pneumonia", "arthritis", "hypertension", "migraine", "eczema"),
    "ward": ("cardiology", "radiology", "maternity", "physiotherapy", "oncology", "the emergency unit"),
    "exam": ("an ultrasound", "a biopsy", "an x ray", "a blood culture", "a scan of the abdomen", "an endoscopy"),
    "finding": ("swollen", "inflamed", "tender", "fractured", "infected", "bruised", "numb"),
}  # fmt: skip

EVERYDAY = (
    "{who} has {symptom}", "{who} has had {symptom} since {day}", "i have pain in my {part}", "my {part} hurts {when}",
    "the {part} is still sore", "take {medicine} {times}", "please take {medicine} for {n} {unit}",
    "{who} is feeling {feeling}", "i am feeling {feeling}", "how long have you had {symptom}",
    "the appointment is on {day} at {n}", "please come back in {n} {unit}", "see you on the {n} of {month}",
    "call {person} on {digits}", "my number is {digits}", "room {digit} {digit} {digit}", "the code is {digits}",
    "turn on {thing}", "turn off {thing}", "open {thing}", "close {thing} in the {room}", "turn {thing} up please",
    "set the alarm for {n}", "set a timer for {n} {unit}", "play some music in the {room}", "stop", "go back", "yes please",
    "no thank you", "what time is it", "what is the weather like {when}", "it was {weather} {when}",
    "it is very {weather} in {place}",
    "{they} went to {place} {when}", "{who} went to {place} with {person}", "can you {verb} {when}",
    "{they} like to {verb} {when}",
    "{person} can not {verb}", "i can not find {object}", "{who} lost {object}", "{person} gave {object} to {who}",
    "where did you put {object}", "{object} is in the {room}", "we need {food} and {food}", "i would like {food} please",
    "{who} eats {food} {when}", "there are {n} people in {place}", "{person} is {n} years old", "{who} lives near {place}",
    "the train leaves at {n}", "it costs {n} pounds", "we waited for {n} {unit}", "{digits}", "{digits}", "{digit}", "{n}",
)  # fmt: skip

CLINIC = (
    "give {n} units of {drug} {times}", "she takes {drug} for {condition}", "he is allergic to {drug}",
    "start {drug} and stop {medicine}", "history of {condition} and {condition}", "refer to {ward} on {day}",
    "we will arrange {exam} {when}", "the {part} is {finding}", "the {part} is {finding} and {finding}",
    "no sign of {condition}", "{person} was admitted to {ward} {when}", "{exam} of the {part} on {day}",
    "discharge from {ward} in {n} {unit}", "the dose of {drug} is {n} milligrams", "blood pressure {n} over {n}",
    "temperature thirty {digit} point {digit}", "pulse {n} and regular", "{who} has {condition} and needs {drug}",
    "patient record {digits}", "{drug} was given at {n}",
)  # fmt: skip

GRAMMARS: Mapping[str, Sequence[str]] = {"everyday": EVERYDAY, "clinic": CLINIC}


def sentences(grammar: str, seed: int, *, held_out: bool = False) -> Iterator[str]:
    """Endless lower-case sentences of 1 to 11 words without punctuation, numbers spelled out.

    With `held_out` only those that the default never gives, and the other way round.
    """
    rng = Random(f"{grammar}-{seed}-{held_out}")
    while True:
        text = _fill(rng.choice(GRAMMARS[grammar]), rng)
        if is_held_out(text) == held_out and text.count(" ") < _LONGEST_WORDS:
            yield text


def is_held_out(text: str) -> bool:
    """Whether a sentence belongs to the tenth kept for tests; sentences of one word never do, as there are few."""
    return " " in text and hashlib.sha256(text.encode()).digest()[0] < 26


def vocabulary(grammar: str) -> frozenset[str]:
    """Every word the grammar can produce."""
    names = {name for template in GRAMMARS[grammar] for name in re.findall(r"\{(\w+)\}", template)}
    phrases = [p for name in names for p in _SLOTS.get(name, ())] + list(GRAMMARS[grammar])
    words = {w for phrase in phrases for w in re.sub(r"\{\w+\}", " ", phrase).split()}
    return frozenset(words | {*DIGITS, *_TEENS, *_TENS, "hundred", "and"} | set(_SLOTS["day"]))


def _fill(template: str, rng: Random) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "digit":
            return rng.choice(DIGITS)
        if name == "digits":
            return " ".join(rng.choice(DIGITS) for _ in range(rng.randint(1, 6)))
        if name == "n":
            return _number(rng)
        return _fill(rng.choice(_SLOTS[name]), rng)

    return re.sub(r"\{(\w+)\}", value, template)


def _number(rng: Random) -> str:
    size = rng.random()
    if size < 0.45:
        return rng.choice(DIGITS[1:])
    if size < 0.65:
        return rng.choice(_TEENS)
    tens = rng.choice(_TENS) if size < 0.75 else f"{rng.choice(_TENS)} {rng.choice(DIGITS[1:])}"
    return tens if size < 0.92 else f"{rng.choice(DIGITS[1:])} hundred and {tens}"
