"""Small disks, an engine and slow preparations that all cases of a campaign share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import docker.errors

from tests.engine.archive import root_archive
from tests.engine.engines import PrivateEngine, SmallDisk
from tests.faults import cut
from tests.workflow.conftest import copy_project
from tests.workflow.project import ROOT, Project

# File systems of their own, in MiB: the engine's data root, the results, Snakemake's notes and the
# folder for temporary files.
DISKS = {"engine": 620, "results": 160, "snakemake": 24, "tmp": 24}
REPOSITORY = ".patchbench/repos/tinyserve.git"


class Bed:
    """Disks and engine; made anew where a fault destroyed them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.disks = {name: SmallDisk(folder, f"disk-{name}", mb) for name, mb in DISKS.items()}
        self._engine: PrivateEngine | None = None

    @property
    def engine(self) -> PrivateEngine:
        """The engine, started if it is not up."""
        if self._engine is None:
            self._engine = PrivateEngine(
                self.disks["engine"].path / "root", f"--cgroup-parent=/{self.cgroup}"
            )
        if not self._engine.answers():
            self._engine.start()
        return self._engine

    def engine_answers(self) -> bool:
        """Return True if the engine answers."""
        return self._engine is not None and self._engine.answers()

    @property
    def cgroup(self) -> str:
        """The control group above all containers: by its limit, memory can be short for all."""
        return f"pb-{self.folder.name}"

    def project(self, name: str, runtime: str, slots: int) -> tuple[Project, list[str]]:
        """Copy the project, with results, notes and temporary files on small disks; returns it and
        Snakemake's options."""
        folder = self.folder / "cases" / name
        shutil.rmtree(folder, ignore_errors=True)
        project = copy_project(folder)
        for disk, link in (("results", "results"), ("snakemake", ".snakemake"), ("tmp", "tmp")):
            place = self.disks[disk].path / name
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (folder / link).symlink_to(place)
        project.env["TMPDIR"] = str(self.disks["tmp"].path / name)
        shutil.copytree(self._repository(), folder / REPOSITORY)
        if runtime == "docker":
            project.env["DOCKER_HOST"] = self.engine.url
            archive = root_archive(self.folder / "base")
            images = folder / ".patchbench" / "images"
            images.mkdir(parents=True)
            (images / archive.name).symlink_to(archive)
        return project, cut.make(project, runtime, slots)

    def _repository(self) -> Path:
        repository = self.folder / "tinyserve.git"
        if not repository.is_dir():
            script = ROOT / "examples/tinyserve/make_repo.py"
            subprocess.run([sys.executable, str(script), "--out", str(repository)], check=True)
        return repository

    def empty(self) -> None:
        """Remove what a failed case has left in the engine, except bases."""
        client = self.engine.client()
        for container in client.api.containers(all=True):
            with suppress(docker.errors.APIError):  # it goes by itself just now
                client.api.remove_container(container["Id"], force=True, v=True)
        for image in client.images.list():
            if not any("-base:" in tag for tag in image.tags):
                with suppress(docker.errors.APIError):  # gone with one that it stood on
                    client.images.remove(image.id, force=True)

    def forget(self, name: str) -> None:
        """Delete a case's files."""
        for disk in ("results", "snakemake", "tmp"):
            shutil.rmtree(self.disks[disk].path / name, ignore_errors=True)
        shutil.rmtree(self.folder / "cases" / name, ignore_errors=True)

    def close(self) -> None:
        """Stop the engine and remove the disks."""
        if self._engine is not None:
            self._engine.stop()
        for disk in self.disks.values():
            disk.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)
