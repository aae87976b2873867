"""A stand-in for NVIDIA's library: one GPU with its state in a file, for injected faults.

The file (PATCHBENCH_FAKE_GPU) holds one word: `free`, `held` (another process computes on it),
`failing` (every question raises) or `hanging` (no question is answered).
"""

import os
import time
from pathlib import Path
from types import SimpleNamespace

NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
HANGS_SECONDS = 600
OTHER = 4_000_000


class NVMLError(Exception):
    """The driver's error."""


def _state() -> str:
    state = Path(os.environ["PATCHBENCH_FAKE_GPU"]).read_text().strip()
    if state == "failing":
        raise NVMLError("GPU is lost")
    if state == "hanging":
        time.sleep(HANGS_SECONDS)
    return state


def nvmlInit():
    _state()


def nvmlShutdown():
    _state()


def nvmlDeviceGetHandleByIndex(index):
    _state()
    return index


def nvmlDeviceGetComputeRunningProcesses(gpu):
    held = SimpleNamespace(pid=OTHER, usedGpuMemory=30 << 30)
    return [held] if _state() == "held" else []


def nvmlDeviceGetMemoryInfo(gpu):
    return SimpleNamespace(used=(31 << 30) if _state() == "held" else (500 << 20))


def _figure(*_):
    _state()
    return 1


nvmlDeviceGetClockInfo = nvmlDeviceGetPowerUsage = nvmlDeviceGetTemperature = _figure
nvmlDeviceGetCurrentClocksEventReasons = _figure


def nvmlDeviceGetUtilizationRates(gpu):
    return SimpleNamespace(gpu=_figure())
