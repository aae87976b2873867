"""The lease of disk space: a limited number of commits with images, and the reserve always free.

A Snakemake resource is returned when the build job ends, but its image stays until the commit's
last block: only the images themselves show how many commits are on disk. So a build asks the engine
and statvfs, under one lock; a killed build leaves nothing that counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import InfraFault, infra_fault
from patchbench.ledger import disk_log, journal, machine_faults
from patchbench.ledger.disk_log import DiskEvent
from patchbench.records import Task
from patchbench.runtimes.docker import image_sizes
from patchbench.runtimes.docker.image_store import Image, Store
from patchbench.system import disk, gpu_slots, slurm
from patchbench.system.gpu_slots import lock_folder
from patchbench.system.locks import is_held, locked, shared_lock, try_lock
from patchbench.system.processes import Guard

TICK_SECONDS = 0.3
LOCK_SECONDS = 600.0
# The classic builder copies a layer when it commits it (docker.md 3): twice its size for a moment.
COPIES = 2
# Suffix of the lock that jobs hold while they use a commit's images.
USE = ".use"


class Answer(NamedTuple):
    """The reason why a build may not go on yet (None: it may); ``hopeless`` if waiting can't
    help."""

    why_not: str | None
    hopeless: bool = False


def decide(
    commit: str, on_disk: set[str], slots: int, shortage: str | None, waiting_helps: bool
) -> Answer:
    """Decide about a build. A commit on disk has its slot; a new one needs a free slot. Both need
    space beside the reserve. Waiting helps while another commit will release its images."""
    if commit not in on_disk and len(on_disk) >= slots:
        return Answer(f"{len(on_disk)} of {slots} image slots are taken")
    if shortage:
        return Answer(shortage, hopeless=not waiting_helps)
    return Answer(None)


class Lease:
    """Admission of one campaign's builds to its disks."""

    def __init__(self, task: Task, store: Store, arm: str) -> None:
        self.task, self.store, self.arm = task, store, arm
        self.rules = task.disk
        self.folder = lock_folder() / "lease" / store.campaign
        self.lock = self.folder.with_suffix(".lock")

    @contextmanager
    def admission(self, guard: Guard) -> Iterator[None]:
        """Wait for a slot and space, and keep them for the body. Raises InfraFault, Stopped."""
        self.fd: int | None = None
        began = last_hope = time.monotonic()
        try:
            while (answer := self._ask(guard)).why_not is not None:
                now = time.monotonic()
                last_hope = last_hope if answer.hopeless else now
                if now - began > self.rules.wait or now - last_hope > self.rules.patience:
                    self._log("refused", seconds=now - began, detail=answer.why_not)
                    raise self._fault(answer.why_not, now - began)
                guard.check()
                time.sleep(TICK_SECONDS)
            if (waited := time.monotonic() - began) > 1:
                self._log("waited", seconds=waited)
            self._log("build")
            with gpu_slots.quiet(False, self.task.protocol.exclusive, self.rules.wait, guard):
                yield
        finally:
            if self.fd is not None:
                os.close(self.fd)
        self._log("built")

    def _ask(self, guard: Guard) -> Answer:
        """Decide once; if the answer is no, remove unneeded images of ours and decide again."""
        what, tick = "asking for room", guard.check
        with locked(self.lock, seconds=LOCK_SECONDS, what=what, tick=tick):
            images = self.store.commits()
            answer = self._decide(images)
            if answer.why_not is not None and self._reclaim(images):
                images = self.store.commits()
                answer = self._decide(images)
            if answer.why_not is None and self.task.commit not in images:
                # This lock marks the commit as on disk until its image exists.
                self.fd = try_lock(self.folder / self.task.commit)
            return answer

    @contextmanager
    def used(self, guard: Guard) -> Iterator[None]:
        """Keep this commit's images from removal by other jobs on this machine, for the body.
        Several jobs may do so at once."""
        with ExitStack() as locks:
            what, tick, use = "taking images into use", guard.check, self._use(self.task.commit)
            with locked(self.lock, seconds=LOCK_SECONDS, what=what, tick=tick):
                locks.enter_context(
                    shared_lock(use, alone=False, seconds=LOCK_SECONDS, what=what, tick=tick)
                )
            yield

    def drop_finished(self, guard: Guard) -> list[str]:
        """Remove this machine's images of finished commits; return their names."""
        what, tick = "removing finished images", guard.check
        with locked(self.lock, seconds=LOCK_SECONDS, what=what, tick=tick):
            gone = []
            for commit, images in self.store.commits().items():
                if self._finished(commit) and not is_held(self._use(commit)):
                    gone += self.store.remove(images)
            return gone

    def _use(self, commit: str) -> Path:
        return self.folder / f"{commit}{USE}"

    def _decide(self, images: dict[str, list[Image]]) -> Answer:
        on_disk = set(images) | self._reserved()
        # Images lie on the engine's disk; the results' disk needs only the reserve.
        root, results = self.store.engine.root, self.store.results
        of_results = disk.shortage([disk.measure(results)], self.rules)
        of_engine = root and disk.shortage([disk.measure(root)], self.rules, self.need())
        # A commit with a running job will release its images; that helps the results' disk only
        # if both lie on one file system.
        working = any(c != self.task.commit and not self._given_up(c) for c in on_disk)
        helps = working and (of_results is None or disk.same_disk(root, results))
        short = of_results or of_engine or None
        return decide(self.task.commit, on_disk, self.rules.image_slots, short, waiting_helps=helps)

    def need(self) -> int:
        """Return the bytes that this build needs at its peak."""
        assert self.task.recipe is not None
        name = self.task.subject.name
        return COPIES * image_sizes.need(self.store.results, name, self.task.recipe, self.arm)

    def _reserved(self) -> set[str]:
        """Return the commits of which the first image is being built right now."""
        locks = self.folder.iterdir() if self.folder.is_dir() else ()
        return {path.name for path in locks if path.suffix != USE and is_held(path)}

    def _reclaim(self, images: dict[str, list[Image]]) -> bool:
        """Remove one commit's unneeded images: of finished commits the oldest first, then of a
        commit whose last job ended with a fault of the machine and that no job works on; if each
        node has images of its own, of any commit that no job here uses. Return True if any was
        removed."""
        stale = [commit for commit in images if self._finished(commit)]
        idle = [commit for commit in images if self._given_up(commit)]
        by_age = sorted(stale, key=lambda c: min(i.created for i in images[c])) + idle
        if slurm.images_per_node():
            by_age += sorted(images, key=lambda c: min(i.created for i in images[c]))
        for commit in by_age:
            if slurm.images_per_node() and is_held(self._use(commit)):
                continue
            if commit != self.task.commit and (gone := self.store.remove(images[commit])):
                self._log("reclaimed", commit=commit, detail=", ".join(gone))
                return True
        return bool(self.store.remove(self.store.torn()))

    def _finished(self, commit: str) -> bool:
        return self.store.released(commit).is_file()

    def _given_up(self, commit: str) -> bool:
        """Return True after a fault in this run, if no job holds one of the commit's locks."""
        if commit not in machine_faults.struck(self.store.results):
            return False
        locks = (self.store.results / "journal" / commit).glob("*.lock")
        return not any(map(is_held, locks)) and commit not in self._reserved()

    def _fault(self, why: str, waited: float) -> InfraFault:
        slots = "image slots" in why
        return infra_fault(
            f"infra.{'no_slot' if slots else 'disk_full'}", f"commit {self.task.commit[:8]}",
            self.arm, "stage build_image", f"waited {waited:.0f} s: {why}",
            step="see which block hangs" if slots else "free space",
        )  # fmt: skip

    def _log(self, event: str, *, commit: str = "", seconds: float = 0.0, detail: str = "") -> None:
        record(self.store, event, commit=commit or self.task.commit, seconds=seconds, detail=detail)


def record(
    store: Store, event: str, *, commit: str = "", seconds: float = 0.0, detail: str = ""
) -> None:
    """Log an event with the free space of the disks."""
    images = store.commits()
    results = disk.measure(store.results)
    engine = disk.measure(store.engine.root) if store.engine.root else None
    disk_log.write(
        store.results,
        DiskEvent(
            at=journal.now(),
            event=event,
            engine_free=engine.free if engine else 0,
            engine_total=engine.total if engine else 0,
            results_free=results.free,
            commits=len(images),
            images=sum(map(len, images.values())),
            seconds=round(seconds, 1),
            commit=commit,
            detail=detail,
        ),
    )
