"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from patchbench.ledger.progress import duration
from patchbench.verdicts.scores import Mean, Share

__all__ = [
    "amount",
    "duration",
    "interval",
    "listed",
    "mean",
    "number",
    "percent",
    "plural",
    "sentence_case",
    "was",
]


def percent(value: float | None) -> str:
    """Return a share with one decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def plural(count: int, word: str, many: str | None = None) -> str:
    """'1 patch', '2 patches', '1,200 patches'."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def was(count: int) -> str:
    """'was' for one, 'were' for none and many."""
    return "was" if count == 1 else "were"


def interval(share: Share) -> str:
    """'3/6 = 50.0 % [18.8, 81.2]'."""
    if not share.whole:
        return "0/0"
    return (
        f"{share.part}/{share.whole} = {percent(share.share)} "
        f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
    )


def mean(found: Mean) -> str:
    """'1.42x [1.10, 1.83]', with '(rough)' where few commits made the interval."""
    if found.ratio is None:
        return "–"
    text = f"{found.ratio:.2f}x"
    if found.low is not None and found.high is not None:
        text += f" [{found.low:.2f}, {found.high:.2f}{', rough' if found.rough else ''}]"
    return text


def number(value: float | None) -> str:
    """Return a value with three or four digits that count."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def sentence_case(text: str) -> str:
    """Return with a capital at its start; 'GPU fault' stays as it is."""
    return text[:1].upper() + text[1:]


def amount(size: float) -> str:
    """Return bytes as MiB or GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def listed(names: Sequence[str], most: int = 10) -> str:
    """'a, b and c'; of many the first, and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
