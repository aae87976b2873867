"""Patches that attack: each is contained, ends with its own cause and does no harm."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.engine.conftest import SLOW, on_engine
from tests.engine.engines import PrivateEngine
from tests.engine.patches import AT_REQUEST, AT_START, COMMIT, inserted, repository
from tests.workflow.conftest import copy_project
from tests.workflow.project import Project

pytestmark = pytest.mark.engine

SECRET = "a secret of the host"

# name: where the code is put, the code, the cause that it must end with, words of its evidence.
ATTACKS: dict[str, tuple[str, str, str, str]] = {
    "network": (
        AT_START,
        'import socket\nsocket.create_connection(("192.0.2.1", 80), 2)',
        "sandbox.network",
        "Network is unreachable",
    ),
    "host_file": (AT_START, 'print(open("{secret}").read())', "server.crash", "FileNotFoundError"),
    "environment": (
        AT_START,
        'import os\nprint(dict(os.environ))\nos.environ["SECRET_TOKEN"]',
        "server.crash",
        "KeyError",
    ),
    "fork_bomb": (
        AT_START,
        "import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n"
        "        time.sleep(0.01)",
        "sandbox.pids",
        "more processes",
    ),
    "memory": (
        AT_REQUEST,
        "hoard = []\nwhile True:\n    hoard.append(bytearray(b'x' * (1 << 26)))",
        "sandbox.memory",
        "memory",
    ),
    "disk": (
        AT_REQUEST,
        'with open("/tmp/flood", "wb") as flood:\n    while True:\n'
        "        flood.write(b'x' * (1 << 20))",
        "sandbox.disk",
        "No space left on device",
    ),
    "own_image": (
        AT_START,
        'open("/opt/tinyserve/tinybench/serve.py", "a").write("#")',
        "sandbox.read_only",
        "Permission denied",
    ),
    "outlive": (
        AT_START,
        "import os, time\nif os.fork():\n    os._exit(0)\nos.setsid()\n"
        "if os.fork():\n    os._exit(0)\ntime.sleep(600)",
        "server.crash",
        "exit code 0",
    ),
    "kill_others": (
        AT_REQUEST,
        "import os, signal\ntry:\n    os.kill(-1, signal.SIGKILL)\nfinally:\n"
        "    for pid in range(2, 400):\n        try:\n"
        "            pid != os.getpid() and os.kill(pid, signal.SIGKILL)\n"
        "        except OSError:\n            pass\n    os._exit(7)",
        "server.crash_under_load",
        "",
    ),
}
if SLOW:
    ATTACKS["names"] = (
        AT_START,
        'import urllib.request\nurllib.request.urlopen("http://example.com/", timeout=5)',
        "sandbox.network",
        "name resolution",
    )


@pytest.fixture(scope="module")
def attacked(
    tmp_path_factory: pytest.TempPathFactory, engine: PrivateEngine, base_archive: Path
) -> Project:
    """One campaign in which every agent delivered an attack."""
    folder = tmp_path_factory.mktemp("attacked")
    project = on_engine(copy_project(folder / "project"), engine, base_archive)
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    repo = repository(project)
    agents = {}
    for name, (where, code, _, _) in ATTACKS.items():
        place = project.folder / "attacks" / name
        place.mkdir(parents=True)
        text = inserted(repo, folder / "edits" / name, where, code.replace("{secret}", str(secret)))
        (place / f"{COMMIT}.diff").write_text(text)
        agents[name] = {"patches": f"attacks/{name}"}
    args = project.small_config(blocks=1, runtime="docker", agents=agents, trust_patches=False)
    done = project.snakemake(*_tighter(project, args))
    assert done.returncode == 0, done.stderr[-4000:]
    return project


def _tighter(project: Project, args: list[str]) -> list[str]:
    import yaml

    path = project.folder / "small.yaml"
    config = yaml.safe_load(path.read_text())
    config["protocol"]["limits"] |= {"smoke": 6, "check": 20, "stop": 2}
    config["containers"] = {"sandbox": {"memory_mb": 400, "tmp_mb": 64, "pids": 64}}
    path.write_text(yaml.safe_dump(config))
    return args


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_has_its_own_outcome(attacked: Project, name: str) -> None:
    outcome = next(r for r in attacked.table("outcomes") if r["arm"] == name)
    _, _, cause, words = ATTACKS[name]
    assert (outcome["status"], outcome["cause"]) == ("failed", cause), outcome
    assert outcome["blame"] == "agent"
    assert words in outcome["evidence"], outcome


def test_the_baseline_and_the_human_were_measured_beside_them(attacked: Project) -> None:
    rows = {r["arm"]: r for r in attacked.table("outcomes")}
    assert rows["human"]["status"] == "measured"
    runs = [r for r in attacked.table("runs") if r["arm"] == "baseline"]
    assert runs
    assert {r["status"] for r in runs} == {"measured"}


def test_no_attack_saw_the_host(attacked: Project) -> None:
    texts = [
        path.read_text(errors="replace")
        for path in (attacked.results).rglob("*")
        if path.is_file() and path.suffix in (".stdout", ".stderr", ".log", ".json")
    ]
    assert any("PYTHONHASHSEED" in text for text in texts)  # it did print its environment
    assert not [text for text in texts if SECRET in text or "not for patches" in text]


def test_nothing_is_left_of_them(attacked: Project, engine: PrivateEngine) -> None:
    client = engine.client()
    assert not client.containers.list(all=True)
    assert not [t for i in client.images.list() for t in i.tags if "-base:" not in t]
    assert not attacked.processes()
    shutil.rmtree(attacked.folder / ".patchbench")
