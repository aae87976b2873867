"""What the engine says of a failure, as a cause of ours and the step that mends it."""

from __future__ import annotations

import pytest

from patchbench.runtimes.docker.engine import Engine


@pytest.mark.parametrize(
    ("said", "cause", "step"),
    [
        ("500 (mkdir ROOT/tmp: no space left on device)", "infra.disk_full", "free space"),
        (
            'Get "https://r/v2/": dial tcp: lookup r: no such host', "infra.network",
            "engine reaches the registry",
        ),
        ("toomanyrequests: You have reached your pull rate limit", "infra.rate_limit", "log in"),
        ("unauthorized: authentication required", "infra.auth", "log in to the registry"),
        ("('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))",
         "infra.engine", "docker info"),
        ("something else", "infra.engine", "docker info"),
    ],
)  # fmt: skip
def test_a_registry_that_fails_is_not_the_engine(said: str, cause: str, step: str) -> None:
    fault = Engine("unix:///nowhere.sock").fault("pull base", said, numbers=False)
    assert fault.cause == cause
    assert step in str(fault)
    assert str(fault).endswith("run the same command again")
