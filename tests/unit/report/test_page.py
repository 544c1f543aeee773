"""The page that people read: whole, harmless whatever the texts hold, legible, and small."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from evaluations import evaluated, four
from pages import HOSTILE, TRAINING, Tones, evaluation

from attune.report.charts import standalone
from attune.report.examples import Clip, clips, example_lists
from attune.report.page import Exhibits, page, sureness
from attune.report.page_style import STYLE
from attune.report.pictures import Training, pictures
from attune.report.pull_request import pull_request_report
from attune.report.results import Results, UtteranceResult

_VOID = {"meta", "link", "br", "img", "input"}


class _Outline(HTMLParser):
    """Tags with their attributes; every end tag must fit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _page(sound: dict[str, Clip] | None = None) -> str:
    found = evaluation()
    lists = example_lists(found.utterances)
    heard = clips([row.id for each in lists for row in each.rows], Tones(0.2)) if sound is None else sound
    drawn, settings = pictures(found.results, found.utterances, TRAINING), [("evaluate.seed", 42)]
    shown = Exhibits(drawn, lists, heard, [("to learn from", 3)], settings)
    return page(found.results, shown)


def test_texts_from_outside_are_shown_and_not_obeyed() -> None:
    text = _page()
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    outline = _Outline(text)
    assert not outline.named("script")
    assert not outline.named("img")


def test_nothing_is_fetched() -> None:
    sources = [value for _, attributes in _Outline(_page()).tags for name, value in attributes.items() if name in ("src", "href")]
    assert len(sources) > 20
    assert all(value and value.startswith(("data:", "#")) for value in sources)
    assert "url(" not in STYLE


def test_headings_go_down_by_one_and_tables_are_named() -> None:
    outline = _Outline(_page())
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    assert len(outline.named("caption")) == len(outline.named("table")) > 5
    assert all("scope" in attributes for attributes in outline.named("th"))
    assert all(attributes.get("aria-label") for attributes in outline.named("audio"))
    assert outline.named("html") == [{"lang": "en"}]


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    outline = _Outline(_page())
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 20
    named = {word for _, a in outline.tags for key in ("aria-labelledby",) for word in (a.get(key) or "").split()}
    targets = {(a["href"] or "").removeprefix("#") for a in outline.named("a")}
    assert len(targets) > 1
    assert named | targets <= set(ids)


def test_sound_is_in_it_once_and_what_does_not_fit_is_said() -> None:
    lists = example_lists(evaluation().utterances)
    wanted = {row.id for each in lists for row in each.rows}
    assert len(_Outline(_page()).named("audio")) == len(wanted)
    ids = [row.id for each in lists for row in each.rows]
    one = len(clips(ids[:1], Tones(0.2))[ids[0]].uri)
    some = clips(ids, Tones(0.2), budget=int(3.5 * one))
    assert 1 <= len(some) < len(wanted)
    assert f"{len(wanted) - len(some)} of these {len(wanted)} recordings are not in this page" in _page(some)
    assert clips(["gone", "here"], Tones(0.2, without=("gone",))).keys() == {"here"}


def test_long_recordings_are_cut_and_said_to_be() -> None:
    (clip,) = clips(["u00"], Tones(21.0)).values()
    assert clip.cut_at_s == 20.0
    assert "The first 20 seconds." in _page({"u00": clip})


def test_thirty_clips_of_the_greatest_length_leave_the_page_below_five_megabytes() -> None:
    lists = example_lists(evaluation().utterances)
    sound = clips([row.id for each in lists for row in each.rows], Tones(20.0))
    assert len(sound) > 10
    assert len(_page(sound).encode()) < 5_000_000
    assert len(_page({}).encode()) < 1_000_000  # beside the 3.5 MB that sound may take


def test_texts_names_and_curves_of_any_length_leave_it_below_five_megabytes() -> None:
    utterances, _, _ = four()
    many = [
        replace(u, id=f"{u.id}-{n}", source=f"{n}{'&' * 2000}", speaker=f"{n} {'<' * 2000}", reference="𐐨 𐐩 𐐪 " * 1000)
        for n in range(10)
        for u in utterances
    ]
    heard = [{u.id: text for u in many} for text in ("𐐫 " * 3000, "𐐬 " * 4000)]
    found = evaluated(many, heard[0], heard[1] | {many[0].id: f"{'z' * 100_000} {'𐐫 ' * 2999}"})
    curve = tuple((float(step), 1.0) for step in range(100_000))
    lists = example_lists(found.utterances)
    sound = clips([row.id for each in lists for row in each.rows], Tones(20.0))
    drawn = pictures(found.results, found.utterances, Training(curve, curve))
    text = page(found.results, Exhibits(drawn, lists, sound, [], [("model.name", "m" * 100_000)]))
    _Outline(text)
    assert len(text.encode()) < 5_000_000
    assert "(and 2800 more words)" in text
    assert "Its texts are too long to stand here, too" in text


def test_the_same_results_give_the_same_bytes() -> None:
    assert _page() == _page()


def test_contrast_is_enough_in_light_and_dark() -> None:
    themes = re.findall(r":root\{([^}]*)\}", STYLE)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+):(#\w{6})", theme))
        for ink in ("ink", "soft", "base", "tuned", "good", "bad"):
            for paper in ("paper", "box"):
                assert _contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper, theme)


def test_pictures_are_drawings_with_words_for_them() -> None:
    found = evaluation()
    drawn = pictures(found.results, found.utterances, TRAINING)
    names = [each.name for each in drawn]
    assert names == [
        "wer_by_condition",
        "wer_by_snr",
        "wer_by_duration",
        "validation_wer",
        "training_loss",
        "confusions",
        "reliability",
    ]
    for each in drawn:
        root = ET.fromstring(standalone(each.svg))
        assert root.attrib["role"] == "img"
        assert len(root[2].text or "") > 10


def test_untrained_models_have_no_training_curve() -> None:
    found = evaluation()
    assert not {"validation_wer", "training_loss"} & {p.name for p in pictures(found.results, found.utterances, Training())}


@pytest.mark.parametrize("utterances", [1, 4])
def test_small_tests_have_a_page_and_say_how_little_they_tell(utterances: int) -> None:
    spoken, base, tuned = four()
    found = evaluated(spoken[:utterances], base, tuned)
    text = page(found.results, _exhibits(found.results, found.utterances))
    _Outline(text)
    assert not re.search(r"\bnan\b", text)
    if utterances == 1:
        assert "How sure that is cannot be told" in text


def test_the_first_thing_said_is_whether_to_deploy() -> None:
    utterances, base, tuned = four()
    better = evaluated(utterances, base, tuned, validation={"require_significance": False})
    for found, said in ((better, "Deploy: 83% of the base model"), (evaluated(utterances, base, base), "do not deploy")):
        text = page(found.results, _exhibits(found.results, found.utterances))
        assert said in text.partition('aria-label="Verdict"')[2].partition("</div>")[0]


def test_no_difference_at_all_is_not_called_chance() -> None:
    utterances, base, _ = four()
    same = evaluated(utterances, base, base)
    shown = page(same.results, _exhibits(same.results, same.utterances))
    written = pull_request_report(same.results, [], images="{}")
    for text in (shown, written):
        assert "as many errors" in text
        assert "may be chance" not in text.partition("What the words mean")[0]
    assert "may be chance" in page(evaluation().results, _exhibits(evaluation().results, ()))


def test_sureness_says_better_or_chance() -> None:
    utterances, _, tuned = four()
    assert sureness(evaluated(utterances, tuned, tuned).results).startswith("Both models make as many errors in every recording")
    other = dict(zip(tuned, reversed(tuned.values()), strict=True))
    assert "but that may be chance: its WER lies between" in sureness(evaluated(utterances, other, tuned | {"n1": ""}).results)
    assert sureness(evaluation().results).startswith("The tuned model is better, beyond chance: its WER lies between ")


def _exhibits(results: Results, rows: Sequence[UtteranceResult]) -> Exhibits:
    return Exhibits(pictures(results, rows, Training()), example_lists(rows), {}, [], [])


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
