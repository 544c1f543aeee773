"""The pages in a real browser: nothing in the console, nothing fetched, they fit a phone, and work by keyboard and by ear."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pages import TRAINING, Tones, evaluation
from projects import commit, evaluate_into, git, project, set_params
from shipped import SHIPPED

from attune.cli import main
from attune.operations.showing import write_reports
from attune.params import load_params

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="no Chromium here; on Debian: apt-get install chromium")
_PAGES = ("report.html", "compared.html")
_PROBE = """<!DOCTYPE html><html lang="en"><title>probe</title><body><pre id="found"></pre>
<iframe id="shown" style="border:0;width:WIDTHpx;height:800px" src="PAGE"></iframe><script>
document.getElementById("shown").onload = async (event) => {
  const view = event.target.contentWindow, page = view.document;
  const all = (what) => [...page.querySelectorAll(what)];
  all("details").forEach((e) => { e.open = true; });
  const sounds = all("audio");
  await Promise.all(sounds.slice(0, 3).map((s) => new Promise((done) => {
    s.onloadedmetadata = done; s.onerror = done; s.muted = true; s.play();
  })));
  const reached = all("a[href], audio, summary, [tabindex]").map((e) => {
    e.focus();
    return {tag: e.tagName, name: e.computedName || e.textContent, order: e.tabIndex, got: page.activeElement === e};
  });
  document.getElementById("found").textContent = JSON.stringify({
    width: view.innerWidth, wide: page.documentElement.scrollWidth,
    sounds: sounds.length, heard: sounds.slice(0, 3).map((s) => s.duration),
    fetched: view.performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:")),
    reached,
    captions: all("caption span").map((e) => e.getBoundingClientRect().right),
    spoken: all("table, svg:not([aria-hidden]), section, [role]").map((e) => [e.computedRole, e.computedName]),
    headings: all("h1, h2, h3, h4").map((e) => Number(e.tagName[1])),
    text: page.body.innerText.length,
  });
};
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Where the pages are, and what has been asked for there."""
    found = evaluation()
    write_reports(tmp_path, found.results, found.utterances, (), Tones(0.5), TRAINING, load_params(SHIPPED))
    _compare(tmp_path / "revisions", tmp_path / "compared.html")
    asked: list[str] = []
    handler = functools.partial(type("Handler", (_Quiet,), {"asked": asked}), directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", _PAGES)
def test_a_page_fits_fetches_nothing_complains_of_nothing_and_can_be_reached_and_heard(
    served: tuple[str, list[str]], tmp_path: Path, name: str, width: int
) -> None:
    address, asked = served
    found, said = _shown(address, tmp_path, name, width)
    assert found["width"] == width
    assert found["wide"] <= width
    assert found["captions"]
    assert max(found["captions"]) <= width
    assert found["fetched"] == []
    assert set(asked) <= {"/probe.html", f"/{name}", "/favicon.ico"}
    assert f"/{name}" in asked
    assert not [line for line in said.splitlines() if "CONSOLE" in line and "favicon" not in line]
    assert found["reached"][0]["tag"] == "A"  # to the main part, past what stands above
    assert all(each["got"] and each["name"] and each["order"] == 0 for each in found["reached"]), found["reached"]
    assert {"table", "image", "region"} <= {role for role, _ in found["spoken"]}
    assert all(words for _, words in found["spoken"]), found["spoken"]
    assert found["headings"][0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(found["headings"]))
    if name == "report.html":
        assert found["sounds"] > 10
        assert found["heard"] == pytest.approx([0.5] * 3, abs=0.2)
        assert found["text"] > 3000


def _shown(address: str, folder: Path, name: str, width: int) -> tuple[dict[str, Any], str]:
    """What the probe found in the page, and what the browser logged; computed names are what a screen reader says."""
    (folder / "probe.html").write_text(_PROBE.replace("WIDTH", str(width)).replace("PAGE", name), encoding="utf-8")
    command = [
        str(_BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        "--enable-blink-features=ComputedAccessibilityInfo", "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--window-size=1400,900", "--virtual-time-budget=10000", "--enable-logging=stderr", "--v=0", "--dump-dom",
        f"{address}/probe.html",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    text = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert text, done.stderr[-2000:]
    return json.loads(unescape(text[1])), done.stderr


def _compare(folder: Path, page: Path) -> None:
    """Three commits, of which one is better, at different sizes."""
    project(folder)
    for rank, errors in ((32, 4), (64, 1), (16, 5)):
        set_params(folder, rank)
        evaluate_into(folder, errors, size_mb=float(rank))
        commit(folder, f"rank-{rank}")
        git(folder, "tag", f"an-experiment-with-rank-{rank}")
    names = [f"an-experiment-with-rank-{rank}" for rank in (64, 16)]
    options = ["--against", "an-experiment-with-rank-32", "--html", str(page), "--params", str(folder / "params.yaml")]
    assert CliRunner().invoke(main, ["compare", *names, *options]).exit_code == 0
