"""A report.html as full as it may be, and how long a browser takes to open it; for `evaluate.py page`."""

import base64
import http.server
import io
import json
import random
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np
import soundfile

from attune.dataset import SAMPLE_RATE_HZ
from attune.errors import EnvironmentFault
from attune.params import load_params
from attune.records import Hypothesis, Utterance
from attune.report.evaluation import Material, evaluate
from attune.report.examples import SOUND_BYTES, Clip, example_lists
from attune.report.page import Exhibits, page
from attune.report.pictures import Training, pictures
from attune.report.results import Decoding

_PARAMS = Path(__file__).parents[1] / "params.yaml"
_WORDS = [f"{start}{end}" for start in ("ba", "co", "di", "fu", "ge") for end in ("ran", "lem", "tis", "nog", "pux", "vil")]
_OPENINGS = 7
_PROBE = """<!DOCTYPE html><script>
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
onload = async () => {
  const found = [];
  for (let n = 0; n < OPENINGS; n++) {
    const frame = document.createElement("iframe");
    frame.style = "width:1280px;height:900px";
    const loaded = new Promise((done) => { frame.onload = () => done(frame.contentWindow.performance.now()); });
    frame.src = "report.html?" + n;
    document.body.append(frame);
    const load_ms = await loaded;
    await sleep(1000);
    const paint = frame.contentWindow.performance.getEntriesByName("first-contentful-paint")[0];
    found.push([load_ms / 1000, paint.startTime / 1000]);
    frame.remove();
  }
  fetch("found", {method: "POST", body: JSON.stringify(found)});
};
</script><body></body>"""


def full_page(folder: Path) -> Path:
    """Long texts full of errors, many slices, curves of 10,000 steps, and all the sound that a page may hold."""
    params, draw = load_params(_PARAMS), random.Random(1)
    spoken = [_utterance(n, " ".join(draw.choices(_WORDS, k=200))) for n in range(400)]
    base, tuned = ({u.id: _misheard(u, draw) for u in spoken} for _ in range(2))
    how = Decoding("base", "tuned", True, "lora", "ctranslate2", "int8", "en", "transcribe", "pauses", (0.0,))
    found = evaluate(Material(spoken, {}, (), (), (), how), base, tuned, (), params.evaluate)
    curve = tuple((float(step), 1 / (1 + step)) for step in range(10_000))
    lists = example_lists(found.utterances)
    ids = {row.id for each in lists for row in each.rows}
    sound = {name: Clip(_noise(SOUND_BYTES // len(ids), seed), None) for seed, name in enumerate(sorted(ids))}
    drawn = pictures(found.results, found.utterances, Training(curve, curve))
    (folder / "report.html").write_text(page(found.results, Exhibits(drawn, lists, sound, [], [])), encoding="utf-8")
    return folder / "report.html"


def opening_s(page: Path) -> list[tuple[float, float]]:
    """Seconds to load and to first paint, opened several times in a headless Chromium. Raises EnvironmentFault without one."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise EnvironmentFault("no Chromium here; on Debian: apt-get install chromium")
    (page.parent / "probe.html").write_text(_PROBE.replace("OPENINGS", str(_OPENINGS)), encoding="utf-8")
    told: list[tuple[float, float]] = []
    done = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given: object) -> None:
            super().__init__(*given, directory=str(page.parent))

        def log_message(self, *said: object) -> None:
            pass

        def do_POST(self) -> None:
            told.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            done.set()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        address = f"http://127.0.0.1:{server.server_port}/probe.html"
        running = subprocess.Popen([*command, "--remote-debugging-port=0", address], stderr=subprocess.DEVNULL)
        answered = done.wait(120)
        running.terminate()
        running.wait()
        server.shutdown()
    if not answered:
        raise EnvironmentFault(f"{browser} did not open {page} within two minutes")
    return told


def _noise(most_bytes: int, seed: int) -> str:
    """As the page's own clips, but as long as it takes to fill the bytes."""
    buffer, seconds = io.BytesIO(), most_bytes // 4100
    samples = np.random.default_rng(seed).normal(0, 0.1, seconds * SAMPLE_RATE_HZ)
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="MP3", compression_level=0.7)
    return f"data:audio/mpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _utterance(n: int, said: str) -> Utterance:
    condition = "noisy" if n % 2 else "clean"
    return Utterance(
        f"u{n}", f"{n:064x}", f"{condition}/{n}.wav", f"speaker {n % 40}", condition, "test", 20.0, float(n % 25), said
    )


def _misheard(spoken: Utterance, draw: random.Random) -> Hypothesis:
    heard = [draw.choice(_WORDS) if draw.random() < 0.8 else word for word in (spoken.reference or "").split()]
    return Hypothesis(spoken.id, " ".join(heard), draw.random())
