"""Samples in, numbers out: no records, no files, no judgement. Ratios are handled as logarithms.

``paired`` compares two arms, ``looks`` says how often one may look, ``floor`` is what noise alone
does, ``rates`` and ``sizes`` sum up whole tables.
"""

from patchbench.verdicts.statistics.floor import noise_floor
from patchbench.verdicts.statistics.looks import Planned, level, planned
from patchbench.verdicts.statistics.paired import (
    Paired,
    blocks_to_narrow,
    log_ratio,
    paired,
    projected,
)
from patchbench.verdicts.statistics.rates import benjamini_hochberg, holm, mcnemar, wilson
from patchbench.verdicts.statistics.sizes import bootstrap, geometric_mean, wilcoxon

__all__ = [
    "Paired",
    "Planned",
    "benjamini_hochberg",
    "blocks_to_narrow",
    "bootstrap",
    "geometric_mean",
    "holm",
    "level",
    "log_ratio",
    "mcnemar",
    "noise_floor",
    "paired",
    "planned",
    "projected",
    "wilcoxon",
    "wilson",
]
