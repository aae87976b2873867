"""What of a pull's stream matters, how far it is, and who is to blame when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.errors import InfraFault
from patchbench.runtimes.base import ImageMissing
from patchbench.runtimes.docker import pulling
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.pull_process import Line, lines

MB = 1_000_000


def download(layer: str, done: int, total: int = 100 * MB) -> dict:
    return {
        "status": "Downloading",
        "id": layer,
        "progressDetail": {"current": done, "total": total},
    }


def clock(step: float):
    """A clock that goes on by so many seconds whenever it is asked."""
    now = [0.0]

    def ask() -> float:
        now[0] += step
        return now[0]

    return ask


def test_progress_is_summed_over_layers_and_said_now_and_then() -> None:
    stream = [
        {"status": "Pulling from engines/vllm"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"},
        download("aa", 10 * MB),
        download("bb", 20 * MB),
        {"status": "Download complete", "progressDetail": {}, "id": "aa"},
        download("bb", 50 * MB),
        {"status": "Status: Downloaded newer image"},
    ]
    assert list(lines(stream, clock(1.0))) == [
        Line(status="Pulling from engines/vllm"),
        Line(done=10 * MB, total=100 * MB),
        Line(done=30 * MB, total=200 * MB),
        Line(done=150 * MB, total=200 * MB),
        Line(status="Status: Downloaded newer image"),
    ]
    assert sum(bool(line.total) for line in lines(stream, clock(0.4))) == 1


def test_an_error_in_the_stream_is_passed_on() -> None:
    text = "write /var/lib/docker/tmp/GetImageBlob1: no space left on device"
    stream = [download("aa", 1), {"errorDetail": {"message": text}, "error": text}]
    assert list(lines(stream, clock(9)))[-1] == Line(error=text)


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "status": st.sampled_from(["Downloading", "Download complete", "Waiting"]),
                "id": st.sampled_from("abc"),
                "error": st.text(),
                "progressDetail": st.fixed_dictionaries(
                    {}, optional={"current": st.integers(0, 9), "total": st.integers(0, 9)}
                ),
            },
        )
    )
)
def test_any_stream_has_its_errors_and_never_more_than_all(stream: list[dict]) -> None:
    found = list(lines(stream, clock(1)))
    assert [line.error for line in found if line.error] == [
        item["error"] for item in stream if item.get("error")
    ]
    assert all(line.total >= 0 for line in found)


def test_how_far_a_pull_is_comes_in_words() -> None:
    assert pulling.amount([Line(status="Pulling")]) == ""
    text = pulling.amount([Line(done=1, total=2), Line(done=3_210 * MB, total=9_800 * MB)])
    assert text == "3.2 of 9.8 GB of the layers begun so far"


def test_a_person_is_told_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pulling, "SHOWN_EVERY", 0.0)
    said = tmp_path / "said"
    said.write_text("")
    shown = pulling.PullProgress("engines/vllm:1")
    shown.show(said)
    assert capsys.readouterr().err == ""
    said.write_text('{"done": 1500000000, "total": 2000000000}\n{"done": 16')
    shown.show(said)
    assert capsys.readouterr().err == (
        "patchbench: pulling engines/vllm:1: 1.5 of 2.0 GB of the layers begun so far\n"
    )


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (Line(error="manifest for r/e:1 not found: manifest unknown", answer=True), None),
        (Line(error="pull access denied for r/e, repository does not exist"), None),
        (Line(error="invalid reference format", answer=True), None),
        (Line(error="write /d/tmp/x: no space left on device"), "infra.disk_full"),
        (Line(error="write /d/tmp/x: no space left on device", answer=True), "infra.disk_full"),
        (Line(error="toomanyrequests: You have reached your limit", answer=True),
         "infra.rate_limit"),
        (Line(error='Head "https://r/v2/e/manifests/1": no basic auth credentials'), "infra.auth"),
        (Line(error="dial tcp 127.0.0.1:5000: connect: connection refused"), "infra.network"),
        (Line(error="something else"), "infra.engine"),
        (Line(), "infra.engine"),
    ],
)  # fmt: skip
def test_only_an_image_that_is_not_there_is_missing(
    line: Line, cause: str | None, tmp_path: Path
) -> None:
    engine = Engine("unix:///nowhere.sock")
    found = pulling._failure(engine, "r/e:1", [line], "", tmp_path / "pull.log")
    if cause is None:
        assert isinstance(found, ImageMissing)
        assert str(found) == f"r/e:1: {line.error}"
    else:
        assert isinstance(found, InfraFault)
        assert found.cause == cause
        assert f"pull r/e:1 | log: {tmp_path / 'pull.log'}" in str(found)
