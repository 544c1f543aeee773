"""The page in a real browser: nothing in the console, nothing fetched, and it fits a phone."""

import functools
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pages import TRAINING, Tones, evaluation
from shipped import SHIPPED

from attune.operations.showing import write_reports
from attune.params import load_params

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="no Chromium here; on Debian: apt-get install chromium")
_PROBE = """<!DOCTYPE html><html lang="en"><title>probe</title><body><pre id="found"></pre>
<iframe id="shown" style="border:0;width:WIDTHpx;height:800px" src="report.html"></iframe><script>
document.getElementById("shown").onload = async (event) => {
  const view = event.target.contentWindow, page = view.document;
  const sounds = [...page.querySelectorAll("audio")];
  await Promise.all(sounds.slice(0, 3).map((s) => new Promise((done) => {
    if (s.readyState || s.error) done(); else { s.onloadedmetadata = done; s.onerror = done; }
  })));
  document.getElementById("found").textContent = JSON.stringify({
    width: view.innerWidth, wide: page.documentElement.scrollWidth,
    sounds: sounds.length, heard: sounds.slice(0, 3).map((s) => s.duration),
    fetched: view.performance.getEntriesByType("resource").map((r) => r.name).filter((n) => !n.startsWith("data:")),
    scrolled: [...page.querySelectorAll(".wide")].every((e) => e.tabIndex === 0),
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
    """Where the page is, and what has been asked for there."""
    found = evaluation()
    write_reports(tmp_path, found.results, found.utterances, Tones(0.5), TRAINING, load_params(SHIPPED))
    for width in (390, 1280):
        (tmp_path / f"{width}.html").write_text(_PROBE.replace("WIDTH", str(width)), encoding="utf-8")
    asked: list[str] = []
    handler = functools.partial(type("Handler", (_Quiet,), {"asked": asked}), directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_fetches_nothing_and_complains_of_nothing(
    served: tuple[str, list[str]], tmp_path: Path, width: int
) -> None:
    address, asked = served
    command = [
        str(_BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
        f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--window-size=1400,900", "--virtual-time-budget=10000", "--enable-logging=stderr", "--v=0", "--dump-dom",
        f"{address}/{width}.html",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    text = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert text, done.stderr[-2000:]
    found = json.loads(unescape(text[1]))
    assert found["width"] == width
    assert found["wide"] <= width
    assert found["fetched"] == []
    assert set(asked) <= {f"/{width}.html", "/report.html", "/favicon.ico"}
    assert "/report.html" in asked
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line and "favicon" not in line]
    assert found["sounds"] > 10
    assert found["heard"] == pytest.approx([0.5] * 3, abs=0.2)
    assert found["scrolled"]
    assert found["text"] > 3000
