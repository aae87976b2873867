"""No container sees a folder of the host that holds a token, and a rebuild sees none at all."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from patchbench.config import Containers, Mount, Sandbox
from patchbench.errors import BadInput
from patchbench.plan import config_file, mounts
from patchbench.runtimes.docker import options
from tests.unit.conftest import ROOT

API = docker.APIClient(base_url="unix:///nowhere", version="1.41")


@pytest.mark.parametrize("secret", ["token", "stored_tokens", ".ssh", ".docker/config.json"])
def test_a_folder_with_a_secret_is_refused(tmp_path: Path, secret: str) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / secret).parent.mkdir(exist_ok=True)
    (tmp_path / secret).touch()
    refused = Mount(source=str(tmp_path), target="/m")
    with pytest.raises(BadInput, match=rf"^c: containers\.mounts: {tmp_path} holds {secret}.*next"):
        mounts.check([refused], "c")
    mounts.check([Mount(source=str(tmp_path / "hub"), target="/m")], "c")


def test_a_home_that_is_not_known_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", unknown)
    with pytest.raises(BadInput, match="no home folder"):
        mounts.check([Mount(source="~/x", target="/m")], "c")


def test_the_cache_with_the_token_is_in_no_configuration_of_ours() -> None:
    for file in (ROOT / "config").glob("*.yaml"):
        given = config_file.read_yaml(file).get("containers", {}).get("mounts", [])
        assert not [mount for mount in given if mount["from"].rstrip("/").endswith("huggingface")]


def test_a_rebuild_gets_no_mounts() -> None:
    machine = Containers(mounts=(Mount(source="/models", target="/m"),))
    found = options.host_config(API, Sandbox(), machine, network="none", writable=True)
    assert not found.get("Mounts")
