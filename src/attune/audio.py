"""Sound from a user's files: 16 kHz mono samples, whole or by pieces, or the reason why not; its digest, loudness and noise.

WAV, FLAC, Ogg, Opus, AIFF, CAF and AU are read by libsndfile, all else (MP3, M4A, WebM, AAC) by FFmpeg's libraries; the file's
first bytes decide, not its name. What is done with a refused file is left to the caller.
"""

import math
import os
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import av
import numpy as np
import scipy.fft
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.special import gammaincinv

from attune.dataset import SAMPLE_RATE_HZ, Samples
from attune.errors import DataError

Reason = Literal["empty_file", "unreadable", "not_audio", "truncated", "nan", "silent", "too_short", "too_long", "outside"]

_LIBSNDFILE_MAGIC = (b"RIFF", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"caff", b".snd")
_FFMPEG_DEMUXERS = "mov,mp3,matroska,webm,aac,ogg,flac,wav,aiff,caf,amr,asf"  # none that opens other files or addresses
_RATES_HZ = (1_000, 768_000)
_BLOCK_VALUES = 2**18
_OGG_PAGE_BYTES = 65_307
_PADDING_BYTES = 64
_UNKNOWN_FRAMES = 2**62
_PROMISE_SLACK_S = 0.1
_CANCELLED = 0.01


class UnusableAudio(DataError):
    """A recording that cannot be used: `reason` is one word of a fixed set, `detail` a sentence with the value seen."""

    def __init__(self, path: Path, reason: Reason, detail: str) -> None:
        super().__init__(f"{path}: {detail} ({reason})")
        self.reason, self.detail = reason, detail


def read_audio(path: Path, longest_s: float = math.inf) -> Samples:
    """Mean of all channels (of the loudest one, where they cancel out) at 16 kHz, float32, shape (time,).

    Raises UnusableAudio: unreadable, empty_file, not_audio, truncated, nan, or too_long. At most `longest_s` seconds
    are ever decoded (all, if not given), so an endless file costs no more than a long one.
    """
    blocks = list(_decoded(path, longest_s))
    if not blocks:
        return np.zeros(0, np.float32)
    samples = np.concatenate([block for _, block in blocks])
    _check_finite(path, samples)
    return np.asarray(soxr.resample(samples, blocks[0][0], SAMPLE_RATE_HZ), dtype=np.float32)


def stream_audio(path: Path) -> Iterator[Samples]:
    """The same in blocks of some seconds, one after the other, whatever the length: memory stays flat.

    Raises UnusableAudio as `read_audio` does (but never too_long), after the blocks that stand before the fault.
    """
    resampler = None
    for rate_hz, block in _decoded(path, math.inf):
        _check_finite(path, block)
        resampler = resampler or soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
        yield np.asarray(resampler.resample_chunk(block), dtype=np.float32)
    if resampler is not None:
        yield np.asarray(resampler.resample_chunk(np.zeros(0, np.float32), last=True), dtype=np.float32)


def promised_length_s(path: Path) -> float:
    """How long the header says that it is, in seconds, for a progress bar; 0 where it cannot be told."""
    try:
        with path.open("rb") as file, av.open(file, options={"format_whitelist": _FFMPEG_DEMUXERS}) as container:
            return _promised_s(path, container) if container.streams.audio else 0.0
    except (av.FFmpegError, ValueError, OSError):
        return 0.0


def read_pieces(path: Path, spans: Sequence[tuple[float, float | None]], longest_s: float) -> list[Samples | UnusableAudio]:
    """The parts of a recording from and to these seconds (None: its end), in one pass; for each its samples or why not.

    Only the pieces are kept in memory, and of each no more than `longest_s` seconds (then it is too_long). A file that is
    damaged further on gives the pieces that stand before.
    """
    bounds = [(round(a * SAMPLE_RATE_HZ), math.inf if b is None else round(b * SAMPLE_RATE_HZ)) for a, b in spans]
    parts: list[list[Samples]] = [[] for _ in spans]
    most, position, fault = int(longest_s * SAMPLE_RATE_HZ) + 1, 0, None
    try:
        for block in stream_audio(path):
            for (start, end), kept in zip(bounds, parts, strict=True):
                first, last = max(start - position, 0), int(min(end - position, start + most - position, block.size))
                if first < last:
                    kept.append(block[first:last].copy())
            position += block.size
    except UnusableAudio as error:
        fault = error
    pieces = zip(bounds, parts, strict=True)
    return [_piece(path, bound, np.concatenate([np.zeros(0, np.float32), *kept]), position, fault) for bound, kept in pieces]


def _piece(
    path: Path, bound: tuple[int, float], samples: Samples, length: int, fault: UnusableAudio | None
) -> Samples | UnusableAudio:
    start, end = bound
    if fault is not None and end > length:
        return fault
    beyond = end - length > _PROMISE_SLACK_S * SAMPLE_RATE_HZ and end != math.inf
    if start >= length or beyond:
        there_s, to_s = length / SAMPLE_RATE_HZ, (start if start >= length else end) / SAMPLE_RATE_HZ
        return UnusableAudio(path, "outside", f"lasts {there_s:.2f} s, and the piece reaches to {to_s:.2f} s")
    return samples


def _decoded(path: Path, longest_s: float) -> Iterator[tuple[int, Samples]]:
    """The file's rate in Hz and a block of mono samples at that rate, block by block."""
    try:
        head, size = _head(path), path.stat().st_size
    except OSError as error:
        raise UnusableAudio(path, "unreadable", f"cannot be opened: {error.strerror}") from error
    if size == 0:
        raise UnusableAudio(path, "empty_file", "has 0 bytes")
    yield from (_from_libsndfile if head.startswith(_LIBSNDFILE_MAGIC) else _from_ffmpeg)(path, longest_s)


def _check_finite(path: Path, samples: Samples) -> None:
    if not np.isfinite(samples).all():
        count = np.count_nonzero(~np.isfinite(samples))
        raise UnusableAudio(path, "nan", f"{count} of {samples.size} samples are not finite numbers")


def check_audible(path: Path, samples: Samples, shortest_s: float, silent_below_dbfs: float) -> float:
    """The RMS of the loudest 50 ms, in dB of full scale. Raises UnusableAudio too_short, or silent where that is too low."""
    duration_s = samples.size / SAMPLE_RATE_HZ
    if duration_s < shortest_s:
        raise UnusableAudio(path, "too_short", f"lasts {duration_s:.3f} s; at least {shortest_s:g} s are wanted")
    level_dbfs = 10 * math.log10(max(float(_powers(samples, SAMPLE_RATE_HZ // 20).max()), 1e-20))
    if level_dbfs < silent_below_dbfs:
        raise UnusableAudio(path, "silent", f"its loudest 50 ms reach {level_dbfs:.0f} of the {silent_below_dbfs:g} dBFS wanted")
    return level_dbfs


def check_length(path: Path, samples: Samples, longest_s: float) -> None:
    """Raises UnusableAudio too_long."""
    _check_length(path, samples.size / SAMPLE_RATE_HZ, longest_s)


def sound_digest(samples: Samples) -> str:
    """SHA-256, in hex, of the samples as 16-bit little-endian PCM: of the very values that FLAC keeps of them."""
    return sha256(np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()).hexdigest()


def estimate_snr_db(samples: Samples) -> float:
    """Ratio of speech power to noise power in dB, by quantile-based noise estimation, limited to -10 to 60 dB.

    In every band of five FFT bins (156 Hz) the noise is what the quietest twentieth of the frames hold; the quantile is
    turned into a mean by the chi-square distribution that noise power follows. Noise in pauses too short for a frame, and
    noise that comes and goes with the speech, is missed. After V. Stahl, A. Fischer, R. Bippus: "Quantile based noise
    estimation for spectral subtraction and Wiener filtering", ICASSP 2000.
    """
    window, hop, bins, quantile = 512, 256, 5, 0.05
    padded = np.pad(samples - samples.mean(), (0, max(0, window - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * np.hanning(window).astype(np.float32)
    power = np.square(np.abs(scipy.fft.rfft(frames)))[:, 1 : 1 + bins * (window // 2 // bins)]
    bands = power.reshape(len(power), -1, bins).sum(axis=2, dtype=np.float64)
    freedom = 1.35 * bins  # two per bin, less what the window makes neighbouring bins share; fitted to speech in known noise
    noise = float(np.quantile(bands, quantile, axis=0).sum() / (2 * gammaincinv(freedom / 2, quantile) / freedom))
    speech = float(bands.mean(axis=0).sum()) - noise
    return float(np.clip(10 * np.log10(max(speech, 1e-12) / max(noise, 1e-12)), -10.0, 60.0))


def _from_libsndfile(path: Path, longest_s: float) -> Iterator[tuple[int, Samples]]:
    try:
        sound = soundfile.SoundFile(os.fsencode(path))
    except soundfile.SoundFileError:
        yield from _from_ffmpeg(path, longest_s)
        return
    with sound:
        if sound.frames > _UNKNOWN_FRAMES:  # of a streamed FLAC; soundfile cannot read to an end that it does not know
            yield from _from_ffmpeg(path, longest_s)
            return
        _check_rate(path, sound.samplerate)
        promised_s = sound.frames / sound.samplerate
        _check_length(path, promised_s, longest_s)
        _check_whole(path, sound.extra_info)
        yield from _checked(path, _blocks(sound), sound.samplerate, promised_s, longest_s)


def _from_ffmpeg(path: Path, longest_s: float) -> Iterator[tuple[int, Samples]]:
    try:
        with path.open("rb") as file, av.open(file, options={"format_whitelist": _FFMPEG_DEMUXERS}) as container:
            if not container.streams.audio:
                raise UnusableAudio(path, "not_audio", f"is {container.format.long_name} without a sound track")
            if container.streams.audio[0].codec_context is None:
                raise UnusableAudio(path, "not_audio", f"is {container.format.long_name} in a coding that nobody knows")
            rate_hz, promised_s = container.streams.audio[0].rate, _promised_s(path, container)
            _check_rate(path, rate_hz)
            _check_length(path, promised_s, longest_s)
            yield from _checked(path, _frames(container), rate_hz, promised_s, longest_s)
    except (av.FFmpegError, ValueError) as error:
        raise UnusableAudio(path, "not_audio", f"does not decode as sound: {_words(error)}") from error


def _checked(
    path: Path, blocks: Iterator[Samples], rate_hz: int, promised_s: float, longest_s: float
) -> Iterator[tuple[int, Samples]]:
    """The blocks; raises UnusableAudio where there are more than wanted, or fewer than the header promises."""
    count, fault = 0, ""
    try:
        for block in blocks:
            count += block.size
            _check_length(path, count / rate_hz, longest_s)
            yield rate_hz, block
    except (soundfile.SoundFileError, av.FFmpegError) as error:
        fault = _words(error)
    _check_promise(path, count / rate_hz, promised_s, fault)


def _blocks(sound: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    frames = max(1, _BLOCK_VALUES // sound.channels)
    while (block := sound.read(frames, dtype="float32", always_2d=True)).size:
        yield _mixed(np.asarray(block.T, dtype=np.float32))


def _frames(container: av.container.InputContainer) -> Iterator[NDArray[np.float32]]:
    planar = av.AudioResampler(format="fltp")
    for frame in container.decode(audio=0):
        for part in planar.resample(frame):
            yield _mixed(np.asarray(part.to_ndarray(), dtype=np.float32))


def _mixed(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels, shape (channels, time); the loudest of them where the mean has lost nearly all of the sound."""
    mean = np.asarray(channels.mean(axis=0, dtype=np.float32))
    if len(channels) == 1:
        return mean
    powers = np.square(channels, dtype=np.float64).mean(axis=1) if channels.size else np.zeros(1)
    cancelled = channels.size > 0 and np.square(mean, dtype=np.float64).mean() < _CANCELLED * powers.mean()
    return np.asarray(channels[powers.argmax()], dtype=np.float32) if cancelled else mean


def _check_rate(path: Path, rate_hz: int) -> None:
    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise UnusableAudio(path, "not_audio", f"its header says {rate_hz} Hz, which no recorder makes")


def _check_length(path: Path, duration_s: float, longest_s: float) -> None:
    if duration_s > longest_s:
        raise UnusableAudio(path, "too_long", f"lasts {duration_s:.1f} s or more; at most {longest_s:g} s are wanted")


def _check_promise(path: Path, decoded_s: float, promised_s: float, fault: str) -> None:
    if fault:
        raise UnusableAudio(path, "truncated", f"stops decoding before its end: {fault}")
    if decoded_s + _PROMISE_SLACK_S < promised_s:
        raise UnusableAudio(path, "truncated", f"decodes to {decoded_s:.2f} of the {promised_s:.2f} s that its header promises")


def _check_whole(path: Path, libsndfile_log: str) -> None:
    """Refuses a WAV, AIFF or Ogg file that ends in the middle of what its own lengths announce.

    libsndfile shortens what it promises to what is there; its log and the last Ogg page tell the difference. A length
    of 2^31 and more is what recorders write that cannot go back to fill it in.
    """
    for promised, there in re.findall(r"(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", libsndfile_log):
        if int(there) + _PADDING_BYTES < int(promised) < 2**31 - 2**16:
            raise UnusableAudio(path, "truncated", f"has {there} of the {promised} bytes of sound that its header promises")
    if _ends_within_ogg_page(path):
        raise UnusableAudio(path, "truncated", "ends in the middle of an Ogg page")


def _ends_within_ogg_page(path: Path) -> bool:
    """True if the last page (RFC 3533: 27 bytes, segment sizes, segments) is longer than what is left of the file."""
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - _OGG_PAGE_BYTES))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    return len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]])


def _promised_s(path: Path, container: av.container.InputContainer) -> float:
    """The length of the sound by its header in seconds; 0 where that is missing, a guess, or the length of something else."""
    if container.format.name == "aac" or (container.format.name == "mp3" and not _has_xing_header(path)):
        return 0.0
    stream = container.streams.audio[0]
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base if len(container.streams) == 1 else 0.0


def _has_xing_header(path: Path) -> bool:
    """Whether an MP3 file tells its length; without such a header FFmpeg guesses it from the bit rate."""
    with path.open("rb") as file:
        start = file.read(10)
        if start.startswith(b"ID3") and len(start) == 10:
            file.seek(10 + sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True)))
        return any(mark in file.read(512) for mark in (b"Xing", b"Info"))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _powers(samples: Samples, frame: int) -> NDArray[np.float64]:
    """Mean square of consecutive frames; of the whole where it is shorter than one."""
    whole = samples[: samples.size // frame * frame].reshape(-1, frame) if samples.size >= frame else samples[None]
    return np.asarray(np.square(whole, dtype=np.float64).mean(axis=1))


def _words(error: Exception) -> str:
    """What is wrong, without the file's own path: it is remembered by the content, which another file may have, too."""
    told = str(getattr(error, "strerror", None) or error)
    return " ".join(told.split()) or type(error).__name__
