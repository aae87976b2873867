"""Images of parents and arms: base, then the parent's tree, then the files of a patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import docker.errors

from patchbench.errors import BadInput, infra_fault
from patchbench.failures import explanation, signatures, tracebacks
from patchbench.patches import git
from patchbench.patches.path_patterns import matches
from patchbench.records import BASELINE, HUMAN, Evidence, Task
from patchbench.runtimes.base import BuildFailed, ImageFacts, ImageMissing, Place, RebuildFailed
from patchbench.runtimes.docker import contexts, labels
from patchbench.runtimes.docker.bases import ensure_base, named
from patchbench.runtimes.docker.building import context_folder, run_build
from patchbench.runtimes.docker.containers import REBUILD, Container
from patchbench.runtimes.docker.image_store import ARM, PARENT, Store, image_lock
from patchbench.subject import Recipe
from patchbench.system.command_words import expand
from patchbench.system.files import digest
from patchbench.system.locks import locked
from patchbench.system.processes import Guard, wait_until

# Bump if images are made in another way from the same recipe.
VERSION = 1


def prebuilt_name(pattern: str, commit: str, parent: str | None) -> str:
    """Return a prebuilt image's name by its pattern. Raises BadInput for an unknown placeholder."""
    try:
        return pattern.format(commit=commit, parent=parent or "")
    except (KeyError, IndexError, ValueError) as error:
        raise BadInput(
            f"images: {pattern}: not a name pattern ({error}); known: {{commit}}, {{parent}}, "
            "with a length as in {parent:.12}"
        ) from error


def image_name(task: Task, arm: str, patch_sha256: str | None, campaign: str) -> str:
    """Return the name of an arm's image, with a digest of its inputs. The baseline's is the
    parent's image, which all arms of the commit share."""
    recipe = _recipe(task)
    inputs = {
        "version": VERSION,
        "recipe": recipe.digest,
        "prebuilt": recipe.prebuilt,
        "parent": task.parent,
        "patch": patch_sha256 if arm != BASELINE else None,
    }
    key = digest(inputs, 12)
    return f"patchbench/{task.subject.name}:{campaign}-{task.commit[:12]}-{arm}-{key}"


def _recipe(task: Task) -> Recipe:
    assert task.recipe is not None, "the Docker runtime needs a recipe"
    return task.recipe


def _compiler_error(err: Path, out: Path) -> Evidence | None:
    """Return the line with which a compiler refused a source, else how the log ends."""
    found = signatures.matches([err, out], signatures.Origin(writer="any"))
    line = next((match.evidence for match in found if match.cause == "patch.compile"), None)
    return line or tracebacks.last_exception(err) or tracebacks.last_line(err)


class Maker:
    """Makes one image of a task. Builds append to ``log``; ``launch`` starts a container."""

    def __init__(
        self,
        task: Task,
        store: Store,
        repo: Path,
        log: Path,
        guard: Guard,
        launch: Callable[..., Container],
        was: Sequence[str] = (),
    ) -> None:
        self.task, self.store, self.repo, self.log, self.guard = task, store, repo, log, guard
        self.launch, self.was = launch, tuple(was)
        self.recipe = _recipe(task)
        self.seconds = task.protocol.limits.build
        log.parent.mkdir(parents=True, exist_ok=True)

    def make(self, arm: str, name: str, patch: Path | None) -> ImageFacts:
        """Make an image if it does not exist. Raises as ``runtimes.base.Runtime.build``."""
        what = f"building {name}"
        with locked(image_lock(name), seconds=self.seconds, what=what, tick=self.guard.check):
            prebuilt = self.recipe.prebuilt
            if arm == BASELINE:
                return self._parent(name)
            if arm == HUMAN and prebuilt is not None and prebuilt.human:
                return self._prebuilt(arm, name, prebuilt.human)
            assert patch is not None
            return self._arm(arm, name, patch)

    def _parent(self, name: str) -> ImageFacts:
        prebuilt = self.recipe.prebuilt
        if prebuilt is not None:
            return self._prebuilt(BASELINE, name, prebuilt.baseline)
        base = ensure_base(self.task, self.store, self.log, self.guard)
        if self.store.inspect(name) is None:
            assert self.task.parent is not None
            with context_folder() as folder:
                contexts.parent_context(
                    self.recipe, base, self._labels(PARENT, BASELINE, name),
                    self.repo, self.task.parent, folder,
                )  # fmt: skip
                self._build(name, folder / "context.tar")
        return self.store.facts(name, base)

    def _prebuilt(self, arm: str, name: str, pattern: str) -> ImageFacts:
        """Give a foreign image a name and labels of this campaign, so that it can be released. If
        patchbench pulled it, remove its own name, which would keep the space."""
        assert self.recipe.prebuilt is not None
        theirs = prebuilt_name(pattern, self.task.commit, self.task.parent)
        # The image of one commit may be the parent of another.
        what = f"taking {theirs}"
        with locked(image_lock(theirs), seconds=self.seconds, what=what, tick=self.guard.check):
            return self._taken(arm, name, theirs)

    def _taken(self, arm: str, name: str, theirs: str) -> ImageFacts:
        assert self.recipe.prebuilt is not None
        if self.store.inspect(name) is None:
            was_there = self.store.inspect(theirs) is not None
            pull = self.recipe.prebuilt.pull
            named(self.task, self.store, theirs, self.log, self.guard, pull=pull)
            if not was_there:
                self.store.borrow(theirs)
            self._refuse_another(theirs)
            own = self._labels(PARENT if arm == BASELINE else ARM, arm, name)
            self._build_from(name, contexts.relabel(theirs, own))
        facts = self.store.facts(name, theirs)
        self.store.give_back(theirs)
        return facts

    def _refuse_another(self, theirs: str) -> None:
        """Refuse a prebuilt image that is another than before: its tag has moved, and the commit's
        finished launches are of the earlier one."""
        now = self.store.facts(theirs, theirs).layers
        if self.was and now != self.was[: len(now)]:
            self.store.give_back(theirs)
            raise ImageMissing(
                f"{theirs} is another image now (its layers differ from those of the launches that "
                "are finished): tag the earlier one again, or measure into another results folder"
            )

    def _arm(self, arm: str, name: str, patch: Path) -> ImageFacts:
        parent = image_name(self.task, BASELINE, None, self.store.campaign)
        if self.store.inspect(name) is None:
            if self.store.inspect(parent) is None:
                what = f"building {parent}"
                lock, tick = image_lock(parent), self.guard.check
                with locked(lock, seconds=self.seconds, what=what, tick=tick):
                    self._parent(parent)
            try:
                files = contexts.patched_files(self.repo, self.task.parent or "", patch)
            except git.GitError as error:
                raise BuildFailed(str(error)) from error
            self._add(arm, name, parent, files)
        return self.store.facts(name, parent)

    def _add(self, arm: str, name: str, parent: str, files: contexts.Files) -> None:
        """Add a patch's files to the parent; compile if compiled sources changed."""
        native = self.task.subject.native_patterns
        paths = (*files.written, *files.deleted)
        own = self._labels(ARM, arm, name)
        if not self.recipe.rebuild or not any(matches(path, native) for path in paths):
            self._build_from(name, contexts.arm_context(self.recipe, parent, own, files))
            return
        own |= {labels.REBUILT: "yes"}
        step = f"{name}-sources"
        self._build_from(step, contexts.arm_context(self.recipe, parent, own, files))
        try:
            self._rebuild(arm, parent, step, name)
        finally:
            self.store.remove(image for image in self.store.images() if step in image.names)

    def _rebuild(self, arm: str, parent: str, step: str, name: str) -> None:
        """Compile the arm's sources and commit the container as the image. If that fails, compile
        the parent's: a machine or recipe that can't compile them is no fault of a patch. Raises
        RebuildFailed, InfraFault, Stopped."""
        if not (why := self._compile(arm, step, "rebuild", name)):
            return
        control = self._compile(BASELINE, parent, "control")
        text = f"rebuild: {why}"
        if control:
            text = f"the parent's own sources don't compile either: {control}; {text}"
        raise RebuildFailed(text, parent_builds=not control)

    def _compile(self, arm: str, image: str, log: str, name: str = "") -> str:
        """Compile in a container with the sandbox's limits, since the patch's code runs there, and
        commit the container as ``name`` if one is given. Returns what went wrong, or an empty
        text."""
        values = {"python": self.recipe.python, "root": self.recipe.root}
        out, err = (self.log.with_suffix(f".{log}.{stream}") for stream in ("stdout", "stderr"))
        place = Place(self.task.commit, arm, REBUILD)
        command = expand(self.recipe.rebuild, values)
        child = self.launch(image, command, env={}, stdout=out, stderr=err, place=place)
        try:
            in_time = wait_until(lambda: child.exit_code is not None, self.seconds, self.guard)
            if child.exit_code == 0 and in_time:
                if name:
                    repository, _, tag = name.rpartition(":")
                    with self.store.engine.faults(f"commit {name}"):
                        self.store.engine.api.commit(child.id, repository=repository, tag=tag)
                return ""
        finally:
            child.stop(self.task.protocol.limits.stop)
        if limit := explanation.reported_limit(child.flags, err):
            if limit.of_machine:
                facts = f"commit {self.task.commit[:8]}", f"arm {arm}", "stage build_image"
                raise infra_fault(limit.cause, *facts, limit.evidence.text, log=err)
            return f"{limit.evidence.text}; log: {err}"
        code, last = child.exit_code, _compiler_error(err, out)
        why = f"exit code {code}" if in_time else f"no end within {self.seconds:.0f} s"
        return f"{why}: {last.text if last else 'no message'}; log: {err}"

    def _labels(self, kind: str, arm: str, name: str) -> dict[str, str]:
        return self.store.labels(kind, self.task.commit, arm, self.recipe.digest, name)

    def _build_from(self, name: str, context: bytes) -> None:
        with context_folder() as folder:
            path = folder / "context.tar"
            path.write_bytes(context)
            self._build(name, path)

    def _build(self, name: str, context: Path) -> None:
        try:
            run_build(
                self.store.engine, name, context, seconds=self.seconds, guard=self.guard,
                log=self.log, memory_mb=self.recipe.sandbox.memory_mb,
            )  # fmt: skip
        except docker.errors.APIError as error:
            raise BuildFailed(str(error)) from error
