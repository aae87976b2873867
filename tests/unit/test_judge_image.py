"""Content of the judge's image: this interpreter, the judge, and the libraries of both."""

from __future__ import annotations

import marshal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from patchbench.errors import InfraFault
from patchbench.runtimes.docker import judge_files, judge_image
from patchbench.runtimes.docker.shared_libraries import libraries_in, libraries_of, loader_of

LISTS = {
    # Debian's, and that of an interpreter that can be moved: it names a path.
    "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibz.so.1 => /lib/a b/libz.so.1 (0x00007f01)\n"
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n": {"libz.so.1": "/lib/a b/libz.so.1"},
    "\t/opt/py/bin/../lib/libpython3.12.so.1.0 (0x00007f03)\n": {
        "libpython3.12.so.1.0": "/opt/py/bin/../lib/libpython3.12.so.1.0"
    },
    # Linked against its loader by name.
    "\tld-linux-x86-64.so.2 => /lib64/ld-linux-x86-64.so.2 (0x00007f04)\n": {},
    "\tstatically linked\n": {},
}


@pytest.mark.parametrize("text", LISTS)
def test_libraries_of_a_loaders_list(text: str) -> None:
    found = libraries_in(text, "ld-linux-x86-64.so.2")
    assert {name: str(path) for name, path in found.items()} == LISTS[text]


def test_a_file_that_is_no_program_has_no_loader(tmp_path: Path) -> None:
    text = tmp_path / "python"
    text.write_text("#!/bin/sh\n")
    with pytest.raises(InfraFault, match="not a dynamically linked"):
        loader_of(text)
    assert libraries_of(text, loader_of(judge_files.program())) is None


def test_modules_that_modules_import_are_followed(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "",
        "p/a.py": "from p.q import b, THING\nimport json\ndef f():\n    import p.late\n",
        "p/late.py": "from other.p import x",
        "p/q/__init__.py": "from p import base",
        "p/q/b.py": "",
        "p/base.py": "",
        "p/unused.py": "",
        "other/p.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = judge_files.own_modules(tmp_path, "p.a")
    assert set(found) == set(files) - {"p/unused.py", "other/p.py"}


def test_the_judge_finds_all_its_modules_and_none_of_the_rooms_above() -> None:
    code = "import sys, patchbench.judge.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] == "patchbench"}
    there = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in judge_files.judge_modules()
    }
    assert loaded <= there
    assert not [n for n in there if n.startswith(("patchbench.runtimes", "patchbench.benchmark"))]


def test_the_image_has_what_an_interpreter_needs_and_no_more() -> None:
    files = judge_files.files()
    place = judge_files.standard_library()[1]
    assert {judge_files.PYTHON, f"{place}/os.py", f"{place}/patchbench/judge/__main__.py"} <= {
        *files
    }
    assert str(loader_of(judge_files.program())).lstrip("/") in files
    assert "usr/lib/libc.so.6" in files
    for name in judge_files.PACKAGES:
        assert [f for f in files if f.startswith(f"{place}/{name}/") and f.endswith(".so")]
    parts = {part for file in files for part in Path(file).parts}
    assert not parts & {"test", "tests", "idlelib", "site-packages", "dist-packages", "docker"}
    assert not any(file.startswith("/") or ".." in file for file in files)


def test_a_name_tells_judges_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = judge_files.content_digest()
    assert judge_files.content_digest() == before
    changed = tmp_path / "audit.py"
    changed.write_text("")
    monkeypatch.setattr(judge_files, "judge_modules", lambda: {"patchbench/audit.py": changed})
    assert judge_files.content_digest() != before


def test_an_archive_holds_modules_with_their_compiled_forms(tmp_path: Path) -> None:
    source, binary = tmp_path / "m.py", tmp_path / "tool"
    source.write_text("NUMBER = 7\n")
    binary.write_bytes(b"x")
    files = {"usr/lib/m.py": source, "usr/bin/tool": binary}
    archives = [tmp_path / name for name in ("one.tar", "two.tar")]
    for archive in archives:
        judge_image.write_archive(archive, files)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert not (tmp_path / "__pycache__").exists()
    with tarfile.open(archives[0]) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
        (name,) = (name for name in modes if name.endswith(".pyc"))
        data = tar.extractfile(name).read()  # type: ignore[union-attr]
    assert name.startswith("usr/lib/__pycache__/m.")
    assert (modes["usr/bin/tool"], modes["usr/lib/m.py"], modes["tmp"]) == (0o755, 0o644, 0o1777)
    assert data[4:8] == b"\1\0\0\0"
    assert marshal.loads(data[16:]).co_consts[0] == 7
