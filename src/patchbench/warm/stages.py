"""What cheap stages need, imported and worked out once, before workers fork.

Every module that a stage's script would import, also those that it imports only when it gets there,
and msgspec's plans for reading records, which it else makes at the first record of each type.
"""

from __future__ import annotations

import importlib

import msgspec

from patchbench import records

NEEDED = (
    *("workflow.stage", "ledger.machine_faults", "images.build", "grading.commit"),
    *("ledger.progress", "plan.resolve", "patches.sources"),
    *("patches.validate", "runtimes"),
)
LATER = {
    "docker": ("runtimes.docker.runtime",),
    "process": ("runtimes.process",),
}
FOREIGN = ("pyflakes.checker", "zstandard")
READ = (
    *(records.Task, records.Fetched, records.Validated, records.Built, records.Block),
    *(records.Run, records.GradedRun),
)


def prepare(runtime: str) -> None:
    """Import and work out what stages of a campaign with this runtime need."""
    for name in (*NEEDED, *LATER[runtime]):
        importlib.import_module(f"patchbench.{name}")
    for name in FOREIGN:
        importlib.import_module(name)
    for type_ in READ:
        msgspec.json.Decoder(type_)
