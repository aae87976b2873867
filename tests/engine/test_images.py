"""Images on a real engine: three layers, shared parents, no stale compiled files, nothing foreign
touched."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from patchbench.errors import InfraFault
from patchbench.runtimes import BuildFailed, ImageMissing
from tests.engine.engines import PrivateEngine
from tests.engine.many import keep_archive
from tests.engine.patches import at, edit
from tests.engine.tasks import Bench, docker_task

pytestmark = pytest.mark.engine

ENGINE_FILE = "tinyserve/config.py"


def numbered(bench: Bench, number: int) -> str:
    """Return a patch of Python code that is different for each number."""
    old = at(bench.repo, ENGINE_FILE)
    folder = bench.project.folder / f"edit-{number}"
    return edit(folder, ENGINE_FILE, old, f"{old}\nNUMBER = {number}\n")


def test_an_arm_is_a_small_layer_on_the_shared_parent(bench: Bench) -> None:
    _, parent = bench.make()
    arms = []
    for number in range(3):
        patch = numbered(bench, number)
        name, facts = bench.make(f"agent{number}", patch)
        arms.append(facts)
        assert facts.own_size <= len(patch) + (1 << 20)
        assert facts.layers[: len(parent.layers)] == parent.layers
        output = bench.output(name, "-c", "import tinyserve.config as c; print(c.NUMBER)")
        assert output == str(number)
    assert len({facts.image_id for facts in arms}) == 3
    assert all(facts.own_size > 0 and not facts.rebuilt for facts in arms)


def test_making_an_image_again_makes_nothing(bench: Bench) -> None:
    _, first = bench.make()
    _, again = bench.make()
    assert first == again


def test_a_changed_file_of_equal_size_is_never_run_from_an_old_compiled_one(bench: Bench) -> None:
    old = at(bench.repo, ENGINE_FILE)
    bench.make()
    number = next(i for i in range(9) if f"= {i}" in old)
    changed = old.replace(f"= {number}", f"= {(number + 1) % 10}", 1)
    assert len(changed) == len(old)
    name, _ = bench.make("brio", edit(bench.project.folder / "edit", ENGINE_FILE, old, changed))
    shown = bench.output(name, "-c", f"print(open('/opt/tinyserve/{ENGINE_FILE}').read())")
    assert shown == changed.strip()
    program = (
        "import tinyserve.config as c, importlib.util as u, marshal;"
        "data = open(u.cache_from_source(c.__file__), 'rb').read();"
        "fresh = compile(open(c.__file__).read(), c.__file__, 'exec');"
        "print(marshal.loads(data[16:]).co_consts == fresh.co_consts)"
    )
    assert bench.output(name, "-c", program) == "True"


def test_a_deleted_file_is_gone_with_its_compiled_one(bench: Bench) -> None:
    bench.make()
    old = at(bench.repo, "tinyserve/parallel.py")
    lines = "".join(f"-{line}\n" for line in old.splitlines())
    patch = (
        "diff --git a/tinyserve/parallel.py b/tinyserve/parallel.py\ndeleted file mode 100644\n"
        "--- a/tinyserve/parallel.py\n+++ /dev/null\n"
        f"@@ -1,{len(old.splitlines())} +0,0 @@\n{lines}"
    )
    name, _ = bench.make("brio", patch)
    left = bench.output(
        name,
        "-c",
        "import glob; print(glob.glob('/opt/tinyserve/tinyserve/**/parallel*', recursive=True))",
    )
    assert left == "[]"


def test_compiled_sources_are_rebuilt_in_a_sandbox_and_recorded_so(
    bench: Bench, engine: PrivateEngine
) -> None:
    project = bench.project
    recipe = project.folder / "envs/images/tinyserve/recipe.yaml"
    loaded = yaml.safe_load(recipe.read_text())
    program = (
        "import pathlib, socket; root = pathlib.Path('{root}');"
        "root.joinpath('built.txt').write_text(root.joinpath('kernel.cu').read_text().upper());"
        "socket.create_connection(('127.0.0.1', 1)) if 'dial' in root.joinpath('kernel.cu')"
        ".read_text() else None"
    )
    loaded["rebuild"] = ["{python}", "-c", program]
    recipe.write_text(yaml.safe_dump(loaded))
    keep_archive(project)
    subject = project.folder / "config/subjects/tinyserve.yaml"
    subject.write_text(subject.read_text() + '\nnative_patterns: ["*.cu"]\n')
    own_bench = Bench(project, docker_task(project, engine.url))
    patch = (
        "diff --git a/kernel.cu b/kernel.cu\nnew file mode 100644\n--- /dev/null\n+++ b/kernel.cu\n"
        "@@ -0,0 +1 @@\n+fast\n"
    )
    name, facts = own_bench.make("brio", patch)
    assert facts.rebuilt
    assert own_bench.output(name, "-c", "print(open('/opt/tinyserve/built.txt').read())") == "FAST"
    with pytest.raises(BuildFailed, match="refused"):
        own_bench.make("corso", patch.replace("+fast", "+dial"))
    assert not [t for i in engine.client().images.list() for t in i.tags if "-sources" in t]
    own_bench.runtime.remove(own_bench.task)


def foreign_image(engine: PrivateEngine, name: str) -> str:
    """Make an image without our labels; return its id."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("hello"), io.BytesIO())
    repository, _, tag = name.partition(":")
    engine.client().api.import_image_from_data(data.getvalue(), repository=repository, tag=tag)
    return str(engine.client().images.get(name).id)


def test_a_prebuilt_image_is_taken_with_its_digest_and_left_alone(
    bench: Bench, engine: PrivateEngine
) -> None:
    _, parent = bench.make()
    base, _ = bench.make()
    client = engine.client()
    client.images.get(base).tag("others/engine", f"baseline-{bench.task.parent[:12]}")
    images = {"tinyserve": {"baseline": "others/engine:baseline-{parent:.12}"}}
    own_bench = Bench(bench.project, docker_task(bench.project, engine.url, images=images))
    name, facts = own_bench.make()
    assert name != base
    # With containerd's image store every image has a digest, and no tag beside it.
    theirs = f"others/engine:baseline-{bench.task.parent[:12]}"
    assert facts.made_from in [f"{n}@{parent.image_id}" for n in (theirs, "others/engine")]
    assert facts.layers[: len(parent.layers)] == parent.layers
    arm, _ = own_bench.make("agent0", numbered(bench, 7))
    assert own_bench.output(arm, "-c", "import tinyserve.config as c; print(c.NUMBER)") == "7"
    own_bench.runtime.remove(own_bench.task)
    theirs = f"others/engine:baseline-{bench.task.parent[:12]}"
    assert client.images.get(theirs)
    # Their tag moves to another image: launches of the earlier one are finished.
    assert own_bench.make(was=facts.layers)[1].layers == facts.layers
    own_bench.runtime.remove(own_bench.task)
    client.images.remove(theirs)
    foreign_image(engine, theirs)
    for again in ((), ("agent0", numbered(bench, 7))):
        with pytest.raises(ImageMissing, match="another image now"):
            own_bench.make(*again, was=facts.layers)
    assert not [tag for image in client.images.list() for tag in image.tags if tag == name]
    client.images.remove(theirs)


def test_a_missing_prebuilt_image_is_reported_and_never_replaced(
    bench: Bench, engine: PrivateEngine
) -> None:
    images = {"tinyserve": {"baseline": "others/engine:{commit}"}}
    own_bench = Bench(bench.project, docker_task(bench.project, engine.url, images=images))
    with pytest.raises(ImageMissing, match="no image others/engine"):
        own_bench.make()
    pulling = {"tinyserve": {"baseline": "others/engine:{commit}", "pull": True}}
    own_bench = Bench(bench.project, docker_task(bench.project, engine.url, images=pulling))
    with pytest.raises((ImageMissing, InfraFault), match="others/engine"):
        own_bench.make()


def test_what_was_there_before_is_untouched(bench: Bench, engine: PrivateEngine) -> None:
    client = engine.client()
    theirs = foreign_image(engine, "another/user:1")
    container = client.api.create_container("another/user:1", ["/hello"], name="theirs")
    volume = client.volumes.create("theirs")
    name, _ = bench.make()
    # A container that a person started from an image of ours is theirs as well.
    own = client.api.create_container(name, ["sleep", "60"], name="debugging")
    bench.make("agent0", numbered(bench, 1))
    bench.runtime.clean()
    assert {c.name for c in client.containers.list(all=True)} == {"theirs", "debugging"}
    client.api.remove_container(own["Id"])
    bench.runtime.remove(bench.task)
    assert [t for i in client.images.list() for t in i.tags if "-base:" not in t] == [
        "another/user:1"
    ]
    assert client.images.get("another/user:1").id == theirs
    assert volume in client.volumes.list()
    client.api.remove_container(container["Id"])
    client.images.remove("another/user:1")
    volume.remove()


def test_a_result_that_never_ends_fills_no_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patchbench.runtimes.docker import outputs

    monkeypatch.setattr(outputs, "MAX_RESULT_BYTES", 1 << 20)
    name, _ = bench.make()
    target = bench.project.folder / "result.json"
    program = (
        "import sys\nwith open('/files/result.json', 'w') as f:\n"
        "    for _ in range(64): f.write('x' * (1 << 20))\nprint('done')"
    )
    assert bench.output(name, "-c", program, writes=(target,)) == "done"
    assert target.stat().st_size == 1 << 20


def test_a_container_is_shut_in(bench: Bench) -> None:
    name, _ = bench.make()
    program = (
        "import os, json\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)\n"
        "print(json.dumps({'caps': int(status['CapEff'], 16), 'new': int(status['NoNewPrivs']),"
        "'uid': os.getuid(), 'links': sorted(os.listdir('/sys/class/net')),"
        "'env': sorted(os.environ), 'root': os.access('/opt', os.W_OK), 'pid': os.getpid() < 20}))"
    )
    import json

    seen = json.loads(bench.output(name, "-c", program))
    assert seen["caps"] == 0
    assert seen["new"] == 1
    assert seen["uid"] == 65534
    assert seen["links"] == ["lo"]
    assert seen["root"] is False
    assert seen["pid"] is True
    assert not {"SECRET_TOKEN", "DOCKER_HOST"} & set(seen["env"])


def test_masks_secrets_of_a_base_script(
    bench: Bench, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from patchbench.runtimes.docker.bases import root_file_system

    project = bench.project
    folder = project.folder / "envs/images/tinyserve"
    loaded = yaml.safe_load((folder / "recipe.yaml").read_text())
    loaded["base"] |= {"secrets": ["HUB_TOKEN"]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(loaded))
    (folder / "base.sh").write_text(
        'echo "token $HUB_TOKEN, other ${OTHER:-none}"; echo $HUB_TOKEN >&2; touch "$1"\n'
    )
    monkeypatch.setenv("HUB_TOKEN", "hf_verysecret")
    monkeypatch.setenv("OTHER", "not for scripts")
    log = project.folder / "base.log"
    task = docker_task(project, engine.url)
    archive = root_file_system(task, log, bench.guard)
    assert archive.is_file()
    text = log.read_text()
    assert "token [HUB_TOKEN], other none" in text
    assert "hf_verysecret" not in text
    assert os.environ["HUB_TOKEN"] == "hf_verysecret"
    Path(archive).unlink()
