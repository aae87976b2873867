"""Fuzz the validation of patches: mutate good and bad diffs and hold what must hold for any bytes.

    .venv/bin/python benchmarks/fuzz_patches.py --seconds 300

Nothing may raise, nothing may be written outside the scratch folder, every refusal has a known
cause and evidence, every record can be written, and a patch that passes stays inside the tree.
Prints cases per second and every failure with the bytes that made it; exit code 1 if there was one.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import msgspec  # noqa: E402
from tests.fixtures.bad_patches import Repo, corpus, good  # noqa: E402
from tests.fixtures.bad_patches.repo import FILES, HUMAN  # noqa: E402

from patchbench.failures.causes import CAUSES  # noqa: E402
from patchbench.patches.normalise import normalise  # noqa: E402
from patchbench.patches.validate import validate  # noqa: E402
from patchbench.records import Validated  # noqa: E402
from patchbench.system.files import digest  # noqa: E402

CHECK_TREE_EVERY = 200
LINES = (
    b"diff --git a/engine/core.py b/engine/core.py",
    b"diff --git a/engine/old.py b/engine/old.py",
    b"--- a/engine/core.py",
    b"+++ b/engine/core.py",
    b"--- /dev/null",
    b"+++ /dev/null",
    b"+++ b/../../sentinel/x",
    b"+++ /tmp/sentinel/x",
    b"@@ -1 +1 @@",
    b"@@ -0,0 +1,2 @@",
    b"@@ -7,7 +7,7 @@",
    b"new file mode 120000",
    b"new file mode 100644",
    b"deleted file mode 100644",
    b"old mode 100644",
    b"new mode 160000",
    b"rename from engine/old.py",
    b"rename to ../x",
    b"rename to engine/n.py",
    b"copy from engine/core.py",
    b"copy to engine/c.py",
    b"index 0000000..1111111",
    b"index 6ce4b9d..e13d72a 100644",
    b"GIT binary patch",
    b"literal 3",
    b"KcmZQz00",
    b"Binary files a/x and b/x differ",
    b"\\ No newline at end of file",
    b"-- ",
    b"```diff",
    b"```",
    b"+++ b/model_patch.diff",
    b"\xff\xfe",
    b"+import engine.nothing",
    b"+from . import nothing",
)
Mutation = Callable[[random.Random, bytes, list[bytes]], bytes]


def swap_bytes(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if out:
            out[rng.randrange(len(out))] = rng.choice((rng.randrange(256), 0, 10, 13, 32, 43, 45))
    return bytes(out)


def cut(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[end:] if rng.random() < 0.5 else data[start:end]


def shuffle_lines(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 3)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def insert_line(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    for _ in range(rng.randint(1, 3)):
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(LINES))
    return b"\n".join(lines)


def double_lines(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    lines = data.split(b"\n")
    i = rng.randrange(len(lines))
    lines[i:i] = lines[i : i + rng.randint(1, 5)] * rng.randint(1, 50)
    return b"\n".join(lines)


def numbers(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    at = [i for i, byte in enumerate(data) if 48 <= byte < 58]
    if not at:
        return data
    i = rng.choice(at)
    new = rng.choice((b"0", b"-1", b"9", b"99999999999999999999", b"1", b"%d" % rng.randrange(40)))
    return data[:i] + new + data[i + 1 :]


def splice(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    other = rng.choice(seeds)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def append(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    return data + rng.choice((b"", b"\n")) + rng.choice(seeds)


def encode(rng: random.Random, data: bytes, seeds: list[bytes]) -> bytes:
    text = data.decode("utf-8", "replace")
    return rng.choice(
        (
            text.encode("utf-16"),
            text.replace("\n", "\r").encode(),
            text.replace("\n", "\r\n").encode(),
            f"```\n{text}\n```\n".encode(),
            text.replace("a/", "").replace("b/", "").encode(),
            text.replace("a/", "/home/u/").replace("b/", "/home/u/").encode(),
            text.replace("engine", "eng\u00efne").encode("latin-1", "replace"),
        )
    )


MUTATIONS: tuple[Mutation, ...] = (
    swap_bytes, cut, shuffle_lines, insert_line, double_lines, numbers, splice, append, encode,
)  # fmt: skip


def snapshot(*folders: Path) -> str:
    """What stands in some folders: names, modes, links and contents. No times: git sets those of
    objects that it would write if they were not there."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            plain = path.is_file() and not path.is_symlink()
            content = digest(path.read_bytes()) if plain else ""
            found.append(f"{path} {path.lstat().st_mode} {content}")
    return digest(found)


def broken(task: object, repo: Repo, data: bytes) -> str | None:
    """What does not hold for one patch, or None."""
    once, _ = normalise(data)
    again, _ = normalise(once.encode("utf-8", "surrogateescape"))
    if once != again:
        return "normalising again changes it"
    record, measured = validate(task, "alba", data, repo.git)  # type: ignore[arg-type]
    if msgspec.json.decode(msgspec.json.encode(record), type=Validated) != record:
        return "the record does not survive being written"
    if record.status == "failed":
        if record.cause not in CAUSES or record.evidence is None or measured:
            return f"a refusal without cause, evidence, or with a diff: {record}"
        return None
    if not measured or record.patch_sha256 != digest(measured):
        return "it passed without a diff"
    if any(p.startswith(("/", "bench/", "tests/")) or ".." in p.split("/") for p in record.files):
        return f"files out of bounds: {record.files}"
    if b"120000" in measured or b"160000" in measured:
        head = [line for line in measured.split(b"\n") if b"mode 1" in line and line[:1] != b"+"]
        if any(b"mode 120000" in line or b"mode 160000" in line for line in head):
            return "" if _deletes_only(head) else f"a link or submodule passed: {head}"
    return None


def _deletes_only(head: list[bytes]) -> bool:
    return all(line.startswith(b"deleted") for line in head if b"120000" in line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, failures, verdicts = random.Random(args.seed), 0, collections.Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repo = Repo.make(folder / "repo")
        task = repo.task()
        human = repo.diff({"engine/core.py": HUMAN.encode()})
        others = {n: b"X = 1\n" for n in FILES if n.endswith(".py") and "/" in n}
        seeds = [good(repo).encode(), human.encode(), repo.diff(dict(others)).encode()]
        seeds += [case.data for case in corpus(repo) if len(case.data) < 20_000]
        scratch, sentinel = folder / "scratch", folder / "sentinel"
        scratch.mkdir()
        sentinel.mkdir()
        (sentinel / "file").write_text("untouched")
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        os.chdir(sentinel)
        before = snapshot(repo.tree, sentinel)
        cases, started = 0, time.monotonic()
        while time.monotonic() - started < args.seconds:
            data = rng.choice(seeds)
            for _ in range(rng.randint(1, 3)):
                data = rng.choice(MUTATIONS)(rng, data, seeds)
            cases += 1
            begun = time.monotonic()
            try:
                wrong = broken(task, repo, data)
            except Exception:
                wrong = traceback.format_exc()
            if time.monotonic() - begun > 10:
                wrong = wrong or f"took {time.monotonic() - begun:.1f} s"
            if cases % CHECK_TREE_EVERY == 0 and snapshot(repo.tree, sentinel) != before:
                wrong, before = (
                    "the repository or the sentinel changed",
                    snapshot(repo.tree, sentinel),
                )
            if any(scratch.iterdir()):
                wrong = wrong or f"left behind: {list(scratch.iterdir())}"
            verdicts["failure" if wrong else "held"] += 1
            if wrong:
                failures += 1
                print(f"FAILURE in case {cases}: {wrong}\n  {data[:3000]!r}", flush=True)
        took = time.monotonic() - started
        os.chdir("/")
    print(f"{cases} cases in {took:.0f} s: {cases / took:.1f} cases/s, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
