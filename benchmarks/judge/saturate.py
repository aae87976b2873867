"""Drive one judge process beyond what it can do: it must say so.

    python benchmarks/judge/saturate.py

Requests of one token each fall due at rising rates; the fake server answers at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from patchbench.judge.connection import Address
from patchbench.judge.measure import Launch
from patchbench.judge.record import Dialect
from patchbench.load import FixedRate, Lengths, Load, RandomPrompts, Sampling

PORT = 9660


def main() -> None:
    """Print a row per rate."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).with_name("fake.py")), str(PORT), "0.001"]
        server = subprocess.Popen([*command, str(Path(folder, "stamps"))])
        time.sleep(1)
        print(
            "| requests/s due | failed | send lag p99, ms | loop lag p99, ms | processor | says |"
        )
        print("|---:|---:|---:|---:|---:|---|")
        for rate in (200, 1000, 2000, 4000, 8000):
            load = Load(
                model="m",
                shape=FixedRate(requests=2 * rate, rate=rate),
                prompts=RandomPrompts(
                    prompt=Lengths(low=128, high=128), output=Lengths(low=1, high=1)
                ),
                sampling=Sampling(ignore_eos=True),
            )
            launch = Launch(
                address=Address("127.0.0.1", PORT),
                load=load,
                secret=os.urandom(32),
                block=1,
                dialect=Dialect(ids_stream=True, fields=("return_token_ids",)),
                processes=1,
                real_time="--real-time" in sys.argv,
            )
            (window,) = launch.windows([1])
            watch = window.watches[0]
            failed = sum(bool(a.error) for a in window.answers)
            print(
                f"| {rate} | {failed} | {watch.send_lag_p99:.1f} | {watch.loop_lag_p99:.1f} | "
                f"{watch.cpu:.2f} | {window.saturated or 'not saturated'} |",
                flush=True,
            )
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
