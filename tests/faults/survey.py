"""Finds what a run has finished and left, without trusting its output."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from patchbench.system.locks import is_held
from tests.faults import cut
from tests.workflow.project import Project

if TYPE_CHECKING:
    from tests.faults.case import Case

# Commit, block, arm, digest of a launch; then the hash of each of its files.
Key = tuple[str, int, str, str]
FilesByLaunch = dict[Key, dict[str, str]]
RECORD = "run.json"


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _digest(folder: Path) -> str:
    try:
        return str(msgspec.json.decode((folder / RECORD).read_bytes())["block_digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def finished(project: Project) -> FilesByLaunch:
    """Return the files of every launch that the journal calls finished."""
    files: FilesByLaunch = {}
    for commit, block, arm, digest in project.finished():
        folder = project.results / "runs" / commit / f"block-{block}" / arm
        if _digest(folder) == digest:
            files[commit, block, arm, digest] = _hashes(folder)
    return files


def place(project: Project, key: Key) -> str:
    """Return the folder of a launch's files within the results."""
    commit, block, arm, _ = key
    return f"runs/{commit}/block-{block}/{arm}"


def lost(project: Project, launches: FilesByLaunch, destroyed: set[str]) -> list[str]:
    """Return files of finished launches that are gone or differ, wherever a launch was moved to."""
    out = []
    for key, before in launches.items():
        if place(project, key) in destroyed:
            continue
        commit, block, arm, _ = key
        aside = project.results / "superseded" / commit / f"block-{block}"
        places = [project.results / place(project, key), *aside.glob(f"{arm}-*")]
        now = next((_hashes(p) for p in places if _hashes(p).get(RECORD) == before[RECORD]), {})
        out += [f"{place(project, key)}/{n}" for n, h in before.items() if now.get(n) != h]
    return out


def repeated(project: Project, launches: FilesByLaunch, destroyed: set[str]) -> list[str]:
    """Return launches that were made again although they had finished."""
    times: Counter[Key] = project.finished()
    again = [key for key, count in times.items() if count > 1]
    again += [key for key in launches if key not in again and _started_after_its_end(project, key)]
    return sorted({place(project, key) for key in again} - destroyed)


def harmed(case: Case) -> list[str]:
    """Return files of others that were changed, or made."""
    return [
        f"another's {path.name}"
        for path, content in case.others.items()
        if (path.read_bytes() if path.is_file() else None) != content
    ]


def _started_after_its_end(project: Project, key: Key) -> bool:
    over = False
    for event in project.journal():
        same = (event["commit"], event["block"], event["arm"], event["digest"]) == key
        over = over or (same and event["event"] == "run_finished")
        if over and same and event["event"] == "run_started":
            return True
    return False


def wrong_endings(case: Case) -> list[str]:
    """Return arms that ended otherwise than without the fault, in the tables and in any launch that
    the journal calls finished."""
    wanted = {**cut.endings(case.kind.runtime, case.kind.slots), **case.kind.endings}
    rows = {(r["commit"][:8], r["arm"]): r for r in case.project.table("outcomes")}
    out = []
    for key, ending in wanted.items():
        row = rows.get(key)
        actual = row and (row["status"], row["cause"], row["blame"])
        if actual != ending:
            out.append(f"{key[0]} {key[1]}: {actual} instead of {ending}")
    for event in case.project.journal():
        key = (event["commit"][:8], event["arm"])
        # What no baseline has a say in yet is not known there; another cause never stands there.
        causes = {ending[key][1] for ending in (cut.ENDINGS, wanted) if key in ending}
        if event["event"] == "run_finished" and event["cause"] not in causes | {None, ""}:
            out.append(f"{key[0]} {key[1]}: {event['cause']} in the journal")
    return out


def charged(case: Case) -> list[str]:
    """Return records of failures that stages before any launch have written."""
    out = []
    own = {(*key, ending[1]) for key, ending in case.kind.endings.items()}
    for pattern in ("patches/*/*/fetch.json", "patches/*/*/validation.json", "images/*/*.json"):
        for path in case.project.results.glob(pattern):
            try:
                record = msgspec.json.decode(path.read_bytes())
            except (OSError, msgspec.DecodeError):
                continue
            if not isinstance(record, dict) or record.get("status") != "failed":
                continue
            if (record["commit"][:8], record["arm"], record["cause"]) not in own:
                out.append(f"{path.relative_to(case.project.results)}: {record.get('cause')}")
    return out


def running(case: Case) -> list[str]:
    """Return living processes and containers of the run. An engine that is down has none and stays
    down: the next start must find what it left of a build."""
    out = []
    for process in case.project.processes():
        try:
            out.append(f"process {process.pid} {' '.join(process.cmdline())[:120]}")
        except Exception:  # it ended while it was looked at
            continue
    if case.kind.runtime == "docker" and case.bed.engine_answers():
        out += _containers(case)
    return out


def _containers(case: Case) -> list[str]:
    # Not docker-py's own list: it asks for each again, and fails if one has gone meanwhile.
    containers = case.bed.engine.client().api.containers(all=True)
    return [f"container {(c['Names'] or [c['Id'][:12]])[0].lstrip('/')}" for c in containers]


def _in_engine(case: Case) -> list[str]:
    client = case.bed.engine.client()
    out = _containers(case)
    out += [f"network {n.name}" for n in client.networks.list() if n.name not in NETWORKS]
    out += [f"volume {v.name}" for v in client.volumes.list()]
    for image in client.images.list():
        named = [tag for tag in image.tags if "-base:" not in tag]
        out += [f"image {name}" for name in (named if image.tags else [image.short_id])]
    return out


def _marked(note: Path) -> str:
    """Return the file that Snakemake marks as incomplete, by the name of its note."""
    return base64.b64decode(note.name).decode(errors="replace")


NETWORKS = ("none", "host", "bridge")


def leftovers(case: Case) -> list[str]:
    """Return all that should be gone once a campaign is over."""
    folder, results = case.project.folder, case.project.results
    out = [f"process {p.pid}" for p in case.project.processes()]
    if case.kind.runtime == "docker":
        out += _in_engine(case)
    locks = [*(folder / ".locks").rglob("*"), results / ".lock", *results.rglob("*.lock")]
    out += [f"held lock {p}" for p in locks if p.is_file() and is_held(p)]
    for place in (results, folder / ".patchbench"):
        out += [f"half a file {p}" for p in place.resolve().rglob("*.part")]
    # Snakemake's own, after a SIGKILL, are Snakemake's.
    others = ("ballast", "snakemake")
    temporary = [p.name for p in (folder / "tmp").iterdir() if not p.name.startswith(others)]
    out += [f"temporary {name}" for name in temporary]
    out += [f"snakemake {p}" for p in (folder / ".snakemake" / "locks").glob("*")]
    marked = map(_marked, (folder / ".snakemake" / "incomplete").glob("*"))
    # A mark for a file that is not there says nothing.
    out += [f"mark of an incomplete {name}" for name in marked if (folder / name).exists()]
    out += [f"tree {p}" for p in (folder / ".patchbench" / "trees").glob("*/*/*")]
    return out
