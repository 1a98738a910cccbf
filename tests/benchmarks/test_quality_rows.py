"""The rows of the benchmark of sound: kept and found again, compared in pairs, and judged by a bound."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import quality_rows as rows
import speech
from quality_calls import CHROMIUM, OURS, OURS_EQUAL, Found, terms
from speech import Score

KEY = rows.Key("1234", "report", "5 %", 1001, 2)


def found(*scores: tuple[float, float]) -> Found:
    return Found([Score(pesq, delay, 1.0, 0.0) for pesq, delay in scores], 60.0, 0.05)


ROW = rows.Row(KEY, {OURS: found((4.0, 60.0), (3.8, 62.0)), CHROMIUM: found((3.5, 90.0), (3.4, 91.0))})


def test_a_row_is_found_again_of_its_version_and_systems_alone(tmp_path: Path) -> None:
    rows.Rows(tmp_path / "kept" / "rows.jsonl").keep(ROW)
    again = rows.Rows(tmp_path / "kept" / "rows.jsonl")
    assert again.of([KEY]) == [ROW]
    assert again.has(KEY, [OURS, CHROMIUM])
    assert not again.has(KEY, [OURS, "another"])
    assert not again.has(replace(KEY, version="1235"), [OURS])


def test_differences_are_of_the_same_sentence_over_the_same_losses() -> None:
    assert rows.differences([ROW], OURS, CHROMIUM, lambda score: score.pesq) == pytest.approx([0.5, 0.4])
    assert rows.differences([ROW], OURS, "another", lambda score: score.pesq) == []


def test_an_interval_holds_the_mean_and_gets_narrower_with_more_sentences() -> None:
    dice = np.random.default_rng(1)
    few, many = (rows.interval(list(dice.normal(0.1, 0.2, count))) for count in (6, 200))
    assert few[1] <= few[0] <= few[2]
    assert many[2] - many[1] < few[2] - few[1]


def test_a_system_is_far_behind_by_its_score_or_by_its_delay() -> None:
    assert not rows.is_far_behind(ROW, OURS, CHROMIUM, 0.4, 30.0)
    assert rows.is_far_behind(ROW, CHROMIUM, OURS, 0.4, 100.0)
    assert rows.is_far_behind(ROW, CHROMIUM, OURS, 1.0, 28.0)
    assert not rows.is_far_behind(ROW, CHROMIUM, OURS, 1.0, 30.0)


def test_a_disturbed_call_is_marked_and_never_judged_as_far_behind() -> None:
    disturbed = rows.Row(KEY, {**ROW.found, CHROMIUM: replace(ROW.found[CHROMIUM], disturbed=True)})
    assert not rows.is_far_behind(disturbed, CHROMIUM, OURS, 0.4, 100.0)
    assert "91*" in rows.report([disturbed], [OURS, CHROMIUM], ["5 %"]) or "90*" in rows.report([disturbed], [OURS, CHROMIUM], ["5 %"])


def test_the_documentations_table_has_score_worst_delay_and_bits_of_what_was_measured() -> None:
    told = rows.markdown([ROW], [OURS, "another", CHROMIUM], ["5 %", "10 %"]).splitlines()
    assert told[0] == f"| line | {OURS} | {CHROMIUM} |"
    assert told[2:] == ["| 5 % | 3.90 (3.80) / 61, 60 | 3.45 (3.40) / 90, 60 |"]


def test_no_delay_is_told_where_hardly_a_word_arrived() -> None:
    told = rows.markdown([replace(ROW, found={OURS: found((1.1, 11_000.0), (1.2, -50.0))})], [OURS], ["5 %"]).splitlines()
    assert told[2:] == ["| 5 % | 1.15 (1.10), 60 |"]


def test_the_report_shows_who_is_behind_and_what_was_not_measured() -> None:
    behind = rows.Row(KEY, {OURS: ROW.found[CHROMIUM], CHROMIUM: ROW.found[OURS]})
    told = rows.report([behind], [OURS, CHROMIUM], ["5 %", "10 %"])
    assert "score and delay" in told
    assert "Not measured: 10 %." in told
    assert "score and delay" not in rows.report([ROW], [OURS, CHROMIUM], ["5 %"])


def test_the_set_that_is_reported_shares_no_sentence_and_no_voice_with_the_one_for_tuning() -> None:
    assert not set(speech.TUNING) & set(speech.REPORT)
    assert not {one[1:] for one in speech.TUNING if isinstance(one[0], str)} & {one[1:] for one in speech.REPORT}
    spoken = [{one[0] for one in chosen if isinstance(one[0], str)} for chosen in (speech.TUNING, speech.REPORT)]
    assert not spoken[0] & spoken[1]


def test_the_spectral_distance_is_none_of_the_same_sound_and_counts_what_is_missing() -> None:
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    assert speech.spectral_distance(noise, noise) == (0.0, 0.0)
    holed = noise.copy()
    holed[3200:6400] = 0
    distance, gaps = speech.spectral_distance(noise, holed)
    assert distance > 1.0
    assert gaps == pytest.approx(0.2, abs=0.03)


def test_at_libwebrtcs_bits_there_are_no_copies_and_the_rest_is_as_it_is() -> None:
    offered = ("m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=fmtp:111 useinbandfec=1")
    told = ("a=rtcp-fb:111 nack", "a=rtcp-fb:111 transport-cc", "a=extmap:3 urn:numbers")
    sdp = "".join(f"{line}\r\n" for line in (*offered, *told))
    assert terms(OURS, sdp) == sdp
    assert terms(OURS_EQUAL, sdp).splitlines() == [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=fmtp:111 useinbandfec=1;maxaveragebitrate=32000",
        "a=rtcp-fb:111 nack",
        "a=rtcp-fb:111 transport-cc",
        "a=extmap:3 urn:numbers",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b'{"key": {"version": "1234", "set"',
        b"\n",
        b"\x00\xff\n",
        b'{"key": 7}\n',
        b"[]\n",
        b'{"key": {}, "found": {"a": {"another": 1}}}\n',
    ],
    ids=["a run was killed while it wrote", "empty", "no text", "a number", "a list", "of another program"],
)
def test_what_cannot_be_read_of_a_file_of_rows_is_told_and_costs_no_other_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: bytes
) -> None:
    file = tmp_path / "rows.jsonl"
    rows.Rows(file).keep(ROW)
    file.write_bytes(file.read_bytes() + broken)
    other = replace(ROW, key=replace(KEY, seed=1002))
    rows.Rows(file).keep(other)
    assert rows.Rows(file).of([KEY, other.key]) == [ROW, other]
    assert "1 row can't be read" in capsys.readouterr().err or broken == b"\n"
