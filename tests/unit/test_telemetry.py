"""Telemetry: what the driver says goes to a file, and nothing that it refuses ends a run."""

import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.system import gpu_driver, telemetry

GIB = 2**30


class Refused(Exception):
    """What the driver raises."""


class FakeNvml:
    """A driver with two GPUs, of which the second tells nothing but its clocks."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlMemory_v2 = 2

    def __init__(self) -> None:
        self.processes = []
        self.used = 600 * 2**20
        self.throttle = 0x4
        self.asked = 0
        self.open = 0
        self.shy = False

    def nvmlInit(self):
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetHandleByIndex(self, index):
        if index > 1:
            raise Refused("Invalid Argument")
        return index

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetMinorNumber(self, gpu):
        if self.shy:
            return self._first_only(gpu, 3)
        return (3, 5)[gpu]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return {"GPU-aaaa": 0}[uuid]

    def nvmlDeviceGetClockInfo(self, gpu, kind):
        self.asked += 1
        return 1980 if kind == self.NVML_CLOCK_SM else 2619

    def _first_only(self, gpu, value):
        if gpu:
            raise Refused("Not Supported")
        return value

    def nvmlDeviceGetUUID(self, gpu):
        return self._first_only(gpu, b"GPU-aaaa")

    def nvmlDeviceGetName(self, gpu):
        return self._first_only(gpu, b"H100")

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlDeviceGetPowerUsage(self, gpu):
        return self._first_only(gpu, 345_678)

    def nvmlDeviceGetTemperature(self, gpu, sensor):
        return self._first_only(gpu, 51)

    def nvmlDeviceGetMemoryInfo(self, gpu, version):
        assert version == 2
        return self._first_only(gpu, SimpleNamespace(used=self.used))

    def nvmlDeviceGetUtilizationRates(self, gpu):
        return self._first_only(gpu, SimpleNamespace(gpu=87, memory=3))

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu):
        return self._first_only(gpu, self.throttle)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu):
        return self._first_only(gpu, self.processes)


@pytest.fixture
def nvml(monkeypatch):
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def rows(folder: Path) -> list[list[str]]:
    return [line.split(",") for line in (folder / telemetry.FILE).read_text().splitlines()]


def test_samples_are_written_now_meanwhile_and_at_the_end(nvml, tmp_path):
    with telemetry.recorded(["GPU-aaaa"], tmp_path, seconds=0.01):
        time.sleep(0.1)
    head, first, *more = rows(tmp_path)
    assert tuple(head) == telemetry.COLUMNS
    assert first[1:] == ["GPU-aaaa", "1980", "2619", "345.678", "51", "600", "87", "power_cap"]
    assert first[0].endswith("+00:00")
    assert len(more) >= 3
    assert nvml.open == 0


def test_a_run_shorter_than_the_interval_has_a_sample_at_each_end(nvml, tmp_path):
    began = time.monotonic()
    with telemetry.recorded(["0"], tmp_path, seconds=120):
        while not nvml.asked:
            time.sleep(0.001)
    assert len(rows(tmp_path)) == 3
    assert time.monotonic() - began < 100


def test_minor_numbers_are_known_of_all_gpus_or_of_none(nvml):
    assert gpu_driver.minors() == {"0": "3", "GPU-aaaa": "3", "1": "5"}
    nvml.shy = True
    assert gpu_driver.minors() == {}
    assert nvml.open == 0


def test_what_a_gpu_refuses_to_tell_stays_empty(nvml, tmp_path):
    with telemetry.recorded(["1"], tmp_path, seconds=30):
        pass
    assert rows(tmp_path)[1][1:] == ["1", "1980", "2619", "", "", "", "", ""]
    found = telemetry.summary(tmp_path / telemetry.FILE)
    assert found is not None
    assert set(found.mean) == {"sm_mhz", "memory_mhz"}
    assert found.throttle == ()


@pytest.mark.parametrize("gpus", [[], ["7"], ["GPU-unknown"]])
def test_without_a_gpu_that_can_be_asked_nothing_is_written(nvml, tmp_path, gpus):
    with telemetry.recorded(gpus, tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    assert nvml.open == 0


def test_a_machine_without_the_library_runs_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    records_nothing(tmp_path)


def test_a_driver_that_does_not_start_is_no_driver(nvml, monkeypatch, tmp_path):
    def broken():
        raise Refused("Driver/library version mismatch")

    monkeypatch.setattr(nvml, "nvmlInit", broken)
    records_nothing(tmp_path)


def records_nothing(folder: Path) -> None:
    with telemetry.recorded(["0"], folder):
        pass
    assert gpu_driver.why_not_free("0") is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("question", ["nvmlInit", "nvmlDeviceGetClockInfo", "nvmlShutdown"])
def test_a_driver_that_never_answers_does_not_hold_up_a_run(nvml, monkeypatch, tmp_path, question):
    monkeypatch.setattr(gpu_driver, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(gpu_driver, "_unanswered", [])
    monkeypatch.setattr(nvml, question, lambda *_: time.sleep(60))
    began = time.monotonic()
    with telemetry.recorded(["0"], tmp_path, seconds=30):
        pass
    if question == "nvmlInit":
        assert gpu_driver.why_not_free("0") == "GPU 0: the driver has not answered for 0 s"
        assert gpu_driver.about(["0"]) == {}
        assert gpu_driver.uuid("0") is None
    assert time.monotonic() - began < 50


def test_a_driver_that_answers_again_is_asked_again(nvml, monkeypatch):
    monkeypatch.setattr(gpu_driver, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(gpu_driver, "_unanswered", [])
    over = threading.Event()
    init = nvml.nvmlInit
    monkeypatch.setattr(nvml, "nvmlInit", lambda: (over.wait(20), init()))
    assert "has not answered" in gpu_driver.why_not_free("0")
    monkeypatch.setattr(nvml, "nvmlInit", init)
    monkeypatch.setattr(gpu_driver, "AGAIN_SECONDS", 0.0)
    assert "has not answered" in gpu_driver.why_not_free("0"), "one question at a time"
    monkeypatch.setattr(gpu_driver, "AGAIN_SECONDS", 10.0)
    over.set()
    assert gpu_driver.why_not_free("0") is None


def test_a_fault_of_the_run_passes_through_and_the_recording_ends(nvml, tmp_path):
    with pytest.raises(KeyError), telemetry.recorded(["0"], tmp_path, seconds=30):
        raise KeyError("the run's own")
    assert len(rows(tmp_path)) >= 2
    assert nvml.open == 0


def test_a_folder_that_cannot_be_written_does_not_end_a_run(nvml, tmp_path):
    with telemetry.recorded(["0"], tmp_path / "missing", seconds=0.01):
        time.sleep(0.02)


def test_summary_has_means_and_ends_and_names_what_held_the_clocks_back(tmp_path):
    file = tmp_path / telemetry.FILE
    file.write_text(
        f"{','.join(telemetry.COLUMNS)}\n"
        "2026-01-01T00:00:00+00:00,0,1980,2619,300,50,1000,90,power_cap\n"
        "2026-01-01T00:00:01+00:00,0,1200,2619,500,60,3000,100,power_cap thermal\n"
        "2026-01-01T00:00:02+00:00,0,345,2619,100,40,0,0,idle\n"
        "2026-01-01T00:00:03+00:00,0,345,26"
    )
    found = telemetry.summary(file)
    assert found is not None
    assert found.samples == 3
    # Of the time in which a kernel ran: two samples of three.
    assert found.working == pytest.approx(2 / 3)
    assert found.mean["power_w"] == pytest.approx(400)
    assert (found.lowest["sm_mhz"], found.highest["sm_mhz"]) == (345, 1980)
    assert found.throttle == ("power_cap", "thermal")


def test_a_driver_that_tells_no_utilisation_gives_means_of_all_the_time(tmp_path):
    file = tmp_path / telemetry.FILE
    file.write_text(
        f"{','.join(telemetry.COLUMNS)}\n"
        "2026-01-01T00:00:00+00:00,1,1980,2619,,,,,\n2026-01-01T00:00:01+00:00,1,1000,2619,,,,,\n"
    )
    found = telemetry.summary(file)
    assert found is not None
    assert (found.working, found.mean) == (None, {"sm_mhz": 1490, "memory_mhz": 2619})


def test_a_gpu_has_a_model_and_a_driver(nvml):
    known = {"gpu_model": "H100", "gpu_driver": "580.1", "gpu_uuid": "GPU-aaaa"}
    assert gpu_driver.about(["0"]) == known
    assert gpu_driver.about(["0", "1"]) == known  # the second one tells nothing
    assert gpu_driver.about(["7"]) == {}
    assert nvml.open == 0


@pytest.mark.parametrize("content", [None, b"", b"at,gpu\n", b"\xff\x00nonsense"])
def test_no_samples_no_summary(tmp_path, content):
    file = tmp_path / telemetry.FILE
    if content is not None:
        file.write_bytes(content)
    assert telemetry.summary(file) is None


@given(st.binary(max_size=300))
def test_any_file_can_be_summed_up(content):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / telemetry.FILE
        file.write_bytes(",".join(telemetry.COLUMNS).encode() + b"\n" + content)
        found = telemetry.summary(file)
    assert found is None or found.samples > 0


@given(st.integers(min_value=0, max_value=2**12 - 1))
def test_every_bit_has_a_name(bits):
    names = gpu_driver.reasons(bits)
    assert bool(names) == bool(bits)
    known = sum(bit for bit, name in gpu_driver.REASONS.items() if name in names)
    unknown = sum(int(name, 16) for name in names if name.startswith("0x"))
    assert known + unknown == bits


def test_a_process_of_others_is_named_with_its_memory(nvml):
    assert gpu_driver.why_not_free("0") is None
    nvml.processes = [SimpleNamespace(pid=4711, usedGpuMemory=512 * 2**20)]
    assert gpu_driver.why_not_free("0") == "GPU 0: process 4711 holds 512 MiB"
    assert gpu_driver.why_not_free("0", own={4711}) is None
    nvml.processes = [SimpleNamespace(pid=12, usedGpuMemory=None)]
    assert gpu_driver.why_not_free("0") == "GPU 0: process 12 holds memory"


def test_memory_without_a_process_is_somebody_else(nvml):
    nvml.used = 3 * GIB
    said = gpu_driver.why_not_free("0")
    assert said is not None
    assert said.startswith("GPU 0: 3072 MiB in use")


@pytest.mark.parametrize("gpu", ["1", "7", "GPU-unknown"])
def test_what_cannot_be_asked_counts_as_clean(nvml, gpu):
    assert gpu_driver.why_not_free(gpu) is None
