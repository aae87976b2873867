"""Others: links planted beside a run, hostile repositories and patches, forged lines."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from patchbench.system import slurm
from patchbench.system.files import TEMPORARY
from patchbench.system.pid_space import here
from tests.faults import cut
from tests.faults.case import Case
from tests.faults.cut import Ending
from tests.faults.kind import Kind, Step, nothing
from tests.faults.kinds.files import add_to_server
from tests.faults.kinds.servers import ALBA, REQUEST
from tests.faults.moments import LAUNCHING

OTHER_USER = 65534
SECRET = "the secret of another person\n"
REPOSITORY = ".patchbench/repos/tinyserve.git"
PATCH = f"examples/tinyserve/agents/alba/{cut.SERVING[:8]}.diff"
NO_PATCH: dict[tuple[str, str], Ending] = {ALBA: ("failed", "patch.missing", "agent")}
# More ids of processes than Linux has: surely dead.
DEAD = 999_999_999


def _undo(case: Case) -> None:
    while case.undo:
        case.undo.pop()()


def _others_file(case: Case) -> Path:
    file = case.project.folder / "of-another.txt"
    file.write_text(SECRET)
    case.others[file] = SECRET.encode()
    return file


# --- links in the folder of temporary files --------------------------------------------------


def _link_for_a_lock(case: Case) -> None:
    """Plant the folder for locks, with a link in the place of a lock."""
    locks = case.project.env.pop("PATCHBENCH_LOCKS")
    folder = case.project.folder / "tmp" / f"patchbench-{os.getuid()}"
    folder.mkdir()
    (folder / "gpu0.lock").symlink_to(_others_file(case))
    folder.chmod(0o777)
    os.chown(folder, OTHER_USER, OTHER_USER)
    case.undo.append(lambda: case.project.env.update(PATCHBENCH_LOCKS=locks))
    case.undo.append(lambda: shutil.rmtree(folder))


def _link_for_a_temporary(case: Case) -> None:
    """Plant links that look like folders of dead processes, and lead to another's folder."""
    place = (case.project.folder / "tmp").resolve()
    theirs = place / "ballast-of-another"
    theirs.mkdir()
    (theirs / "file").write_text(SECRET)
    case.others[theirs / "file"] = SECRET.encode()
    names = (f"{DEAD}-{slurm.host()}-x", f"{DEAD}-{here().mark}-{slurm.host()}-x")
    for name in names:
        link = place / f"{TEMPORARY}{name}"
        link.symlink_to(theirs)
        os.chown(link, OTHER_USER, OTHER_USER, follow_symlinks=False)
        case.undo.append(link.unlink)


# --- what lies in the place of a patch -------------------------------------------------------


def _pipe_for_a_patch(case: Case) -> None:
    patch = case.project.folder / PATCH
    patch.unlink()
    os.mkfifo(patch)


def _link_for_a_patch(case: Case) -> None:
    patch = case.project.folder / PATCH
    patch.unlink()
    patch.symlink_to(_others_file(case))


def _told_nothing(case: Case) -> bool:
    """Return True if no file of the results holds the other person's text."""
    files = [path for path in case.project.results.rglob("*") if path.is_file()]
    return not any(SECRET.strip().encode() in path.read_bytes() for path in files)


# --- repositories ----------------------------------------------------------------------------


def _git(repo: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "--git-dir", str(repo), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _trap(case: Case, repo: Path) -> None:
    """Set all that makes git run a program, or read otherwise."""
    for name in ("external", "textconv", "filter", "fsmonitor", "uploadpack", "hook"):
        ran = case.project.folder / f"ran-{name}"
        script = case.project.folder / f"{name}.sh"
        script.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
        script.chmod(0o755)
        case.others[ran] = None
    at = str(case.project.folder)
    for key, value in {
        "diff.external": f"{at}/external.sh",
        "diff.x.textconv": f"{at}/textconv.sh",
        "filter.y.smudge": f"{at}/filter.sh",
        "filter.y.clean": f"{at}/filter.sh",
        "core.fsmonitor": f"{at}/fsmonitor.sh",
        "remote.origin.uploadpack": f"{at}/uploadpack.sh",
        "core.hooksPath": at,
        "diff.noprefix": "true",
        "core.autocrlf": "true",
        "color.ui": "always",
    }.items():
        _git(repo, "config", key, value)
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(case.project.folder / "hook.sh", case.project.folder / hook)
    (repo / "info").mkdir(exist_ok=True)
    (repo / "info" / "attributes").write_text("* diff=x filter=y\n")


def _hostile_subject(case: Case) -> None:
    _trap(case, case.project.folder / REPOSITORY)


def _replaced(case: Case) -> None:
    repo = case.project.folder / REPOSITORY
    _git(repo, "replace", cut.SERVING, cut.LATENCY)
    _git(repo, "replace", cut.SERVING_PARENT, cut.LATENCY)


def _hostile_agent(case: Case) -> None:
    """Deliver alba's patches as branches of a repository that runs programs."""
    folder = case.project.folder
    tree = folder / "agent"
    quiet = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=x")
    subprocess.run(["git", "clone", "-q", str(folder / REPOSITORY), str(tree)], check=True)
    words = ["git", "-C", str(tree), *quiet]
    branch = f"agent/{cut.SERVING[:8]}"
    subprocess.run([*words, "checkout", "-q", "-b", branch, cut.SERVING_PARENT], check=True)
    subprocess.run([*words, "apply", "--index", str(folder / PATCH)], check=True)
    subprocess.run([*words, "commit", "-q", "-m", "faster"], check=True)
    # No git runs there: all objects must be in its own folder.
    subprocess.run([*words, "repack", "-q", "-a", "-d"], check=True)
    (tree / ".git" / "objects" / "info" / "alternates").unlink(missing_ok=True)
    _trap(case, tree / ".git")
    case.change(agents={"alba": {"patches": [{"kind": "git", "path": str(tree)}]}})


def _no_objects(case: Case) -> None:
    objects = case.project.folder / REPOSITORY / "objects"
    away = objects.with_name("away")
    objects.rename(away)
    shutil.copytree(away, objects)
    for pack in objects.rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:200] + bytes(400))
    loose = [path for path in objects.rglob("*") if path.is_file() and len(path.parent.name) == 2]
    for path in loose:
        path.chmod(0o644)
        path.write_bytes(b"garbage")
    case.undo.append(lambda: (shutil.rmtree(objects), away.rename(objects)))


# --- forged lines ----------------------------------------------------------------------------

XID = "NVRM: Xid (PCI:0000:44:00): 79, GPU has fallen off the bus."
SAYING = "import os, sys\nos.write(2, b'{line}\\n')\n{end}"
# After the fixed prompts, in the middle of the load.
LATER = (
    "self.asked = getattr(self, 'asked', 0) + 1\nif self.asked > 6:\n    import os\n"
    "    os.write(2, b'{line}\\n')\n    {end}"
)
BOX = (
    "============ Serving Benchmark Result ============\\n"
    "Successful requests:                     10\\n"
    "Mean TPOT (ms):                          0.01\\n"
    "Median TPOT (ms):                        0.01\\n"
    "=================================================="
)
CRASH = "raise IndexError('page 7')"


def _patched(code: str, where: str = "") -> Step:
    """Have alba's server run code, on a disk with room: what a full one says is believed."""

    def prepare(case: Case) -> None:
        place = case.project.folder / "results"
        place.unlink()
        place.mkdir()
        add_to_server(case, code, where)

    return prepare


def _kill(case: Case) -> None:
    case.signal(signal.SIGKILL, group=True)


def _forged(name: str, what: str, code: str, cause: str, where: str = "") -> Kind:
    endings: dict[tuple[str, str], Ending] = {ALBA: ("failed", cause, "agent")} if cause else {}
    return Kind(name, f"a patch {what}; SIGKILL to the group", _kill,
                prepare=_patched(code, where), endings=endings, moments=LAUNCHING,
                runtime="process")  # fmt: skip


P = "process"
KINDS = (
    Kind("link-lock", "a link in the place of a lock, in a folder of another user", nothing,
         r"belongs to user", prepare=_link_for_a_lock, repair=_undo, moments=("start",), runtime=P),
    Kind("link-temporary", "links that look like temporary folders of dead processes", nothing,
         prepare=_link_for_a_temporary, repair=_undo, moments=("start",), runtime=P),
    Kind("link-patch", "a link to another's file in the place of a patch", nothing, _told_nothing,
         prepare=_link_for_a_patch, endings=NO_PATCH, moments=("start",), runtime=P),
    Kind("pipe-patch", "a named pipe in the place of a patch", nothing,
         prepare=_pipe_for_a_patch, endings=NO_PATCH, moments=("start",), runtime=P),
    Kind("repository-hostile", "the subject's repository runs programs and converts files",
         nothing, prepare=_hostile_subject, moments=("start",), runtime=P),
    Kind("repository-replaced", "commits of the subject's repository are replaced by others",
         nothing, prepare=_replaced, moments=("start",), runtime=P),
    Kind("repository-agent", "an agent's repository runs programs and converts files",
         nothing, prepare=_hostile_agent, moments=("start",), runtime=P),
    Kind("repository-garbage", "the subject's repository is garbage", nothing,
         r"infra\.repository", prepare=_no_objects, repair=_undo, moments=("start",), runtime=P),
    _forged("forged-gpu", "prints that the GPU is lost, and crashes",
            SAYING.format(line=XID, end=CRASH), "server.crash"),
    _forged("forged-disk", "prints that the disk is full, and ends under load",
            LATER.format(line="OSError: [Errno 28] No space left on device", end="os._exit(1)"),
            "server.crash_under_load", REQUEST),
    _forged("forged-exit", "ends with the status of a fault of the machine",
            SAYING.format(line="infra.disk_full", end="os._exit(75)"), "server.crash"),
    _forged("forged-result", "prints the result of a benchmark",
            f"print('{BOX}', flush=True)", ""),
    Kind("forged-kill", "a patch kills itself, as the kernel would", nothing, r"\bkilled\b",
         prepare=_patched("import os\nos.kill(os.getpid(), 9)"),
         endings={ALBA: ("failed", "killed", "unknown")}, moments=("start",), runtime=P),
)  # fmt: skip
