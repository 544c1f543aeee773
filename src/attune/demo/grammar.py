"""Sentences for the shipped models and the demo corpus, drawn from small grammars.

Two grammars: `everyday` is what the shipped models learn (home, clinic, commands, numbers); `clinic` adds
words and sentences that they have never heard, as a user's own field would. Which sentences are held out is
decided by a hash of the text, so that the shipped models are measured on sentences that they never learnt.

Beside them, `unrelated_words` gives lists in which no word foretells the next: a decoder that has only seen
sentences of a grammar learns the grammar by heart and stops listening.
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

_AMBIGUOUS = frozenset({"to", "too", "for", "eye", "weak", "write", "son", "i", "hours", "near"})
"""Words that sound like another of the list: without a sentence around it nobody can spell them."""

_COMMON = """
able about above accept across action active actor address afraid again agree airport almost alone along already always
amount angry animal answer apartment arrive artist attack aunt autumn baby balance ball banana basket battle beautiful because
become before begin behind believe below belong between bicycle big bird birthday biscuit black blanket body bottle bottom
branch brave bridge bright bring brown brush bucket build burn business busy butter button camera candle captain careful carpet
carry castle catch center central certain chance change cheap check chicken choice choose church circle clean clear clever climb
cloth cloud coast collect college colour common company complete computer corner correct cotton country couple courage cousin
cover crazy cream cross crowd cry curtain customer cut dance danger decide deep deliver depend desk destroy different
difficult dinner dirty discuss distance doctor dollar double dream dress drink dry during duty early earth easy edge effort empty
engine enjoy enough entrance escape even evening ever exact example except excuse exercise expect explain extra face factory
false family famous farmer fashion fast favourite feather feed fence field fight figure fill film finger finish fire first flag
flat flight float floor follow forest forget fork forward freedom fresh friendly fruit full funny furniture future game gentle
gift glad glass gold good grass great green ground group grow guess guide hammer handle hang happen hard harvest hate heavy help
hidden high hill hobby holiday hope horse hotel huge hungry hurry husband idea important inside interest island jacket
join joke judge juice jump justice keep kettle kind king kiss kitten knife ladder lake language large later laugh lazy leader
learn leather leave lemon lend lesson level lift listen little local lonely look loud lovely lucky lunch machine magic manage map
marry master match matter measure member memory message metal method middle might million minister mirror mistake mix modern
moment money monkey moon mountain mouse mouth move much museum narrow nation nature nearly necessary needle nephew never noise
north nothing notice object ocean offer often onion only operate opinion order other outside oven owner package page paint palace
paper parent part party pass past path pattern pencil perfect perhaps photograph picture pilot plan planet plant plastic plate
pleasure pocket poem police polite popular position possible potato pour power practice prepare present president pretty
price prince print prison private prize problem produce promise proper protect proud provide public pull punish pupil push puzzle
quality quarter queen question quick quite rabbit railway raise reach ready reason receive remember repair repeat reply
report rescue result return rich ring rise river roof rough round rubber ruler rush safe salad salt sand sandwich save science
scissors search season second secret sense sentence separate serious service several shape share sharp sheep shelf shine ship
shirt short shout show shut silver similar simple single skill skin skirt sky slow small smart smell smile smoke smooth snake
snow social soft soldier solve some song soon sorry sound south space special speech speed spell spend spoon spread spring square
stage stamp stand star state stay step stick still stone store storm story strange street strong student study subject
succeed sudden summer support sure surprise sweet system table talk tall taste team teach telephone temple tennis terrible test
theatre thick thin think thirsty throw thunder tiger together tongue tooth total touch towel tower town toy traffic travel tree
trip trouble true trust truth try turkey type ugly umbrella uncle under understand uniform union until useful usual valley value
vegetable village violin visit voice wake wall wallet want warm wash watch wave weapon wedding welcome west wheel while whisper
white wide wild win wing winter wish without wonder wool word world worry wrong yellow yesterday young
"""

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


def unrelated_words(seed: int) -> Iterator[str]:
    """Endless lists of 1 to 6 words in no order: those of `everyday` and 600 other common English ones."""
    rng = Random(f"words-{seed}")
    words = sorted((vocabulary("everyday") | set(_COMMON.split())) - _AMBIGUOUS)
    while True:
        text = " ".join(rng.choices(words, k=rng.randint(1, 6)))
        if not is_held_out(text):
            yield text


def digit_strings(seed: int) -> Iterator[str]:
    """Endless lists of 1 to 6 digits, spelled out; a third of them a single one."""
    rng = Random(f"digits-{seed}")
    while True:
        text = " ".join(rng.choices(DIGITS, k=max(1, rng.randint(-1, 6))))
        if not is_held_out(text):
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
