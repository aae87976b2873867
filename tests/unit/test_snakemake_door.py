"""What is used of Snakemake is documented, or stands in the one module that guards it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake.api  # first, or snakemake.workflow finds itself half imported
import snakemake.scheduling.job_scheduler
import snakemake.workflow
from snakemake.resources import Resources
from snakemake_interface_common.exceptions import WorkflowError

from patchbench.workflow import snakemake_private
from tests.unit.conftest import ROOT

GUARDED = ROOT / "src/patchbench/workflow/snakemake_private.py"
SNAKEFILES = sorted(
    [*ROOT.glob("Snakefile"), *ROOT.glob("workflow/Snakefile"), *ROOT.glob("rules/*")]
)
MODULES = sorted({*ROOT.glob("src/**/*.py"), *ROOT.glob("workflow/**/*.py")} - {GUARDED})
# Names that Snakemake's documentation has (snakemake.readthedocs.io/en/stable), and its page.
DOCUMENTED = {
    "workflow.source_path": "snakefiles/rules.html, accessing auxiliary source files",
    "workflow.cores": "snakefiles/rules.html, threads",
    "shell.prefix": "project_info/faq.html, configuring the shell for all rules",
    "snakemake.utils.min_version": "snakefiles/writing_snakefiles.html, minimum version",
    # The packages for plugins are public interfaces, each with a page of its own.
    "snakemake_interface_common.exceptions.WorkflowError": "github.com/snakemake/"
    "snakemake-interface-common",
    "snakemake_interface_logger_plugins.base.LogHandlerBase": "github.com/snakemake/"
    "snakemake-interface-logger-plugins",
}
# Attributes of what a Snakefile is given; `patchbench.workflow` is a package of ours.
GIVEN = re.compile(r"(?<![\w.])(workflow|shell|logger|dag)\.(\w+)")
IMPORTED = re.compile(r"^\s*from (snakemake[\w.]*) import (.+)$|^\s*import (snakemake[\w.]*)", re.M)


def used_by_snakefile(text: str) -> set[str]:
    """Names of Snakemake's that a Snakefile uses, comments left out."""
    code = re.sub(r"#.*", "", text)
    used = {f"{found[1]}.{found[2]}" for found in GIVEN.finditer(code)}
    for module, names, whole in IMPORTED.findall(code):
        used |= {f"{module}.{name.strip()}" for name in names.split(",")} if module else {whole}
    return used


def used_by_module(text: str) -> set[str]:
    """Names that a module imports from Snakemake or its interfaces."""
    used: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("snakemake"):
            if (node.module or "").startswith("snakemake_logger_plugin_patchbench"):
                continue
            used |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            used |= {a.name for a in node.names if re.match(r"snakemake(\.|$|_interface)", a.name)}
    return used


@pytest.mark.parametrize("path", SNAKEFILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_snakefile_uses_what_is_documented(path: Path) -> None:
    assert used_by_snakefile(path.read_text()) <= DOCUMENTED.keys()


def test_modules_use_what_is_documented() -> None:
    used = {path: used_by_module(path.read_text()) - DOCUMENTED.keys() for path in MODULES}
    assert {path: names for path, names in used.items() if names} == {}


def test_the_workflow_is_handed_to_the_guarded_module_alone() -> None:
    for path in SNAKEFILES:
        handed = re.findall(r"([\w.]+)\(workflow[,)]", path.read_text())
        assert {name.partition(".")[0] for name in handed} <= {"snakemake_private"}, path


def test_what_is_not_documented_would_be_seen() -> None:
    seen = used_by_snakefile(
        "from snakemake.logging import logger\nimport snakemake.io\n"
        "x = workflow.global_resources['gpu']  # workflow.not_this\nlogger.addFilter(x)\n"
        "from patchbench.workflow import rules\n"
    )
    assert seen == {
        *("snakemake.logging.logger", "snakemake.io", "workflow.global_resources"),
        "logger.addFilter",
    }
    assert used_by_module("def f():\n    from snakemake.io import expand\n") == {
        "snakemake.io.expand"
    }


# --- the guarded module ---------------------------------------------------------------------------


class Given(dict[str, Any]):
    """Limits as releases before 9.16 keep them: plain figures."""


def workflow(**more: Any) -> Any:
    """A stand-in for Snakemake's workflow."""
    return SimpleNamespace(**more)


@pytest.mark.parametrize(
    "given", [Given(gpu=3), Resources.from_mapping({"gpu": 3})], ids=["figures", "installed"]
)
def test_limits_that_a_person_gives_win(given: Any) -> None:
    holding, warnings = snakemake_private.limits(
        workflow(global_resources=given), {"gpu": 1, "build": 2}
    )
    assert holding == {"gpu": 3, "build": 2}
    assert not warnings
    set_now = given["build"]
    assert getattr(set_now, "value", set_now) == 2


@pytest.mark.parametrize("moved", [workflow(), workflow(global_resources=None)])
def test_a_release_that_takes_no_limits_is_told_in_a_warning(moved: Any) -> None:
    holding, (warning,) = snakemake_private.limits(moved, {"gpu": 1, "build": 2})
    assert holding == {"gpu": 1, "build": 2}
    assert warning.endswith("--resources gpu=1 build=2")


def test_the_installed_release_has_what_is_read_of_it() -> None:
    names = vars(snakemake.workflow.Workflow)
    assert {"cores", "current_basedir", "source_path", "touch"} <= names.keys()
    fields = snakemake.workflow.Workflow.__dataclass_fields__
    assert {"resource_settings", "dag_settings"} <= fields.keys()


def test_jobs_go_to_other_machines_if_nodes_were_given() -> None:
    assert snakemake_private.on_cluster(workflow(resource_settings=SimpleNamespace(nodes=4)))
    assert not snakemake_private.on_cluster(workflow(resource_settings=SimpleNamespace(nodes=None)))
    assert not snakemake_private.on_cluster(workflow())


def test_targets_of_the_command_line() -> None:
    assert snakemake_private.targets(workflow(dag_settings=SimpleNamespace(targets=["a"]))) == {"a"}
    assert snakemake_private.targets(workflow()) == set()


def test_a_run_with_touch() -> None:
    assert snakemake_private.is_touch(workflow(touch=True))
    assert not snakemake_private.is_touch(workflow())


def test_no_limit_on_jobs_per_second_is_left() -> None:
    whole = workflow(scheduler=SimpleNamespace(job_rate_limiter="100 per second"))
    snakemake_private.lift_job_rate(whole)
    assert whole.scheduler.job_rate_limiter is None
    moved = workflow(scheduler=SimpleNamespace())
    for other in (moved, workflow(scheduler=None), workflow()):
        snakemake_private.lift_job_rate(other)
    assert vars(moved.scheduler) == {}


def test_the_installed_releases_scheduler_does_without_that_limit() -> None:
    source = inspect.getsource(snakemake.scheduling.job_scheduler.JobScheduler)
    assert "if self.job_rate_limiter is None:" in source
    assert "if self.job_rate_limiter is not None:" in source


def test_cores_are_unknown_if_snakemake_refuses_to_say() -> None:
    class Refusing:
        @property
        def cores(self) -> int:
            raise WorkflowError("give --cores")

    assert snakemake_private.cores(workflow(cores=4)) == 4
    assert snakemake_private.cores(Refusing()) is None
    assert snakemake_private.cores(workflow()) is None


def test_configuration_files() -> None:
    assert snakemake_private.config_files(workflow(configfiles=[Path("a.yaml")])) == ["a.yaml"]
    assert snakemake_private.config_files(workflow()) == []


def test_the_folder_of_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    here = SimpleNamespace(get_path_or_uri=lambda secret_free: str(tmp_path))
    assert snakemake_private.source_folder(workflow(current_basedir=here)) == str(tmp_path)
    # Not on this machine, or not to be had: the clone that this package is of.
    away = SimpleNamespace(get_path_or_uri=lambda secret_free: "https://example.org/x")
    for other in (workflow(current_basedir=away), workflow()):
        assert snakemake_private.source_folder(other) == str(ROOT)
