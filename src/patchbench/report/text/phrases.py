"""Format numbers for readers."""

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
    """Return a share with one decimal; a dash if there is none."""
    return "–" if value is None else f"{100 * value:.1f} %"


def plural(count: int, word: str, many: str | None = None) -> str:
    """Return a count with its noun: '1 patch', '2 patches', '1,200 patches'."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"


def was(count: int) -> str:
    """Return 'was' for one, 'were' for none and many."""
    return "was" if count == 1 else "were"


def interval(share: Share) -> str:
    """Return a share with its interval: '3/6 = 50.0 % [18.8, 81.2]'."""
    if not share.whole:
        return "0/0"
    return (
        f"{share.part}/{share.whole} = {percent(share.share)} "
        f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
    )


def mean(value: Mean) -> str:
    """Return a mean with its interval: '1.42x [1.10, 1.83]', marked 'rough' if the commits are
    few; of one commit its ratio, and that there is only one."""
    if value.ratio is None:
        return "–"
    text = f"{value.ratio:.2f}x"
    if value.low is not None and value.high is not None:
        text += f" [{value.low:.2f}, {value.high:.2f}{', rough' if value.rough else ''}]"
    elif value.commits == 1:
        text += " (1 commit)"
    return text


def number(value: float | None) -> str:
    """Return a value with three or four significant digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def sentence_case(text: str) -> str:
    """Return a text with a capital at its start; 'GPU fault' stays as it is."""
    return text[:1].upper() + text[1:]


def amount(size: float) -> str:
    """Return bytes as MiB or GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def listed(names: Sequence[str], most: int = 10) -> str:
    """Return 'a, b and c'; of a long list the first ones and the number of the others."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
