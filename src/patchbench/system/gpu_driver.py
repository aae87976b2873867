"""Questions to NVIDIA's driver (NVML): a GPU's identity, whether it is free, its figures.

Nothing here ends a run: without a GPU, without the library, or with a driver that refuses an answer
or never gives one, the answer is empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

# A GPU with more memory in use than this is not free, whether or not a process can be seen.
FREE_MIB = 1024
# A driver answers within milliseconds or, when a GPU has failed, never.
ANSWER_SECONDS = 10.0
# As long as an answer is outstanding, the next question waits only so long.
AGAIN_SECONDS = 0.5
_unanswered: list[threading.Thread] = []
MIB = 2**20

# Reasons for lowered clocks of a GPU, by NVML's bits (nvml.h, nvmlClocksEventReason*).
REASONS = {
    0x1: "idle",
    0x2: "application_clocks",
    0x4: "power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}


def reasons(bits: int) -> tuple[str, ...]:
    """Return the names of the reasons in NVML's bit mask, unknown bits in hexadecimal."""
    known = tuple(name for bit, name in REASONS.items() if bits & bit)
    unknown = bits & ~sum(REASONS)
    return (*known, hex(unknown)) if unknown else known


def _memory(nvml: Any, gpu: Any) -> float:
    """Return the memory that programs hold, MiB. The call's first version counts the driver's."""
    version = getattr(nvml, "nvmlMemory_v2", None)
    args = (gpu, version) if version else (gpu,)
    return float(nvml.nvmlDeviceGetMemoryInfo(*args).used / MIB)


def _throttle(nvml: Any, gpu: Any) -> str:
    call = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
    call = call or nvml.nvmlDeviceGetCurrentClocksThrottleReasons
    return " ".join(reasons(call(gpu)))


# The figures of a sample; units stand in the names.
FIGURES: dict[str, Callable[[Any, Any], float]] = {
    "sm_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
    "memory_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(
        gpu, nvml.NVML_TEMPERATURE_GPU
    ),
    "memory_mib": _memory,
    "utilisation_pct": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
}


@contextmanager
def driver() -> Iterator[Any]:
    """Yield NVIDIA's library, initialised, or None if there is none or no GPU."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, a driver of another version
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(Exception):
            pynvml.nvmlShutdown()


def handles(nvml: Any, gpus: Sequence[str]) -> dict[str, Any]:
    """Return NVML's handles of GPUs, named by index or UUID as in CUDA_VISIBLE_DEVICES; unknown
    GPUs are left out."""
    out = {}
    for gpu in gpus if nvml else ():
        with suppress(Exception):
            out[gpu] = (
                nvml.nvmlDeviceGetHandleByIndex(int(gpu))
                if gpu.isdecimal()
                else nvml.nvmlDeviceGetHandleByUUID(gpu)
            )
    return out


def sample(nvml: Any, handle: Any) -> list[str]:
    """Return a GPU's figures and what holds its clocks back, as texts; empty if unknown."""
    figures = [_answer(figure, nvml, handle) for figure in FIGURES.values()]
    return [
        *("" if figure is None else f"{figure:.6g}" for figure in figures),
        _answer(_throttle, nvml, handle) or "",
    ]


def _answer(question: Callable[[Any, Any], Any], nvml: Any, gpu: Any) -> Any:
    """Return the answer, or None: not every GPU and driver can answer everything."""
    try:
        return question(nvml, gpu)
    except Exception:
        return None


def _in_time(question: Callable[[], T], late: T) -> T:
    """Return the answer, or ``late`` if the driver gives none in time. One question at a time."""
    for earlier in _unanswered:
        earlier.join(AGAIN_SECONDS)
    _unanswered[:] = [thread for thread in _unanswered if thread.is_alive()]
    if _unanswered:
        return late
    answers: list[T] = []
    thread = threading.Thread(target=lambda: answers.append(question()), daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    if thread.is_alive():
        _unanswered.append(thread)
    return answers[0] if answers else late


def about(gpus: Sequence[str]) -> dict[str, str]:
    """Return model, driver and UUIDs of GPUs (index or UUID), as far as they are known."""

    def question() -> dict[str, str]:
        with driver() as nvml:
            known = handles(nvml, gpus).values()
            names = [_answer(lambda n, g: n.nvmlDeviceGetName(g), nvml, gpu) for gpu in known]
            uuids = [_answer(lambda n, g: n.nvmlDeviceGetUUID(g), nvml, gpu) for gpu in known]
            version = _answer(lambda n, _: n.nvmlSystemGetDriverVersion(), nvml, None)
        facts = {
            "gpu_model": ", ".join(dict.fromkeys(map(_text, filter(None, names)))),
            "gpu_driver": _text(version or "") if known else "",
            "gpu_uuid": ", ".join(map(_text, filter(None, uuids))),
        }
        return {name: text for name, text in facts.items() if text}

    return _in_time(question, {})


def uuid(gpu: str) -> str | None:
    """Return a GPU's UUID, by which every program of the machine knows it, or None."""
    return about([gpu]).get("gpu_uuid")


def minors() -> dict[str, str]:
    """Return the minor numbers (N of /dev/nvidiaN) of all GPUs, by index and by UUID; empty if any
    is unknown."""

    def question() -> dict[str, str]:
        numbers: dict[str, str] = {}
        with driver() as nvml:
            for index in range(_answer(lambda n, _: n.nvmlDeviceGetCount(), nvml, None) or 0):
                gpu = _answer(lambda n, i: n.nvmlDeviceGetHandleByIndex(i), nvml, index)
                minor = _answer(lambda n, g: n.nvmlDeviceGetMinorNumber(g), nvml, gpu)
                if minor is None:
                    return {}
                name = _answer(lambda n, g: n.nvmlDeviceGetUUID(g), nvml, gpu)
                numbers |= {str(index): str(minor)} | ({_text(name): str(minor)} if name else {})
        return numbers

    return _in_time(question, {})


def _text(answer: str | bytes) -> str:
    """Decode an answer that older versions of the library give in bytes."""
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def why_broken(gpu: str) -> str | None:
    """Return what the driver reports of a broken GPU (index or UUID): lost, uncorrectable memory
    errors since the driver was loaded, rows that wait for a reset, or no answer; else None."""

    def question() -> str | None:
        with driver() as nvml:
            if nvml is None:
                return None
            handle = handles(nvml, [gpu]).get(gpu)
            if handle is None:
                return f"GPU {gpu}: the driver no longer knows it"
            try:
                nvml.nvmlDeviceGetMemoryInfo(handle)
            except nvml.NVMLError as error:
                lost = (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED)
                return f"GPU {gpu}: {error}" if error.value in lost else None
            errors = _answer(_memory_errors, nvml, handle)
            waiting = _answer(lambda n, g: n.nvmlDeviceGetRemappedRows(g), nvml, handle)
        if errors:
            return f"GPU {gpu}: {errors} uncorrectable memory errors since the driver was loaded"
        if waiting and (waiting[2] or waiting[3]):  # pending, failed
            return f"GPU {gpu}: memory rows wait to be remapped"
        return None

    late: str | None = f"GPU {gpu}: the driver has not answered for {ANSWER_SECONDS:.0f} s"
    return _in_time(question, late)


def _memory_errors(nvml: Any, gpu: Any) -> int:
    return int(
        nvml.nvmlDeviceGetTotalEccErrors(
            gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        )
    )


def why_not_free(gpu: str, own: Collection[int] = ()) -> str | None:
    """Return the reason why a GPU (index or UUID) is not free for a measurement: compute processes
    other than ``own`` (process ids), over 1 GiB in use without a visible process, or a driver that
    does not answer. None if it is free or nothing is known."""

    def question() -> str | None:
        with driver() as nvml:
            handle = handles(nvml, [gpu]).get(gpu)
            if handle is None:
                return None
            running = _answer(lambda n, g: n.nvmlDeviceGetComputeRunningProcesses(g), nvml, handle)
            used = _answer(_memory, nvml, handle)
        if others := [process for process in running or () if process.pid not in own]:
            return f"GPU {gpu}: {', '.join(map(_holder, others))}"
        if used is not None and used > FREE_MIB and not running:
            return f"GPU {gpu}: {used:.0f} MiB in use, and no process that holds it can be seen"
        return None

    late: str | None = f"GPU {gpu}: the driver has not answered for {ANSWER_SECONDS:.0f} s"
    return _in_time(question, late)


def _holder(process: Any) -> str:
    size = getattr(process, "usedGpuMemory", None)
    return f"process {process.pid} holds " + (f"{size / MIB:.0f} MiB" if size else "memory")
