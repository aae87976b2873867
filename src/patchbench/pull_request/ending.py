"""The one ending of a pull request, from the results of its workloads, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from patchbench.errors import EXIT_INFRA
from patchbench.pull_request.judged import Judged

Kind = Literal[
    "broken",
    "slower",
    "to review",
    "machine",
    "not measured",
    "inconclusive",
    "faster",
    "same",
    "not executed",
]


class Ending(NamedTuple):
    """The exit code of an ending, and what it means in one line."""

    code: int
    meaning: str


# In this order one workload decides over the others.
ENDINGS: dict[Kind, Ending] = {
    "broken": Ending(3, "head fails where base works, or its answers are wrong"),
    "slower": Ending(1, "slower on a workload, beyond the margin"),
    "to review": Ending(
        5, "faster, but a person should look: a guard lost or open, or a gain too large to believe"
    ),
    "machine": Ending(EXIT_INFRA, "the machine failed; the same command goes on"),
    "not measured": Ending(6, "base fails too, or the workload can't be measured here"),
    "inconclusive": Ending(4, "the measured blocks do not decide"),
    "faster": Ending(0, "faster on a workload, worse on none"),
    "same": Ending(0, "no difference beyond the margin"),
    "not executed": Ending(0, "the change has nothing that a workload executes"),
}
OF_VERDICT: dict[str, Kind] = {
    "faster": "faster",
    "same": "same",
    "slower": "slower",
    "inconclusive": "inconclusive",
    "faster, guard open": "to review",
    "trade-off": "to review",
    "suspicious": "to review",
    "wrong output": "broken",
}
OF_BLAME: dict[str, Kind] = {"agent": "broken", "infra": "machine"}
# Refusals of a patch that say that it leaves what is measured as it was.
NO_EFFECT = ("patch.empty", "patch.out_of_scope", "patch.forbidden_path", "patch.not_exercised")


def kind(result: Judged) -> Kind:
    """Return the ending of one workload."""
    head = result.head
    if head.status == "failed":
        if head.cause in NO_EFFECT:
            return "not executed"
        return OF_BLAME.get(head.blame or "", "not measured")
    if head.status == "measured" and result.base.status == "failed":
        return "machine" if result.base.blame == "infra" else "not measured"
    return OF_VERDICT.get(head.verdict, "not measured")


def whole(results: Sequence[Judged]) -> Kind:
    """Return the ending of all workloads: the first of ENDINGS that one of them has."""
    kinds = {kind(result) for result in results}
    return next(ending for ending in ENDINGS if ending in kinds)
