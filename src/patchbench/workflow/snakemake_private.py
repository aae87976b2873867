"""The only place that reads what Snakemake does not document. Every answer has a fallback.

Snakemake has no documented way to give ``--resources`` a default from a Snakefile, nor to tell a
Snakefile which targets or executor were chosen. If a release moves one of these attributes, the run
goes on with the fallback, and a warning says what to give on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError

from patchbench.system.source_folder import own


def limits(workflow: Any, defaults: Mapping[str, int]) -> tuple[dict[str, int], list[str]]:
    """Set the limits of a run that ``--resources`` does not name; return all that hold, and
    warnings. If they can't be set, the defaults are returned and hold for nothing."""
    try:
        given = workflow.global_resources
        holding = {}
        for name, limit in defaults.items():
            if name not in given:
                given[name] = limit
            value = given[name]
            holding[name] = int(getattr(value, "value", value))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        wanted = " ".join(f"{name}={limit}" for name, limit in defaults.items())
        return dict(defaults), [
            f"this release of Snakemake takes no limits from a workflow ({error!r}); give them "
            f"yourself: --resources {wanted}"
        ]
    return holding, []


def on_cluster(workflow: Any) -> bool:
    """Return True if jobs go to other machines: ``--jobs`` was given for an executor that is not
    local. (Snakemake itself does not know its executor yet while a Snakefile is read.)"""
    settings = getattr(workflow, "resource_settings", None)
    return getattr(settings, "nodes", None) is not None


def cores(workflow: Any) -> int | None:
    """Return ``--cores``. (``workflow.cores`` is documented; that a dry run needs none is not, and
    older releases refuse to answer then.)"""
    try:
        return int(workflow.cores)
    except (AttributeError, TypeError, WorkflowError):
        return None


def lift_job_rate(workflow: Any) -> None:
    """Take the limit on jobs per second away, which no option can; call it when the run begins.
    With a limit, Snakemake looks for jobs to start once more per second for each job that has
    ended, so that it takes ever more of a core beside what is measured."""
    scheduler: Any = getattr(workflow, "scheduler", None)
    if hasattr(scheduler, "job_rate_limiter"):
        scheduler.job_rate_limiter = None


def targets(workflow: Any) -> set[str]:
    """Return the targets that were named on the command line; none if that can't be told."""
    settings = getattr(workflow, "dag_settings", None)
    return set(getattr(settings, "targets", None) or ())


def is_touch(workflow: Any) -> bool:
    """Return True for a run with ``--touch``; known as soon as the run begins."""
    return bool(getattr(workflow, "touch", False))


def source_folder(workflow: Any) -> str:
    """Return the folder of the Snakefile that asks; if it is not on this machine or can't be told,
    that which this package belongs to. (``workflow.source_path``, which is
    documented, returns a copy of one file in a cache.)"""
    base = getattr(workflow, "current_basedir", None)
    path = getattr(base, "get_path_or_uri", lambda **_: "")(secret_free=True)
    if path and Path(path, "rules").is_dir():
        return str(Path(path).resolve())
    return own()


def config_files(workflow: Any) -> list[str]:
    """Return the configuration files that were read; none if that can't be told."""
    return [str(path) for path in getattr(workflow, "configfiles", None) or ()]
