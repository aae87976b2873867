"""The GPU campaign: its subject out of a release, its model, its bundles and its configuration."""

import ast
import base64
import hashlib
import importlib
import json
import math
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.parsing.names import METRICS
from patchbench.plan import campaign

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "vllm_gpu"
COMMON = ROOT / "examples" / "vllm_common"
BENCHMARKS = ROOT / "benchmarks" / "gpu"
# The unpacked wheel, where benchmarks/gpu/run.sh or a person has put it.
RELEASE = Path(os.environ.get("VLLM_GPU_SITE", ROOT / ".patchbench" / "vllm-gpu" / "site"))
MODULES = (
    *("source", "task", "repository", "folder", "subject", "waits"),
    *("edits", "make_subject", "make_model", "weights", "keep_arch", "neighbour_table", "blocks"),
)
AGENTS = {"brio", "corso", "dolce"}


@pytest.fixture
def gpu(monkeypatch):
    """The example's modules, which are scripts and no package."""
    for place in (COMMON, EXAMPLE, BENCHMARKS):
        monkeypatch.syspath_prepend(str(place))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name, None)


# Places in source -----------------------------------------------------------------------------

SOURCE = '''\
import os
# Why the next one is needed.
import sys

LIMIT = sys.maxsize


def first(a):
    """Says a thing."""

    # A remark.
    b = a + 1
    return b


class Owner:
    def first(self):
        return LIMIT
'''


def test_a_body_gives_way_and_the_docstring_stays(gpu):
    new = gpu.source.replace_body(SOURCE, gpu.source.function(SOURCE, "first"), "return a")
    assert '    """Says a thing."""\n    return a\n\n\nclass Owner:' in new
    assert new.startswith("import os\n# Why")


def test_a_method_is_told_from_a_function_of_the_same_name(gpu):
    method = gpu.source.function(SOURCE, "first", "Owner")
    new = gpu.source.replace_body(SOURCE, method, "return 0")
    assert new.endswith("    def first(self):\n        return 0\n")
    assert "    return b\n" in new


def test_what_is_removed_takes_its_remark_along(gpu):
    gone = gpu.source.statements(SOURCE, ast.Import, naming="sys")
    new = gpu.source.remove(SOURCE, gone)
    assert new.startswith("import os\n\nLIMIT")


def test_inserted_code_stands_apart_at_the_top_level(gpu):
    new = gpu.source.insert_before(SOURCE, gpu.source.klass(SOURCE, "Owner"), "X = 1")
    assert "    return b\n\n\nX = 1\n\n\nclass Owner:" in new
    inner = gpu.source.insert_before(SOURCE, gpu.source.function(SOURCE, "first").body[1], "c = 2")
    assert "    c = 2\n    b = a + 1\n" in inner


def test_a_renamed_name_changes_in_its_function_alone(gpu):
    new = gpu.source.rename(SOURCE, gpu.source.function(SOURCE, "first"), "b", "total")
    assert "    total = a + 1\n    return total\n" in new
    compile(new, "renamed", "exec")


@pytest.mark.parametrize(
    "ask",
    [
        lambda source: source.function(SOURCE, "absent"),
        lambda source: source.function(SOURCE, "first", "Absent"),
        lambda source: source.klass(SOURCE, "Absent"),
        lambda source: source.statements(SOURCE, naming="absent"),
        lambda source: source.rename(SOURCE, source.function(SOURCE, "first"), "absent", "x"),
    ],
)
def test_a_place_that_is_not_there_is_said(gpu, ask):
    with pytest.raises(gpu.source.EditError):
        ask(gpu.source)


# The subject ----------------------------------------------------------------------------------


def unpacked(folder: Path, files: dict[str, bytes], release: str) -> Path:
    """A folder with files and the list of them that a wheel carries."""
    lines = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(content)}\n")
    info = folder / f"vllm-{release}.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("".join(lines))
    return folder


FILES = {
    "vllm/a.py": SOURCE.encode(),
    "vllm/kernel.py": b"KERNEL = 1\n",
    "vllm/_C.abi3.so": b"\x7fELF\0",
    "vllm/picture.jpg": b"\xff\xd8\0",
    "vllm/third_party/deep_gemm/include/a.h": b"// left out\n",
}


@pytest.fixture
def toy(gpu):
    """The example's modules, and `toy`: a subject with one task of its own."""
    source = gpu.source

    def without(text):
        return source.replace_body(text, source.function(text, "first"), "return None")

    def agent(text):
        return source.insert_before(text, source.function(text, "first").body[1], "a = 2")

    task = gpu.task.Task(
        branch="toy",
        title="Say it",
        before="Say nothing",
        upstream=7,
        removal={"vllm/a.py": without, "vllm/kernel.py": None},
        agents={"brio": {"vllm/a.py": agent}},
        perf_command="vllm bench latency --model llama-8b",
        primary_metric="latency_avg_s",
    )
    gpu.toy = replace(gpu.make_subject.SUBJECT, tasks=(task,))
    return gpu


def git(folder: Path, *words: str, data: bytes | None = None) -> bytes:
    command = ["git", "--git-dir", str(folder), *words]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def test_the_humans_patch_turns_the_baseline_into_the_release(toy, tmp_path):
    site = unpacked(tmp_path / "site", FILES, toy.make_subject.RELEASE)
    said = toy.subject.make(toy.toy, site, tmp_path / "out")
    task = yaml.safe_load((tmp_path / "out" / "tasks.yaml").read_text())["tasks"][0]
    repo = tmp_path / "out" / "repo.git"
    names = git(repo, "ls-tree", "-r", "--name-only", task["commit"]).decode().split()
    assert names == ["vllm/a.py", "vllm/kernel.py"]
    assert git(repo, "show", f"{task['commit']}:vllm/a.py") == FILES["vllm/a.py"]
    assert git(repo, "ls-tree", "-r", "--name-only", task["parent"]).decode() == "vllm/a.py\n"
    assert task["commit"][:8] in said
    patch = (tmp_path / "out" / "patches" / "brio" / f"{task['commit'][:8]}.diff").read_text()
    assert "+    a = 2" in patch
    # The repository holds the two commits and none of the agents' answers.
    assert git(repo, "rev-list", "--all", "--count") == b"2\n"


def test_a_repetition_changes_nothing_and_another_machine_gets_the_same_hashes(toy, tmp_path):
    site = unpacked(tmp_path / "site", FILES, toy.make_subject.RELEASE)
    toy.subject.make(toy.toy, site, tmp_path / "out")
    again = toy.subject.make(toy.toy, site, tmp_path / "out")
    toy.subject.make(toy.toy, site, tmp_path / "elsewhere")
    lists = [(tmp_path / place / "tasks.yaml").read_text() for place in ("out", "elsewhere")]
    assert again.endswith("is there already")
    assert lists[0] == lists[1]


def test_a_file_that_was_changed_after_unpacking_is_refused(toy, tmp_path):
    site = unpacked(tmp_path / "site", FILES, toy.make_subject.RELEASE)
    (site / "vllm/a.py").write_text("# changed\n")
    with pytest.raises(toy.repository.SubjectError, match="was changed"):
        toy.subject.make(toy.toy, site, tmp_path / "out")


def test_another_release_is_said_in_one_line(toy, tmp_path, capsys, monkeypatch):
    site = unpacked(tmp_path / "site", {"vllm/a.py": b"x = 1\n"}, toy.make_subject.RELEASE)
    words = ["make_subject.py", "--site", str(site), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    assert toy.subject.main(toy.toy, "") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no function first" in said or "no file vllm/kernel.py" in said


@pytest.mark.skipif(not RELEASE.is_dir(), reason="no unpacked vLLM 0.20.2 (run.sh vllm)")
def test_every_edit_of_the_real_release_compiles_and_the_human_restores_it(gpu, tmp_path):
    made = gpu.make_subject.SUBJECT
    release = gpu.subject.read_release(made, RELEASE)
    hashes = gpu.subject.make_repository(made, tmp_path / "repo.git", release)
    for task in gpu.edits.TASKS:
        _, commit = hashes[task.branch]
        for path in task.removal:
            assert git(tmp_path / "repo.git", "show", f"{commit}:{path}") == release[path]
        names = git(tmp_path / "repo.git", "ls-tree", "-r", "--name-only", commit).decode()
        assert sorted(names.split()) == sorted(release)
        baseline = {**release, **gpu.subject.edited(made, dict(release), task.removal)}
        for change in task.agents.values():
            changed = gpu.subject.edited(made, baseline, change)  # compiles each of them
            assert all(baseline[path] != text for path, text in changed.items())


# The model ------------------------------------------------------------------------------------


def test_the_tokenizer_has_as_many_tokens_as_the_model(gpu):
    tokens, merges = gpu.make_model.vocabulary()
    assert len(tokens) == len(set(tokens)) == gpu.make_model.CONFIG["vocab_size"]
    known = set(tokens)
    assert all(left in known and right in known for left, right in merges)
    assert [left + right for left, right in merges] == tokens[-len(merges) :]
    letters = gpu.make_model.byte_letters()
    assert len(set(letters)) == 256
    assert letters[ord("a")] == "a"
    assert letters[ord(" ")] == gpu.make_model.SPACE


def test_a_model_is_made_once_and_one_without_weights_is_refused(
    gpu, tmp_path, monkeypatch, capsys
):
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 2}
    monkeypatch.setattr(gpu.make_model, "CONFIG", gpu.make_model.CONFIG | small)
    model = tmp_path / "model"
    monkeypatch.setattr(sys, "argv", ["make_model.py", "--out", str(model)])
    for _ in range(2):
        assert gpu.folder.main("", gpu.make_model.write) == 0
    assert "is there already" in capsys.readouterr().out
    assert model.stat().st_mode & 0o005 == 0o005
    assert (model / "model.safetensors").stat().st_mode & 0o004
    (model / "model.safetensors").unlink()
    assert gpu.folder.main("", gpu.make_model.write) == 2
    assert "without weights: remove it" in capsys.readouterr().err


# Bundles --------------------------------------------------------------------------------------

PTX, CODE = 1, 2


def fat_binary(*entries: tuple[int, int, bytes]) -> bytes:
    """A fat binary of (kind, architecture, code)."""
    body = b""
    for kind, arch, code in entries:
        head = struct.pack("<HHIQIIII", kind, 0x101, 64, len(code), 0, 0, 0, arch)
        body += head.ljust(64, b"\1") + code
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def test_only_the_code_of_one_architecture_stays(gpu):
    library = b"ELF" + fat_binary((CODE, 80, b"A" * 40), (CODE, 90, b"B" * 40), (PTX, 80, b"Q" * 9))
    data = bytearray(library + b"tail")
    gone = gpu.keep_arch.blank(data, 90, keep_ptx=True)
    assert gone == 49
    assert len(data) == len(library) + 4
    assert (data.count(b"A"), data.count(b"Q"), data.count(b"B")) == (0, 0, 40)
    assert data.startswith(b"ELF") and data.endswith(b"tail")


def test_portable_code_stays_where_there_is_nothing_better(gpu):
    data = bytearray(fat_binary((CODE, 80, b"A" * 40), (PTX, 80, b"Q" * 9)))
    gpu.keep_arch.blank(data, 90, keep_ptx=True)
    assert data.count(b"Q") == 9
    gpu.keep_arch.blank(data, 90, keep_ptx=False)
    assert data.count(b"Q") == 0


@given(st.binary(max_size=400), st.integers(min_value=0, max_value=120))
def test_no_library_changes_its_length(noise, arch):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import keep_arch
    finally:
        sys.path.remove(str(BENCHMARKS))
    whole = noise + fat_binary((CODE, 90, b"B" * 24)) + noise
    for library in (noise, whole, whole[: len(whole) // 2], struct.pack("<I", 0xBA55ED50) + noise):
        data = bytearray(library)
        keep_arch.blank(data, arch, keep_ptx=True)
        assert len(data) == len(library)


def test_packages_to_carry_are_packages_of_the_lock_file():
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {line.partition("==")[0] for line in lock.splitlines() if "==" in line}
    text = (BENCHMARKS / "workflow-packages.txt").read_text()
    names = {line for line in text.splitlines() if line and not line.startswith("#")}
    assert len(names) > 20
    assert names <= pinned


SCRIPTS = [
    *(BENCHMARKS / name for name in ("run.sh", "pack.sh", "two_gpus.sh")),
    ROOT / "envs/images/vllm-gpu/base.sh",
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_read_by_the_shell(script):
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [([], 2, "run.sh [options] PHASE"), (["--help"], 2, "PHASE"), (["fly"], 1, "no phase fly")],
)
def test_a_wrong_command_line_is_said_before_anything_is_made(tmp_path, words, code, said):
    home = tmp_path / "home"
    command = ["bash", str(BENCHMARKS / "run.sh"), "--home", str(home), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr
    assert not home.exists()


# Root gets a file system in memory on a big machine, above what the test put there.
BIG = os.geteuid() == 0 and psutil.virtual_memory().total >= 64 << 30


@pytest.mark.skipif(BIG, reason="run.sh would mount a file system in memory")
def test_results_are_collected_from_the_folder_that_was_set(tmp_path):
    for name in ("vllm-gpu", "two"):
        (tmp_path / "home/project/results" / name).mkdir(parents=True)
        (tmp_path / "home/project/results" / name / "report.md").write_text(name)
    (tmp_path / "home/project/config").mkdir()
    shutil.copy(ROOT / "config/vllm-gpu.yaml", tmp_path / "home/project/config")
    command = ["bash", str(BENCHMARKS / "run.sh"), "--home", str(tmp_path / "home")]
    for words, wanted in (([], "vllm-gpu"), (["--set", "results=results/two"], "two")):
        out = tmp_path / wanted
        subprocess.run([*command, *words, "--out", str(out), "collect"], check=True)
        assert (out / "report.md").read_text() == wanted
        with tarfile.open(out / "results.tar.xz") as archive:
            assert f"results/{wanted}/report.md" in archive.getnames()


def test_the_base_says_what_is_missing(tmp_path):
    command = ["bash", str(SCRIPTS[-1]), str(tmp_path / "base.tar"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "run.sh vllm first" in done.stderr


# The campaign ---------------------------------------------------------------------------------


Load = Callable[..., campaign.Campaign]


@pytest.fixture
def load(gpu, tmp_path, monkeypatch) -> Load:
    """Loads a configuration as it is, with a task list as the generator writes it."""
    monkeypatch.chdir(ROOT)
    hashes = {task.branch: ("a" * 40, f"{n:040x}") for n, task in enumerate(gpu.edits.TASKS)}

    def from_file(
        path: str = "config/vllm-gpu.yaml", listed: str = "tasks", **more: object
    ) -> campaign.Campaign:
        tasks = tmp_path / f"{listed}.yaml"
        tasks.write_text(gpu.subject.tasks_yaml(gpu.make_subject.SUBJECT, hashes, listed))
        config = yaml.safe_load((ROOT / path).read_text())
        config |= {"tasks": [str(tasks)], "results": str(tmp_path / "results"), **more}
        config["tasks_without_patches"] = "measure"
        return campaign.load(config, path)

    return from_file


@pytest.fixture
def loaded(load):
    """config/vllm-gpu.yaml."""
    return load()


def test_the_configuration_stands_up_to_the_schemas(gpu, loaded):
    assert gpu.make_subject.SUBJECT.lists == ("tasks", "two-gpus", "waits")
    assert len(loaded.tasks) == 3
    usual = [task for task in gpu.edits.TASKS if task.listed != "waits"]
    assert {agent for task in usual for agent in task.agents} == AGENTS
    assert set(loaded.agents) == AGENTS
    assert loaded.runtime == "docker"
    assert loaded.containers.gpu == "devices"
    recipes = [spec.recipe for spec in loaded.tasks.values()]
    assert all(recipe is not None and recipe.root == "/srv/vllm" for recipe in recipes)
    # No container can write where another one reads.
    caches = [value for name, value in recipes[0].env.items() if "CACHE" in name]
    assert len(caches) >= 3
    assert all(value.startswith("/tmp/") for value in caches)


def test_each_task_is_a_workload_on_one_gpu(loaded):
    found = {}
    for spec in loaded.tasks.values():
        workload, exclusion = spec.workload, spec.exclusion
        assert exclusion is None
        assert workload is not None
        assert workload.gpus == 1
        assert workload.model.endswith("vllm-gpu/model")
        assert spec.primary_metric in METRICS
        assert set(spec.guard_metrics or ()) <= METRICS.keys()
        found[workload.type] = workload
    assert set(found) == {"serving", "latency", "throughput"}
    serving = found["serving"]
    assert serving.requests == 256
    options = json.loads(serving.server_args[serving.server_args.index("--compilation-config") + 1])
    assert options["mode"] == 0, "torch.compile would leave caches of its own"
    assert not {"--compilation-config", "--load-format"} & set(serving.client_args)


def test_the_task_of_two_gpus_is_one_for_two_gpus(load):
    (spec,) = load(listed="two-gpus", max_gpus_per_task=2).tasks.values()
    workload = spec.workload
    assert (workload.type, workload.gpus) == ("serving", 2)
    assert "--disable-custom-all-reduce" in workload.server_args
    assert "--disable-custom-all-reduce" not in workload.client_args
    # A rank that hangs ends before the window's limit does.
    assert int(workload.env["VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS"]) == 30
    assert workload.env["VLLM_ALLREDUCE_USE_SYMM_MEM"] == "0"


def test_the_examples_campaign_is_that_of_one_gpu_with_one_agent(load):
    loaded, usual = load("docs/examples/h200/campaign.yaml"), load()
    assert [*loaded.agents] == ["brio"]
    assert loaded.containers == usual.containers
    assert loaded.protocol.limits == usual.protocol.limits


# Patches of known effect ------------------------------------------------------------------------

ENGINE_LOOP = """\
import time


class EngineCoreProc:
    def __init__(self, step):
        self.step_fn, self.out = step, []

    def _process_engine_step(self):
        \"\"\"One step.\"\"\"
        # Step.
        outputs, done = self.step_fn()
        # Hand out.
        self.out.append(outputs)
        return done
"""


@pytest.mark.parametrize("share", [0, 1, 10])
def test_a_patch_of_known_effect_waits_for_its_share_of_a_step(gpu, share):
    text = gpu.waits.wait_for(share)(gpu.waits.wait_for_nothing(ENGINE_LOOP))
    clock = SimpleNamespace(now=0.0)

    def step():
        clock.now += 100.0
        return "tokens", True

    def sleep(_):
        clock.now += 0.5

    names: dict[str, object] = {}
    exec(compile(text, "core", "exec"), names)
    names["time"] = SimpleNamespace(perf_counter=lambda: clock.now, sleep=sleep)
    engine = names["EngineCoreProc"](step)
    assert engine._process_engine_step() is True
    assert engine.out == ["tokens"]
    assert clock.now == 100.0 + share


def test_an_engine_whose_loop_is_another_one_is_said(gpu):
    for text in (ENGINE_LOOP.replace("step_fn(", "other("), "x = 1\n"):
        with pytest.raises(gpu.source.EditError):
            gpu.waits.wait_for_nothing(text)
    with pytest.raises(gpu.source.EditError, match="no WAIT"):
        gpu.waits.wait_for(5)("x = 1\n")


def test_the_calibration_measures_one_task_with_a_judge_that_ignores_answers(load):
    loaded = load("config/calibrate-gpu.yaml", listed="waits")
    (spec,) = loaded.tasks.values()
    assert spec.exclusion is None and spec.answers == "ignored"
    assert spec.workload.load is not None
    assert "--no-async-scheduling" in spec.workload.server_args
    assert [*loaded.agents] == ["wait-0", "wait-1", "wait-2", "wait-5"]
    usual = load()
    assert loaded.containers == usual.containers


# Two GPUs -------------------------------------------------------------------------------------


def windows(gpu, *figures: float, state: str, number: int = 1):
    rows = [dict.fromkeys(gpu.neighbour_table.METRICS, value) for value in figures]
    return [gpu.neighbour_table.Measured(number, state, row) for row in rows]


def test_a_neighbours_effect_is_the_mean_difference_within_rounds(gpu):
    found = []
    for number, level in ((1, 100.0), (2, 300.0)):  # another level in each round changes nothing
        idle = (0.99 * level, 1.01 * level)
        found += windows(gpu, *idle, state="idle", number=number)
        found += windows(gpu, *(0.98 * f for f in idle), state="working", number=number)
    effects = gpu.neighbour_table.effects(found, "output_tps")
    assert set(effects) == {"idle", "working"}
    working = effects["working"]
    assert math.exp(working.difference) == pytest.approx(0.98)
    spread = statistics.stdev(map(math.log, (0.99, 1.01)))
    assert working.scatter == pytest.approx(spread)
    assert working.free == 2
    # Two rounds of two windows each: the mean of two differences of means of two.
    assert working.half == pytest.approx(float(stats.t.ppf(0.975, 4)) * spread / math.sqrt(2))
    rows = list(gpu.neighbour_table.table(found))
    assert "| `output_tps` | working | 4 | -2.00 % (" in "\n".join(rows)


def write_journal(results: Path, commit: str, block: int, *events: tuple[str, str]) -> None:
    for kind, word in events:
        arm = word if kind.startswith("run_") else ""
        event = Event(
            event=kind, at=journal.now(), commit=commit, block=block, digest="d", arm=arm,
            detail="" if arm else word,
        )  # fmt: skip
        journal.write(journal.path(results, commit, block), event)


BEGUN = (("block_begun", "baseline human"), ("slot_taken", "1"))
ONE_DONE = (*BEGUN, ("run_started", "baseline"), ("run_finished", "baseline"))


def test_two_commits_in_the_middle_are_told_from_one(gpu, tmp_path):
    write_journal(tmp_path, "a" * 40, 1, *ONE_DONE, ("run_started", "human"))
    write_journal(tmp_path, "b" * 40, 1, *BEGUN, ("run_started", "baseline"))
    assert gpu.blocks.torn(tmp_path, 0) == 1
    write_journal(tmp_path, "b" * 40, 1, ("run_finished", "baseline"), ("run_started", "human"))
    assert gpu.blocks.torn(tmp_path, 0) == 0
    write_journal(tmp_path, "b" * 40, 1, ("run_finished", "human"))
    assert gpu.blocks.torn(tmp_path, 0) == 1


def test_a_launch_that_finished_twice_is_told(gpu, tmp_path, capsys):
    write_journal(tmp_path, "a" * 40, 1, *ONE_DONE, ("slot_taken", "1"), ("run_started", "human"))
    assert gpu.blocks.check(tmp_path) == 0
    assert (
        "aaaaaaaa block 1: slots 1 1, 2 starts, 1 finished: baseline\n" in capsys.readouterr().out
    )
    write_journal(tmp_path, "a" * 40, 1, ("run_finished", "baseline"))
    assert gpu.blocks.check(tmp_path) == 1
    assert "AGAIN baseline" in capsys.readouterr().out
