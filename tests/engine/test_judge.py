"""The judge in a container of its own, beside a server in another one; names that a server sees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.judge.record import read_window
from patchbench.load import ClosedLoop, Lengths, Load, RandomPrompts
from patchbench.runtimes import Child, Place
from patchbench.runtimes.docker.image_store import BASE
from patchbench.runtimes.docker.judge_image import ensure_judge
from patchbench.system.files import write_json
from patchbench.system.processes import wait_until
from tests.engine.engines import PrivateEngine
from tests.engine.tasks import Bench
from tests.workflow.project import ROOT

pytestmark = pytest.mark.engine

PORT = 8000
SERVE = (
    "import asyncio, sys; sys.path.insert(0, '/files')\n"
    "from tests.judge_servers.server import Behaviour, Server\n"
    f"asyncio.run(Server(Behaviour()).run(None, asyncio.Event(), {PORT}))"
)
# All that a process learns of its surroundings without being told.
LOOK = """
import json, os, platform, pwd, socket, sys
from pathlib import Path
files = ["/proc/self/mountinfo", "/proc/self/mounts", "/proc/self/cgroup", "/proc/self/environ",
         "/proc/self/status", "/proc/net/unix", "/proc/net/tcp", "/etc/hosts", "/etc/hostname",
         "/etc/resolv.conf", "/etc/passwd", "/etc/group"]
seen = {name: Path(name).read_text() for name in files if Path(name).is_file()}
seen |= {f"/proc/{pid}/cmdline": Path(f"/proc/{pid}/cmdline").read_text()
         for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()}
seen["names"] = [socket.gethostname(), socket.gethostbyname(socket.gethostname()), *os.uname()]
seen["folders"] = [os.listdir(path) for path in ("/", "/tmp", "/run", "/files", os.getcwd())]
print(json.dumps(seen))
"""


@pytest.fixture
def server(bench: Bench) -> Iterator[Child]:
    """A container with a server of completions."""
    image, _ = bench.make()
    out, err = (bench.project.folder / f"server.{name}" for name in ("out", "err"))
    place = Place(bench.task.commit, "alba", "server", reads=(ROOT / "tests",))
    child = bench.runtime.launch(
        image, ["/usr/bin/python3", "-c", SERVE], env={}, stdout=out, stderr=err, place=place
    )
    try:
        yield child
    finally:
        child.stop(2)
        assert not err.read_text()


def judged(bench: Bench, words: list[str], place: Place, folder: Path) -> tuple[str, str]:
    """Run the judge; return the seconds until it had started and ended."""
    out, err = folder / "out", folder / "err"
    began = time.monotonic()
    child = bench.runtime.start_judge(words, stdout=out, stderr=err, place=place)
    started = time.monotonic() - began
    try:
        assert wait_until(lambda: child.exit_code is not None, 60, bench.guard)
    finally:
        child.stop(2)
    assert child.exit_code == 0, err.read_text()
    return f"{started:.2f}", f"{time.monotonic() - began:.2f}"


def test_a_server_is_measured_from_another_container(bench: Bench, server: Child) -> None:
    folder = bench.project.folder / "launch"
    load, secret = folder / "load.json", folder / "secret"
    output = Lengths(low=8, high=8)
    prompts = RandomPrompts(prompt=Lengths(low=16, high=16), output=output)
    shape = ClosedLoop(requests=12, concurrency=4)
    write_json(load, Load(model="m", shape=shape, prompts=prompts, windows=2))
    secret.write_bytes(b"s" * 32)
    records = [folder / f"window-{number}.judge" for number in (1, 2)]
    inside = bench.runtime.inside
    words = ["--load", inside(load), "--base-url", f"http://127.0.0.1:{PORT}"]
    words += ["--secret-file", inside(secret), "--out", inside(folder / "window-{window}.judge")]
    place = Place(
        bench.task.commit, "alba", "judge", server, reads=(load, secret), writes=tuple(records)
    )
    for _ in range(2):  # the image is made by the first one
        print("started, ended after:", *judged(bench, words, place, folder))
    for number, record in enumerate(records, 1):
        window = read_window(record)
        assert window.window == number
        assert [len(answer.token_ids) for answer in window.answers] == [8] * 12
        assert not [answer.error for answer in window.answers if answer.error]


def test_the_judges_image_is_a_base(bench: Bench, engine: PrivateEngine) -> None:
    name = ensure_judge(bench.runtime.store, Path(bench.task.work))
    image = engine.client().images.get(name)
    assert image.labels["patchbench.kind"] == BASE
    assert image.attrs["Size"] < 120 << 20
    bench.runtime.clean()
    bench.runtime.remove(bench.task)
    assert ensure_judge(bench.runtime.store, Path(bench.task.work)) == name
    assert engine.client().images.get(name).id == image.id


def test_a_server_sees_no_name_of_ours(bench: Bench, tmp_path: Path) -> None:
    model = tmp_path / "weights"
    model.mkdir()
    name, _ = bench.make()
    text = bench.output(name, "-c", LOOK, reads=(model,))
    seen = json.loads(text)
    assert seen["names"][:2] == ["localhost", "127.0.0.1"]
    assert "USER=user" in seen["/proc/self/environ"].split("\0")
    for place, value in seen.items():
        for word in ("patchbench", "judge"):
            assert word not in str(value).lower(), place
