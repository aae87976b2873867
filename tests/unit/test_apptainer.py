"""Apptainer's command lines, and a process's life through a stand-in for the program.

The stand-in runs the command as a plain process in the bound tree: what is tested is ours (words,
environment, network, ends), not Apptainer, which no package here offers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from patchbench.errors import BadInput, InfraFault
from patchbench.records import Containers, Fix, Mount, Recipe
from patchbench.runtimes import Place
from patchbench.runtimes.apptainer import options, program
from patchbench.runtimes.apptainer.network import Network
from patchbench.runtimes.apptainer.options import Bind
from patchbench.runtimes.apptainer.runtime import ApptainerRuntime
from patchbench.system.processes import Guard, identity, wait_until
from tests.unit.make import task

RECIPE = Recipe(folder="envs/images/x", digest="d1", root="/opt/x", python=sys.executable)

STAND_IN = """\
#!{python}
import json, os, sys
words = sys.argv[1:]
binds = [words[i + 1] for i, word in enumerate(words) if word == "--bind"]
places = dict(reversed(bind.split(":")[:2]) for bind in binds)
at = words.index("--pwd")
os.chdir(places[words[at + 1]])
own = "APPTAINERENV_"
env = {{n[len(own):]: v for n, v in os.environ.items() if n.startswith(own)}}
command = [places.get(word, word) for word in words[at + 3:]]
os.execve(command[0], command, env | {{"WORDS": json.dumps(words), "PATH": os.environ["PATH"]}})
"""


# --- words ------------------------------------------------------------------------------------


def test_a_process_sees_its_tree_and_nothing_of_the_caller(tmp_path: Path) -> None:
    tree, probe, out = tmp_path / "tree", tmp_path / "probe.py", tmp_path / "result.json"
    machine = Containers(mounts=(Mount(source=str(tmp_path), target="/models"),))
    bound = options.binds(tree, "/opt/x", machine, [probe], [out])
    words = options.exec_words(
        "/bin/apptainer", Path("/b.sif"), bound, ["python3", "-m", "x"], root="/opt/x", nvidia=False
    )
    assert words == [
        *("/bin/apptainer", "exec", "--containall", "--cleanenv", "--no-home", "--no-privs"),
        *("--bind", f"{tree}:/opt/x:ro", "--bind", f"{probe}:/patchbench/probe.py:ro"),
        *("--bind", f"{out}:/patchbench/result.json:rw", "--bind", f"{tmp_path}:/models:ro"),
        *("--pwd", "/opt/x", "/b.sif", "python3", "-m", "x"),
    ]


def test_a_gpu_is_asked_for_where_there_is_one() -> None:
    words = options.exec_words("a", Path("b"), [], ["c"], root="/r", nvidia=True)
    assert "--nv" in words


def test_only_named_variables_go_inside() -> None:
    env = options.environment({"PATH": "/bin"}, "/opt/x", ("1", "3"), {"A": "1,2"}, {"A": "3,4"})
    assert env["PATH"] == "/bin"
    assert env["APPTAINERENV_A"] == env["SINGULARITYENV_A"] == "3,4"
    assert env["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == "1,3"
    assert "A" not in env
    none = options.environment({}, "/opt/x", ())
    assert none["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize("name", ["a:b", "a,b"])
def test_a_path_that_a_bind_cant_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="colon or a comma"):
        _ = Bind(Path("/tmp") / name, "/x").word


@pytest.mark.parametrize(
    ("said", "meant"), [(None, None), (0, 0), (1, 1), (128, 128), (137, -9), (143, -15), (255, 255)]
)
def test_exit_codes_of_signals(said: int | None, meant: int | None) -> None:
    assert options.exit_code(said) == meant


# --- refusals ---------------------------------------------------------------------------------


def test_a_machine_without_the_program_says_so() -> None:
    with pytest.raises(BadInput, match=r"neither apptainer nor singularity .*module load"):
        program.find(lambda name: None)
    with pytest.raises(BadInput, match="no unshare on the path"):
        program.find(lambda name: "/bin/x" if name == "singularity" else None)
    assert program.find(lambda name: f"/bin/{name}") == "/bin/apptainer"
    assert program.find(lambda name: None if name == "apptainer" else f"/bin/{name}").endswith("y")


def test_a_recipe_that_needs_builds_is_refused() -> None:
    recipe = msgspec.structs.replace(
        RECIPE, rebuild=("make",), fixes=(Fix(name="f", why="w", run=("true",)),)
    )
    with pytest.raises(BadInput, match="recipe of vllm wants fixes and rebuild"):
        program.refuse(recipe, "vllm")
    program.refuse(RECIPE, "vllm")


# --- a process's life -------------------------------------------------------------------------


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApptainerRuntime:
    """A runtime whose program is the stand-in. Skips where no user namespaces are allowed."""
    try:
        Network().end()
    except (InfraFault, OSError) as error:
        pytest.skip(str(error))
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apptainer").write_text(STAND_IN.format(python=sys.executable))
    (folder / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SECRET_TOKEN", "not for patches")
    made = task()
    made = msgspec.structs.replace(made, recipe=RECIPE, work=str(tmp_path / "work"))
    (tmp_path / "tree").mkdir()
    return ApptainerRuntime(made, tmp_path / "results")


def ends(child, guard: Guard) -> int | None:
    assert wait_until(lambda: child.exit_code is not None, 20, guard)
    code = child.exit_code
    child.stop(1)
    return code


def start(runtime: ApptainerRuntime, tmp_path: Path, name: str, code: str, **place):
    return runtime.launch(
        str(tmp_path / "tree"),
        [sys.executable, "-c", code],
        env={"GIVEN": "a,b"},
        stdout=tmp_path / f"{name}.out",
        stderr=tmp_path / f"{name}.err",
        place=Place("c0", "alba", "server", **place),
    )


def test_environment_folder_and_exit_code(
    runtime: ApptainerRuntime, tmp_path: Path, guard: Guard
) -> None:
    code = (
        "import os, json; print(json.dumps([os.getcwd(), dict(os.environ)])); raise SystemExit(7)"
    )
    child = start(runtime, tmp_path, "one", code)
    assert ends(child, guard) == 7, child.stderr.read_text()
    folder, env = json.loads(child.stdout.read_text())
    assert folder == str(tmp_path / "tree")
    assert env["GIVEN"] == "a,b"
    assert env["PYTHONPATH"] == "/opt/x"
    assert "SECRET_TOKEN" not in env
    assert str(runtime.base) in json.loads(env["WORDS"])


def test_server_and_client_share_a_network_that_has_only_loopback(
    runtime: ApptainerRuntime, tmp_path: Path, guard: Guard
) -> None:
    serve = (
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 20001)); s.listen();"
        "print('ready', flush=True); s.accept()[0].sendall(b'hello'); s.accept()"
    )
    ask = (
        "import socket; print(socket.create_connection(('127.0.0.1', 20001)).recv(9).decode(),"
        " [n for _, n in socket.if_nameindex()])"
    )
    server = start(runtime, tmp_path, "server", serve)
    assert wait_until(lambda: "ready" in server.stdout.read_text(), 20, guard)
    client = start(runtime, tmp_path, "client", ask, beside=server)
    assert ends(client, guard) == 0, client.stderr.read_text()
    assert client.stdout.read_text() == "hello ['lo']\n"
    alone = start(runtime, tmp_path, "alone", ask)
    assert ends(alone, guard) == 1
    assert "refused" in alone.stderr.read_text()
    assert server.exit_code is None
    assert server.stop(5) == "ended on SIGTERM"
    assert server.exit_code == -signal.SIGTERM
    assert server.network.popen.poll() is not None


def test_a_file_that_was_not_written_is_not_left(
    runtime: ApptainerRuntime, tmp_path: Path, guard: Guard
) -> None:
    one, other = tmp_path / "result.json", tmp_path / "answers.json"
    code = f"open({str(one)!r}, 'w').write('x')"
    child = start(runtime, tmp_path, "writes", code, writes=(one, other))
    assert ends(child, guard) == 0, child.stderr.read_text()
    assert one.read_text() == "x"
    assert not other.exists()


def test_a_network_ends_with_its_keeper(guard: Guard) -> None:
    network = Network()
    pid = int(network.enter()[2])
    assert identity(pid) is not None
    network.end()
    assert wait_until(lambda: identity(pid) is None, 5, guard)
