"""Decisions of the Docker runtime that need no engine."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from patchbench.config import Containers, Mount, Sandbox
from patchbench.errors import BadInput, Stopped
from patchbench.records import BASELINE
from patchbench.runtimes.docker import contexts, labels, options
from patchbench.runtimes.docker.bases import mask
from patchbench.runtimes.docker.contexts import Files
from patchbench.runtimes.docker.engine import refuse_podman
from patchbench.runtimes.docker.image_maker import image_name, prebuilt_name
from patchbench.runtimes.docker.lease import Lease, decide
from patchbench.subject import Base, Fix, Recipe
from patchbench.system.gpu_slots import LOCK_FOLDER
from patchbench.system.locks import release, try_lock
from patchbench.system.pid_space import identity
from tests.unit import make

API = docker.APIClient(version="1.41", base_url="unix:///nowhere")
RECIPE = Recipe(
    folder="envs/images/small", digest="d" * 16, root="/opt/small", python="/usr/bin/python3"
)


@pytest.mark.parametrize(
    ("commit", "on_disk", "shortage", "helps", "waits", "hopeless"),
    [
        ("a", set(), None, False, False, False),
        ("a", {"b", "c"}, None, True, True, False),  # both slots are taken
        ("b", {"b", "c"}, None, True, False, False),  # it has one of them
        ("b", {"b", "c"}, "need 9", True, True, False),
        ("a", set(), "need 9", False, True, True),  # nobody will free anything
    ],
)
def test_who_may_build(commit, on_disk, shortage, helps, waits, hopeless) -> None:
    answer = decide(commit, on_disk, 2, shortage, waiting_helps=helps)
    assert (answer.why_not is not None) == waits
    assert answer.hopeless == hopeless


class Told:
    """The guard of a job that was told to end."""

    def check(self) -> None:
        raise Stopped("told to end")


@pytest.mark.parametrize(
    "wait", [lambda lease: lease.admission(Told()), lambda lease: lease.used(Told())]
)
def test_a_job_that_waits_for_others_to_ask_hears_that_it_shall_end(
    wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCK_FOLDER, str(tmp_path))
    waiting = Lease(make.task(), SimpleNamespace(campaign="c"), "alba")
    taken = try_lock(waiting.lock)
    assert taken is not None
    try:
        with pytest.raises(Stopped), wait(waiting):
            pass
    finally:
        release(taken)


def config(**more: object) -> dict[str, object]:
    machine = more.pop("machine", Containers())
    return options.host_config(API, Sandbox(), machine, network="none", **more)  # type: ignore[arg-type]


def test_the_sandbox_has_all_its_walls() -> None:
    found = config()
    assert found["NetworkMode"] == "none"
    assert found["ReadonlyRootfs"] is True
    assert found["CapDrop"] == ["ALL"]
    assert found["SecurityOpt"] == ["no-new-privileges"]
    assert found["Init"] is True
    assert found["PidsLimit"] == Sandbox().pids
    assert found["Memory"] == found["MemorySwap"] == Sandbox().memory_mb << 20
    assert found["LogConfig"]["Type"] == "none"
    assert set(found["Tmpfs"]) == {"/tmp", "/var/tmp", "/run"}


def test_what_it_reads_is_read_only_and_what_it_writes_is_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    found = config(reads=[tmp_path / "model"], pipes={tmp_path / "result.json": pipe})
    mounts = {m["Target"]: (m["Source"], m["ReadOnly"]) for m in found["Mounts"]}
    assert mounts["/files/model"] == (str(tmp_path / "model"), True)
    assert mounts["/files/result.json"] == (str(pipe), False)


def test_gpus_by_request_or_by_device_nodes() -> None:
    assert "DeviceRequests" not in config(gpus=["0"])
    asked = config(gpus=["2"], machine=Containers(gpu="nvidia"))["DeviceRequests"][0]
    assert asked["DeviceIDs"] == ["2"]
    machine = Containers(gpu="devices", devices=("/dev/nvidia{index}", "/dev/nvidiactl"))
    nodes = [d["PathOnHost"] for d in config(gpus=["2", "3"], machine=machine)["Devices"]]
    assert nodes == ["/dev/nvidia2", "/dev/nvidia3", "/dev/nvidiactl"]
    assert not config(gpus=[], machine=machine).get("Devices")


def test_the_environment_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    found = options.environment(Containers(env={"A": "1"}), ["3"], "/opt/x", {"A": "2", "B": "3"})
    assert found["CUDA_VISIBLE_DEVICES"] == "0"  # numbered anew inside
    assert (found["A"], found["B"]) == ("2", "3")
    assert "HF_TOKEN" not in found
    assert options.environment(Containers(), [], "/opt/x")["CUDA_VISIBLE_DEVICES"] == ""


def test_mounts_of_the_machine_are_read_only() -> None:
    found = config(machine=Containers(mounts=(Mount(source="/models", target="/m"),)))
    assert found["Mounts"][0] | {"ReadOnly": True} == found["Mounts"][0]


def unpacked(context: bytes) -> dict[str, tarfile.TarInfo]:
    return {m.name: m for m in tarfile.open(fileobj=io.BytesIO(context)).getmembers()}


def text(context: bytes, name: str = "Dockerfile") -> str:
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


def test_an_arms_context_has_fresh_times_and_names_what_is_deleted() -> None:
    files = Files({"small/a b.py": (b"x = 1\n", 0o644)}, ("small/gone.py",))
    context = contexts.arm_context(RECIPE, "parent:1", {"patchbench.kind": "arm"}, files)
    member = unpacked(context)["tree/small/a b.py"]
    assert member.mtime > 1_700_000_000
    lines = text(context).splitlines()
    assert lines[0] == "FROM parent:1"
    assert lines[1] == 'LABEL patchbench.kind="arm"'
    run = json.loads(lines[-1].removeprefix("RUN "))
    assert run[:3] == ["/usr/bin/python3", "-I", "-c"]
    assert json.loads(run[-1]) == [["small/a b.py"], ["small/gone.py"]]


def test_labels_stand_right_after_from() -> None:
    found = contexts.with_labels("# a comment\nFROM base\nRUN x", {"k": 'a "b"'})
    assert found.splitlines()[:3] == ["# a comment", "FROM base", 'LABEL k="a \\"b\\""']


def test_fixes_are_lines_with_their_reasons() -> None:
    fix = Fix(name="pin", why="needs the old interface", run=("{python}", "-m", "pip"))
    recipe = make_recipe(fixes=(fix,))
    lines = text(contexts.base_dockerfile(recipe, "raw:1", {})).splitlines()
    assert "# pin: needs the old interface" in lines
    assert lines[-1] == 'RUN ["/usr/bin/python3", "-m", "pip"]'


def make_recipe(**more: object) -> Recipe:
    return Recipe(
        **{
            "folder": "f",
            "digest": "d",
            "root": "/r",
            "python": "/usr/bin/python3",
            "base": Base(image="b"),
            **more,
        }
    )


def test_names_say_what_an_image_is_made_from() -> None:
    task = make.task(runtime="docker", recipe=RECIPE)
    one = image_name(task, "brio", "1" * 64, "campaign")
    assert one != image_name(task, "brio", "2" * 64, "campaign")
    assert one != image_name(task, "brio", "1" * 64, "other")
    assert image_name(task, BASELINE, None, "c") == image_name(task, BASELINE, "1" * 64, "c")
    changed = make.task(runtime="docker", recipe=make_recipe())
    assert one != image_name(changed, "brio", "1" * 64, "campaign")


def test_an_owner_is_dead_only_where_that_can_be_known() -> None:
    mine = {labels.OWNER: identity(os.getpid()) or "", labels.SPACE: labels.space()}
    assert not labels.owner_is_dead(mine)
    assert labels.owner_is_dead(mine | {labels.OWNER: "999999999:1:boot"})
    # Another machine's process, or one of another container: who are we to tell?
    assert not labels.owner_is_dead({labels.OWNER: "1:1:b", labels.SPACE: "elsewhere:boot:pid:[1]"})
    host, _, rest = labels.space().partition(":")
    earlier = f"{host}:another-boot:{rest.partition(':')[2]}"
    assert labels.owner_is_dead({labels.OWNER: "1:1:b", labels.SPACE: earlier})


def test_podman_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"Podman Engine 5\.4\.2.*ignores GPU requests"):
        refuse_podman({"Components": [{"Name": "Podman Engine", "Version": "5.4.2"}]})
    refuse_podman({"Components": [{"Name": "Engine"}]})
    refuse_podman({})


def test_secrets_are_masked_wherever_they_stand() -> None:
    assert mask("a hf_x b hf_x", {"HF_TOKEN": "hf_x"}) == "a [HF_TOKEN] b [HF_TOKEN]"
    assert mask("text", {"EMPTY": ""}) == "text"


def test_prebuilt_names_are_filled_in() -> None:
    commit, parent = "c" * 40, "p" * 40
    assert prebuilt_name("a:baseline-{parent:.12}", commit, parent) == "a:baseline-" + ("p" * 12)
    assert prebuilt_name("a:{commit}", commit, parent) == f"a:{commit}"
    with pytest.raises(BadInput, match="not a name pattern"):
        prebuilt_name("a:{commti}", commit, parent)
