"""Windows of one launch: prompts made, load sent, records returned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from patchbench.judge.arrivals import due_times
from patchbench.judge.client import Request
from patchbench.judge.connection import Address
from patchbench.judge.datasets import Entry, read_entries
from patchbench.judge.dialect import find_dialect
from patchbench.judge.draws import commitment
from patchbench.judge.ends import Late
from patchbench.judge.load import Part
from patchbench.judge.metrics import median_ttft
from patchbench.judge.processes import Workers, process_count
from patchbench.judge.prompts import Prompt, warmup_prompts, window_prompts
from patchbench.judge.record import Answer, Dialect, Window
from patchbench.judge.requests import completion_body
from patchbench.judge.tokens import Tokenizer
from patchbench.judge.watch import saturation
from patchbench.load import (
    AllAtOnce,
    Batch,
    ClosedLoop,
    DataSet,
    Load,
    Shape,
    most_in_flight,
)


@dataclass(frozen=True)
class Launch:
    """All that the windows of one launch have in common. ``processes`` 0 lets the load decide;
    ``real_time`` asks for priority over other processes of the machine."""

    address: Address
    load: Load
    secret: bytes
    block: int
    dialect: Dialect
    entries: Sequence[Entry] = ()
    processes: int = 0
    real_time: bool = False

    def windows(self, numbers: Sequence[int]) -> Iterator[Window]:
        """Send the warm-up, then one window after another; yield each record. Raises Late after a
        window (or the warm-up) that did not end by itself."""
        count = self.processes or process_count(most_in_flight(self.load.shape))
        with Workers(count) as workers:
            self._warm_up(workers)
            for number in numbers:
                window = self._window(workers, number)
                yield window
                self._check_end(f"window {number}", window.answers)

    def _check_end(self, what: str, answers: Sequence[Answer]) -> None:
        limit = self.load.window_limit
        if max(answer.end_ns for answer in answers) >= limit * 1e9:
            raise Late(f"no end of {what} within {limit:g} s")

    def _warm_up(self, workers: Workers) -> None:
        prompts = warmup_prompts(self.load, self.secret, self.block, self.entries)
        if prompts:
            shape = warm_up_shape(self.load.shape, len(prompts))
            due = None if isinstance(shape, Batch) else [0] * len(prompts)
            _, answers, _ = workers.run(self._part(shape, self._requests(prompts, due)))
            self._check_end("the warm-up", answers)

    def _window(self, workers: Workers, number: int) -> Window:
        load = self.load
        prompts = window_prompts(load, self.secret, self.block, number, self.entries)
        due = due_times(load.shape, self.secret, self.block, number)
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        part = self._part(load.shape, self._requests(prompts, due))
        begin, answers, watches = workers.run(part)
        return Window(
            load=load,
            block=self.block,
            window=number,
            commitment=commitment(self.secret),
            dialect=self.dialect,
            started=started,
            begin_ns=begin,
            duration_ns=max(a.end_ns for a in answers),
            saturated=saturation(watches, median_ttft(answers)),
            watches=tuple(watches),
            answers=tuple(answers),
        )

    def _requests(
        self, prompts: Sequence[Prompt], due: Sequence[int] | None
    ) -> tuple[Request, ...]:
        """Write all bodies beforehand, so that nothing is encoded while a window runs."""
        return tuple(
            Request(
                index=index,
                prompt=prompt,
                data=self.address.post(
                    self.load.path, completion_body(self.load, self.dialect, prompt)
                ),
                due=None if due is None else due[index],
            )
            for index, prompt in enumerate(prompts)
        )

    def _part(self, shape: Shape, requests: tuple[Request, ...]) -> Part:
        limit = shape.concurrency if hasattr(shape, "concurrency") else 0
        concurrency = most_in_flight(shape) if isinstance(shape, ClosedLoop) else limit
        return Part(
            address=self.address,
            shape=shape,
            requests=requests,
            concurrency=concurrency,
            request_limit=self.load.request_limit,
            window_limit=self.load.window_limit,
            real_time=self.real_time,
        )


def warm_up_shape(shape: Shape, requests: int) -> Shape:
    """Return when warm-up requests are due: in whole batches if the load has some, else at once."""
    if isinstance(shape, Batch) and requests % shape.size == 0:
        return Batch(size=shape.size, rounds=requests // shape.size)
    return AllAtOnce(requests=requests)


def entries_of(load: Load, tokenizer: Tokenizer | None = None) -> Sequence[Entry]:
    """Return the prompts of the load's data set; none if it names none. With a tokenizer, texts can
    be sent as token ids. Raises BadInput."""
    return read_entries(load.prompts, tokenizer) if isinstance(load.prompts, DataSet) else ()


def dialect_of(
    address: Address,
    load: Load,
    secret: bytes,
    block: int,
    entries: Sequence[Entry] = (),
    tokenizer: Tokenizer | None = None,
) -> Dialect:
    """Return the words that a server accepts, found with a prompt that no window sends. Raises
    BadInput, Refused, Late."""
    prompt = window_prompts(load, secret, block, -1, entries)[0]
    return find_dialect(address, load, prompt, tokenizer)
