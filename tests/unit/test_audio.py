"""Every format is read alike, and every kind of broken file gets its name."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from attune.audio import UnusableAudio, check_audible, estimate_snr_db, read_audio, sound_digest, stream_audio
from attune.dataset import encode_flac
from attune.demo.acoustics import coloured_noise
from attune.demo.grammar import sentences
from attune.demo.voices import Synthesizer, Voice

RATE = 16_000


def speechlike(seconds: float, rate_hz: int = RATE, seed: int = 0) -> np.ndarray:
    """Syllables of a gliding tone with pauses between, over a faint hiss."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    tone = np.sin(2 * np.pi * (200 * time_s + 8 * np.sin(3 * time_s))) * (np.sin(2 * np.pi * 1.5 * time_s) > 0)
    return (0.3 * tone + 0.001 * np.random.default_rng(seed).standard_normal(time_s.size)).astype(np.float32)


def write_with_ffmpeg(path: Path, samples: np.ndarray, codec: str, **options: str) -> None:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48_000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def reason(path: Path, longest_s: float = 30.0) -> str:
    with pytest.raises(UnusableAudio) as caught:
        read_audio(path, longest_s)
    assert str(path) in str(caught.value)
    assert caught.value.detail
    return caught.value.reason


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation where the two fit best, as codecs shift sound by some milliseconds: 1 for the same sound."""
    size = a.size + b.size
    fits = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    return float(fits.max() / np.sqrt(np.sum(a**2) * np.sum(b**2)))


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg", "aiff"])
def test_formats_of_libsndfile_read_as_the_same_sound(tmp_path: Path, ending: str) -> None:
    samples = speechlike(2)
    soundfile.write(tmp_path / f"a.{ending}", samples, RATE)
    read = read_audio(tmp_path / f"a.{ending}")
    assert read.dtype == np.float32
    assert abs(read.size - samples.size) < 0.1 * RATE
    assert likeness(read, samples) > 0.95


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mp4", "aac"), ("a.aac", "aac")])
def test_formats_of_ffmpeg_read_as_the_same_sound(tmp_path: Path, name: str, codec: str) -> None:
    samples = speechlike(2)
    write_with_ffmpeg(tmp_path / name, samples, codec)
    read = read_audio(tmp_path / name, 30.0)
    assert abs(read.size - samples.size) < 0.1 * RATE
    assert likeness(read, samples) > 0.95


def test_contents_decide_the_format_not_the_name(tmp_path: Path) -> None:
    write_with_ffmpeg(tmp_path / "a.m4a", speechlike(1), "aac")
    (tmp_path / "a.m4a").rename(tmp_path / "a.wav")
    assert read_audio(tmp_path / "a.wav").size > 0.9 * RATE


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 96_000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "a.wav", speechlike(1, rate_hz), rate_hz)
    assert abs(read_audio(tmp_path / "a.wav").size - RATE) <= 1


def test_eight_channels_become_their_mean(tmp_path: Path) -> None:
    channels = np.stack([speechlike(1) * gain for gain in np.linspace(0, 1, 8)], axis=1)
    soundfile.write(tmp_path / "a.wav", channels, RATE, subtype="FLOAT")
    assert np.allclose(read_audio(tmp_path / "a.wav"), channels.mean(axis=1), atol=1e-6)


def test_a_file_without_bytes_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert reason(tmp_path / "a.wav") == "empty_file"


@pytest.mark.parametrize("content", [b"hello\n" * 99, bytes(5000), b"#EXTM3U\nhttp://127.0.0.1:9/x\n", b"RIFF", b"OggS", b"fLaC"])
def test_what_is_no_sound_is_not_audio(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert reason(tmp_path / "a.wav") == "not_audio"


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.wav") == "unreadable"


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.webm", "fast.m4a"])
def test_a_file_cut_in_the_middle_is_truncated(tmp_path: Path, name: str) -> None:
    path, samples = tmp_path / name, speechlike(4)
    if name.endswith(("webm", "m4a")):
        write_with_ffmpeg(path, samples, "aac" if name.endswith("m4a") else "libopus", movflags="faststart")
    else:
        soundfile.write(path, samples, RATE)
    content = path.read_bytes()
    read_audio(path, 30.0)
    path.write_bytes(content[: len(content) * 6 // 10])
    assert reason(path) == "truncated"


def test_a_wav_that_was_streamed_without_a_length_is_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speechlike(1), RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert read_audio(tmp_path / "a.wav", 30.0).size == RATE


def test_a_flac_that_was_streamed_without_a_length_is_whole(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", speechlike(1), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # STREAMINFO's total number of samples
    (tmp_path / "a.flac").write_bytes(content)
    assert read_audio(tmp_path / "a.flac", 30.0).size == RATE


def test_samples_that_are_no_numbers_are_nan(tmp_path: Path) -> None:
    samples = speechlike(1)
    samples[5], samples[9] = np.nan, np.inf
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    assert reason(tmp_path / "a.wav") == "nan"


def test_three_hours_are_too_long_without_being_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "a.wav").open("wb") as file:
        soundfile.write(file, speechlike(1, 8_000), 8_000, format="WAV")
    size = 3 * 3600 * 8_000 * 2
    with (tmp_path / "a.wav").open("r+b") as file:  # sparse
        file.seek(4)
        file.write((size + 36).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
        file.truncate(size + 44)
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *args, **kwargs: pytest.fail("decoded"))
    assert reason(tmp_path / "a.wav") == "too_long"


def test_a_long_file_without_a_length_is_given_up_at_the_limit(tmp_path: Path) -> None:
    write_with_ffmpeg(tmp_path / "a.webm", speechlike(5), "libopus", live="1")
    assert reason(tmp_path / "a.webm", longest_s=2.0) == "too_long"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: speechlike(0.05), "too_short"),
        (lambda: np.zeros(0, np.float32), "too_short"),
        (lambda: 1e-5 * speechlike(1), "silent"),
    ],
)
def test_what_cannot_be_heard_is_named(make: Callable[[], np.ndarray], expected: str) -> None:
    with pytest.raises(UnusableAudio) as caught:
        check_audible(Path("a.wav"), make(), shortest_s=0.1, silent_below_dbfs=-60.0)
    assert caught.value.reason == expected


def test_a_word_between_silences_is_audible() -> None:
    samples = np.zeros(5 * RATE, np.float32)
    samples[RATE : RATE + 1600] = 0.02
    check_audible(Path("a.wav"), samples, shortest_s=0.1, silent_below_dbfs=-60.0)


def test_the_digest_is_that_of_what_flac_keeps(tmp_path: Path) -> None:
    samples = np.concatenate([speechlike(1), np.array([1.0, -1.0, 1.7, -1.7, 0.5 / 32768], np.float32)])
    (tmp_path / "a.flac").write_bytes(encode_flac(samples))
    assert sound_digest(read_audio(tmp_path / "a.flac")) == sound_digest(samples)
    assert sound_digest(samples) != sound_digest(samples * 0.99)


@pytest.mark.parametrize("snr_db", [0, 5, 10, 15, 20, 25, 30])
@pytest.mark.parametrize("slope", [0.0, 1.0], ids=["white", "pink"])
def test_the_snr_estimate_is_within_two_db(snr_db: float, slope: float) -> None:
    rng = np.random.default_rng(snr_db)
    speech = speechlike(6) - 0.001 * np.random.default_rng(0).standard_normal(6 * RATE)
    frequency = np.maximum(np.fft.rfftfreq(speech.size), 1e-3)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(speech.size)) / frequency ** (slope / 2), speech.size)
    noise *= np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    assert estimate_snr_db((speech + noise).astype(np.float32)) == pytest.approx(snr_db, abs=2.0)


@pytest.mark.parametrize("snr_db", [0, 10, 20, 30])
@pytest.mark.parametrize("slope", [0.0, 1.0], ids=["white", "pink"])
def test_the_snr_estimate_of_spoken_sentences_is_within_two_db_on_average(snr_db: float, slope: float) -> None:
    synthesizer, texts, rng = Synthesizer(), sentences("everyday", 5), np.random.default_rng(1)
    errors = []
    for voice in ("en-us+m1", "en-us+f4", "gmw/en+m3") * 3:
        spoken = (synthesizer.speak(next(texts), Voice(voice, 160, 50), RATE) for _ in range(2))
        speech = np.concatenate([np.pad(sentence, (1600, 4800)) for sentence in spoken])
        noise = coloured_noise(speech.size, slope, rng)
        noise = noise * np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
        errors.append(estimate_snr_db((speech + noise).astype(np.float32)) - snr_db)
    assert abs(np.mean(errors)) < 2.0


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.ones(100, np.float32), np.ones(1, np.float32)])
def test_the_snr_of_nothing_is_a_finite_number(samples: np.ndarray) -> None:
    assert -10 <= estimate_snr_db(samples) <= 60


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_a_long_file_comes_in_blocks_that_are_the_whole(tmp_path: Path, rate_hz: int) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "x.flac", 0.1 * rng.standard_normal((40 * rate_hz, 2)), rate_hz)
    whole, blocks = read_audio(tmp_path / "x.flac"), list(stream_audio(tmp_path / "x.flac"))
    assert len(blocks) > 3
    assert max(block.size for block in blocks) < 20 * 16_000
    assert np.concatenate(blocks).size == whole.size
    assert np.abs(np.concatenate(blocks) - whole).max() < 1e-4


def test_what_stands_before_the_fault_is_given_before_it_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.flac", 0.1 * np.random.default_rng(0).standard_normal(60 * 16_000), 16_000)
    (tmp_path / "x.flac").write_bytes((tmp_path / "x.flac").read_bytes()[:-500_000])
    blocks = stream_audio(tmp_path / "x.flac")
    assert next(blocks).size
    with pytest.raises(UnusableAudio, match="truncated"):
        list(blocks)


def test_channels_that_cancel_out_are_not_silence(tmp_path: Path) -> None:
    tone = (0.3 * np.sin(np.arange(16_000) / 5)).astype(np.float32)
    for name, channels in (("a.wav", [tone, -tone]), ("b.wav", [tone, tone]), ("c.wav", [tone, 0 * tone])):
        soundfile.write(tmp_path / name, np.stack(channels, axis=1), 16_000)
    levels = [float(np.sqrt(np.mean(np.square(read_audio(tmp_path / name))))) for name in ("a.wav", "b.wav", "c.wav")]
    assert levels == pytest.approx([0.212, 0.212, 0.106], abs=0.002)


@pytest.mark.parametrize("name", ["x.caf", "x.au", "x.w64"])
def test_less_common_containers_are_read(tmp_path: Path, name: str) -> None:
    tone = (0.3 * np.sin(np.arange(16_000) / 5)).astype(np.float32)
    soundfile.write(tmp_path / name, tone, 16_000)
    assert np.allclose(read_audio(tmp_path / name), tone, atol=1e-3)
