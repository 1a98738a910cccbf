import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sinchphone.audio.frame import Samples
from sinchphone.audio.levels.level import dbfs
from sinchphone.audio.tones.goertzel import share
from sinchphone.audio.tones.signals import Sine
from sinchphone.errors import DeviceError
from sinchphone.media.local_audio.devices import sound_cards as devices
from sinchphone.media.local_audio.devices.sound_cards import Direction, Loudspeaker, Microphone, SoundDevice, find_device, list_devices


class PortAudioError(Exception):
    pass


class FakeStream:
    """A raw stream as sounddevice has them; ``call`` plays PortAudio's thread."""

    def __init__(self, portaudio: "FakePortAudio", **settings: Any) -> None:
        wrong_rate = settings["samplerate"] != portaudio.only_rate and portaudio.only_rate is not None
        if settings["device"] in portaudio.refusing or settings["channels"] in portaudio.refused_channels or wrong_rate:
            os.write(2, b"Expression 'ret' failed in 'src/hostapi/alsa/pa_linux_alsa.c'\n")
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]", -9998)
        self.settings = settings
        self.running = self.closed = False
        portaudio.streams.append(self)

    def start(self) -> None:
        self.running = True

    def close(self, ignore_errors: bool = True) -> None:
        self.closed, self.running = True, False
        self.settings["finished_callback"]()

    def die(self) -> None:
        self.running = False
        self.settings["finished_callback"]()

    def call(self, buffer: bytearray, samples: int = 480, status: object = None) -> None:
        self.settings["callback"](memoryview(buffer), samples, None, status)


class FakePortAudio(ModuleType):
    """Stands in for the sounddevice module."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.hosts = ["ALSA", "JACK"]
        self.found = [
            ("HDA Intel: ALC (hw:0,0)", 0, 2, 2),
            ("mic", 0, 1, 0),
            ("mic2", 0, 1, 0),
            ("USB Headset", 0, 1, 2),
            ("USB Headset", 1, 1, 2),
        ]
        self.default = type("default", (), {"device": [1, 3]})()
        self.refusing: set[int] = set()
        self.refused_channels: set[int] = set()
        self.only_rate: int | None = None
        self.streams: list[FakeStream] = []
        self.scans = 1

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "hostapi": host,
                "max_input_channels": inputs,
                "max_output_channels": outputs,
                "default_samplerate": float(self.only_rate or 48_000),
            }
            for name, host, inputs, outputs in self.found
        ]

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.hosts]

    def RawInputStream(self, **settings: Any) -> FakeStream:
        return FakeStream(self, **settings)

    def RawOutputStream(self, **settings: Any) -> FakeStream:
        return FakeStream(self, **settings)

    def WasapiSettings(self, auto_convert: bool) -> str:
        return f"auto_convert={auto_convert}"

    def _terminate(self) -> None:
        pass

    def _initialize(self) -> None:
        self.scans += 1


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePortAudio]:
    fake = FakePortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(devices, "_scanned_at", None)
    yield fake
    devices._open_streams.clear()


def quiet() -> None:
    pass


def test_devices_are_listed_with_their_host_and_defaults(portaudio: FakePortAudio) -> None:
    listed = list_devices()
    assert listed[0] == SoundDevice(0, "HDA Intel: ALC (hw:0,0)", "ALSA", 2, 2)
    assert listed[1].default_input
    assert [device.index for device in listed if device.default_output] == [3]
    assert listed[4].host == "JACK"


@pytest.mark.parametrize(
    ("wanted", "direction", "index"),
    [
        (None, Direction.INPUT, 1),
        (None, Direction.OUTPUT, 3),
        (0, Direction.OUTPUT, 0),
        ("3", Direction.INPUT, 3),
        ("hda intel", Direction.INPUT, 0),
        ("mic", Direction.INPUT, 1),  # exactly this name, although "mic2" is there
        ("MIC2", Direction.INPUT, 2),
        ("headset jack", Direction.OUTPUT, 4),
        ("headset", Direction.OUTPUT, 3),  # the default device's host
    ],
)
def test_a_device_is_found_by_index_or_part_of_its_name(
    portaudio: FakePortAudio, wanted: int | str | None, direction: Direction, index: int
) -> None:
    assert find_device(wanted, direction).index == index


def test_a_device_that_is_not_there_is_an_error_that_names_the_others(portaudio: FakePortAudio) -> None:
    with pytest.raises(DeviceError, match="no sound input device 'Bose'") as caught:
        find_device("Bose", Direction.INPUT)
    assert "mic2" in caught.value.hint


@pytest.mark.parametrize("wanted", [7, "7", -1])
def test_an_index_out_of_range_is_an_error(portaudio: FakePortAudio, wanted: int | str) -> None:
    with pytest.raises(DeviceError, match="no sound output device"):
        find_device(wanted, Direction.OUTPUT)


def test_a_microphone_is_no_loudspeaker(portaudio: FakePortAudio) -> None:
    with pytest.raises(DeviceError, match="no sound output device 'mic2'"):
        find_device("mic2", Direction.OUTPUT)


def test_a_name_that_fits_several_devices_is_an_error_that_lists_them(portaudio: FakePortAudio) -> None:
    with pytest.raises(DeviceError, match="several sound input devices fit 'mi'") as caught:
        find_device("mi", Direction.INPUT)
    assert "1 mic (ALSA); 2 mic2 (ALSA)" in caught.value.hint


def test_no_device_at_all_is_said_with_a_hint(portaudio: FakePortAudio) -> None:
    portaudio.found, portaudio.default.device = [], [-1, -1]
    assert list_devices() == ()
    with pytest.raises(DeviceError, match="there is no sound input device") as caught:
        find_device(None, Direction.INPUT)
    assert caught.value.hint


def test_no_portaudio_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DeviceError, match="PortAudio library is missing") as caught:
        list_devices()
    assert "apt-get install libportaudio2 libasound2-plugins" in caught.value.hint


def test_a_headset_plugged_in_later_is_found(portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(devices.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    list_devices()
    assert portaudio.scans == 1
    now += 60
    list_devices()
    assert portaudio.scans == 2


def test_devices_are_never_scanned_again_while_a_stream_is_open(portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(devices.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    stream = Microphone(find_device("mic2", Direction.INPUT), lambda _: None, quiet)
    stream.open()
    now += 60
    list_devices()
    assert portaudio.scans == 1
    stream.close()
    list_devices()
    assert portaudio.scans == 2


def test_a_microphone_delivers_copies_of_its_blocks(portaudio: FakePortAudio) -> None:
    heard: list[Samples] = []
    microphone = Microphone(find_device(None, Direction.INPUT), heard.append, quiet)
    microphone.open()
    settings = portaudio.streams[0].settings
    assert (settings["samplerate"], settings["blocksize"], settings["channels"], settings["dtype"], settings["latency"]) == (
        48_000,
        480,
        1,
        "int16",
        "low",
    )
    buffer = bytearray(np.arange(480, dtype=np.int16).tobytes())
    portaudio.streams[0].call(buffer)
    buffer[:] = bytes(960)
    assert np.array_equal(heard[0], np.arange(480))
    assert microphone.blocks == 1


def test_a_loudspeaker_plays_what_is_rendered(portaudio: FakePortAudio) -> None:
    Loudspeaker(find_device(None, Direction.OUTPUT), lambda samples: np.full(samples, 7, np.int16), quiet).open()
    buffer = bytearray(960)
    portaudio.streams[0].call(buffer)
    assert np.array_equal(np.frombuffer(buffer, np.int16), np.full(480, 7))


def test_a_card_that_knows_only_stereo_is_used_in_stereo(portaudio: FakePortAudio) -> None:
    portaudio.refused_channels = {1}
    heard: list[Samples] = []
    Loudspeaker(find_device("HDA", Direction.OUTPUT), lambda samples: np.arange(samples, dtype=np.int16), quiet).open()
    Microphone(find_device("HDA", Direction.INPUT), heard.append, quiet).open()
    buffer = bytearray(4 * 480)
    portaudio.streams[0].call(buffer)
    assert np.array_equal(np.frombuffer(buffer, np.int16).reshape(-1, 2), np.stack([np.arange(480)] * 2, axis=1))
    portaudio.streams[1].call(buffer)
    assert np.array_equal(heard[0], np.arange(480))


@pytest.mark.parametrize("rate", [44_100, 96_000, 16_000, 22_050])
def test_a_card_that_refuses_48_khz_is_used_at_its_own_rate_and_converted(portaudio: FakePortAudio, rate: int) -> None:
    portaudio.only_rate = rate
    said, heard = Sine(1000), list[Samples]()
    Loudspeaker(find_device("HDA", Direction.OUTPUT), said.pull, quiet).open()
    Microphone(find_device("HDA", Direction.INPUT), heard.append, quiet).open()
    speaker, microphone = portaudio.streams
    assert speaker.settings["samplerate"] == microphone.settings["samplerate"] == rate
    assert speaker.settings["channels"] == 1, "the rate was wrong, not mono"
    block, played = speaker.settings["blocksize"], list[Samples]()
    assert block == rate // 100
    for _ in range(100):
        buffer = bytearray(2 * block)
        speaker.call(buffer, block)
        played.append(np.frombuffer(buffer, np.int16))
        microphone.call(buffer, block)
    wave = np.concatenate(played)[block:]
    turns = np.fft.rfft(wave * np.hanning(len(wave)))
    assert np.argmax(np.abs(turns)) * rate / len(wave) == pytest.approx(1000, abs=2)
    back = np.concatenate(heard)
    assert len(back) == pytest.approx(48_000 * block * 100 / rate, abs=100)
    assert share(back[4_800:43_200], 1000) > 0.999
    assert dbfs(back[4_800:43_200]) == pytest.approx(-20, abs=0.1)


def test_what_a_card_refuses_is_told_in_the_words_of_its_first_refusal(portaudio: FakePortAudio) -> None:
    portaudio.refusing, portaudio.only_rate = {0}, 44_100
    with pytest.raises(DeviceError, match="can't be opened: Invalid number of channels"):
        Microphone(find_device("HDA", Direction.INPUT), lambda _: None, quiet).open()


def test_another_process_sees_the_devices_as_they_are(portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('not mine')")  # what lies in the folder isn't run
    monkeypatch.chdir(tmp_path)
    stand_in = "import json; print(json.dumps([dict(index=3, name='new', host='ALSA', inputs=1, outputs=0, rate=48000)]))"
    monkeypatch.setattr(devices, "_LOOK", stand_in)
    microphone = Microphone(find_device(None, Direction.INPUT), lambda block: None, quiet)
    microphone.open()
    assert find_device("new", Direction.INPUT, devices.look_aside()).index == 3
    with pytest.raises(DeviceError):
        find_device("new", Direction.INPUT)
    assert portaudio.scans == 1
    monkeypatch.setattr(devices, "_LOOK", "import sys; sys.exit('no PortAudio')")
    assert devices.look_aside() == ()
    monkeypatch.setattr(devices, "_LOOK", "print('[{}, 7]')")
    assert devices.look_aside() == ()


def test_an_error_in_the_callback_is_counted_heard_as_silence_and_told_at_the_end(
    portaudio: FakePortAudio, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(samples: int) -> Samples:
        raise RuntimeError("bug")

    loudspeaker = Loudspeaker(find_device(None, Direction.OUTPUT), broken, quiet)
    loudspeaker.open()
    buffer = bytearray(b"\x55" * 960)
    portaudio.streams[0].call(buffer, status="output underflow")
    assert buffer == bytes(960)
    assert (loudspeaker.failures, loudspeaker.xruns, loudspeaker.blocks) == (1, 1, 1)
    loudspeaker.close()
    assert "1 blocks of" in caplog.text


def test_a_stream_that_dies_says_so_and_one_that_is_closed_does_not(portaudio: FakePortAudio) -> None:
    deaths: list[str] = []
    dying = Loudspeaker(find_device(None, Direction.OUTPUT), np.zeros, lambda: deaths.append("dying"))
    closed = Loudspeaker(find_device(None, Direction.OUTPUT), np.zeros, lambda: deaths.append("closed"))
    dying.open()
    closed.open()
    portaudio.streams[0].die()
    closed.close()
    closed.close()
    assert deaths == ["dying"]
    assert portaudio.streams[1].closed


def test_a_device_that_refuses_is_an_error_with_a_hint(portaudio: FakePortAudio) -> None:
    portaudio.refusing = {1}
    with pytest.raises(DeviceError, match="mic can't be opened: Invalid number of channels") as caught:
        Microphone(find_device(None, Direction.INPUT), lambda _: None, quiet).open()
    assert caught.value.hint


def test_wasapi_may_convert_the_rate(portaudio: FakePortAudio) -> None:
    portaudio.hosts = ["Windows WASAPI", "MME"]
    Microphone(find_device(None, Direction.INPUT), lambda _: None, quiet).open()
    assert portaudio.streams[0].settings["extra_settings"] == "auto_convert=True"


def test_a_list_that_was_forgotten_is_read_again_at_once(portaudio: FakePortAudio) -> None:
    list_devices()
    list_devices()
    assert portaudio.scans == 1
    devices.forget_devices()
    list_devices()
    assert portaudio.scans == 2
    list_devices()
    assert portaudio.scans == 2


def test_a_list_is_not_forgotten_while_a_stream_is_open(portaudio: FakePortAudio) -> None:
    """A new look at the devices would end the stream."""
    microphone = Microphone(find_device(None, Direction.INPUT), lambda block: None, quiet)
    microphone.open()
    devices.forget_devices()
    list_devices()
    assert portaudio.scans == 1
    microphone.close()
    list_devices()
    assert portaudio.scans == 2


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Ko\u0308pfho\u0308rer", "k\u00f6pfh\u00f6rer"),  # macOS gives names in pieces
        ("K\u00f6pfh\u00f6rer", "Ko\u0308pfho\u0308rer"),
        ("\uff35\uff33\uff22 Audio", "usb audio"),
        ("STRASSE", "stra\u00dfe"),
        ("\u2160 Channel", "i channel"),
    ],
)
def test_names_are_the_same_however_their_letters_are_put_together(name: str, wanted: str) -> None:
    device = devices.SoundDevice(0, name, "ALSA", 1, 1)
    assert devices.find_device(wanted, devices.Direction.INPUT, (device,)) is device


def test_a_name_that_is_not_utf_8_is_listed_found_and_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pytest.importorskip("sounddevice", exc_type=OSError)  # type: ignore[arg-type]
    kept = [real._ffi.new("char[]", name) for name in (b"Kopfh\xf6rer", b"mic")]
    infos = [real._ffi.new("PaDeviceInfo *", {"structVersion": 2, "name": name, "maxInputChannels": 1}) for name in kept]
    host = real._ffi.new("PaHostApiInfo *", {"structVersion": 1, "name": kept[1], "deviceCount": 2})
    library = SimpleNamespace(
        Pa_GetDeviceCount=lambda: len(infos),
        Pa_GetDeviceInfo=lambda index: infos[index],
        Pa_GetHostApiCount=lambda: 1,
        Pa_GetHostApiInfo=lambda index: host,
        Pa_HostApiTypeIdToHostApiIndex=lambda kind: 7,
        Pa_HostApiDeviceIndexToDeviceIndex=lambda host, device: device,
        Pa_GetDefaultInputDevice=lambda: 0,
        Pa_GetDefaultOutputDevice=lambda: 1,
        paDirectSound=1,
        paMME=2,
        paASIO=3,
    )
    monkeypatch.setattr(real, "_lib", library)
    monkeypatch.setattr(real, "_ffi_string", real._ffi.string)
    monkeypatch.setattr(devices, "_scanned_at", None)
    monkeypatch.setitem(sys.modules, "sounddevice", real)
    assert [device.name for device in devices.list_devices()] == ["Kopfh\ufffdrer", "mic"]
    assert devices.find_device("kopfh", devices.Direction.INPUT).index == 0
    assert real.query_devices(0)["name"] == "Kopfh\ufffdrer"  # what opening a stream asks first
