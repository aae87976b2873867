"""The text of a new campaign's configuration, with a comment for each choice that it makes."""

from __future__ import annotations

from typing import NamedTuple

import yaml

HEAD = """\
# A campaign of patchbench, written by `patchbench init`. All keys: `patchbench schema config`, or
# config/README.md of the project.
"""
TRUSTED = """\
# Patches run as plain processes of this account, without a sandbox: each of them was read.
runtime: process
trust_patches: true
"""
IN_CONTAINERS = """\
# Each process runs in a container without network. For patches that were read, `runtime: process`
# with `trust_patches: true` needs no engine.
runtime: docker
"""
WITH_GPUS = """\
containers:
  gpu: nvidia
"""
MEASURING = """\
protocol:
  # Blocks per task; each launches the baseline, the human's commit and every agent once.
  blocks: 5
  # true where a CPU is measured: nothing else runs beside a block. false on a machine with GPUs.
  exclusive: {exclusive}
  # Seconds until a server is ready, and for one stretch of load: what each launch of a patch that
  # hangs costs. Less is enough for small models.
  limits: {{start: 600, benchmark: 1800}}
"""


class Given(NamedTuple):
    """The facts of a new campaign. ``repository`` is a subject's name and a folder, ``subject`` is
    that of records of the task list that name none, ``gpus`` is True on a machine that has any."""

    name: str
    tasks: str
    subject: str
    repository: tuple[str, str] | None
    agents: dict[str, str]
    trust: bool
    gpus: bool = False


def text(given: Given) -> str:
    """Return the configuration as YAML."""
    tasks: object = given.tasks
    if given.subject:
        tasks = {"file": given.tasks, "subject": given.subject}
    parts = [
        HEAD,
        _yaml({"campaign": given.name, "results": f"results/{given.name}"}),
        TRUSTED if given.trust else IN_CONTAINERS,
        WITH_GPUS if given.gpus and not given.trust else "",
        _yaml({"tasks": [tasks]}),
    ]
    if given.repository:
        name, folder = given.repository
        parts.append(_yaml({"repositories": {name: folder}}))
    parts.append(_yaml({"agents": {n: {"patches": place} for n, place in given.agents.items()}}))
    parts.append(MEASURING.format(exclusive=str(not given.gpus).lower()))
    return "".join(parts)


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
