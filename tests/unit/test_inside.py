"""Programs that run inside images: the probe, and what all of them may import."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from patchbench.inside import probe


class Handler(BaseHTTPRequestHandler):
    """A server that answers by the prompt it gets."""

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["prompt"]
        if prompt == "trickle":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)
            return
        data = {"echo": {"choices": [{"text": prompt.upper()}]}, "odd": {"no": "choices"}}
        self.send_response(500 if prompt == "break" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(data["odd" if prompt == "odd" else "echo"]).encode())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run it as a container would: isolated, without site packages."""
    command = [sys.executable, "-I", "-S", probe.__file__, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def ask(port: int, seconds: float, *prompts: str) -> subprocess.CompletedProcess[str]:
    bodies = json.dumps([{"prompt": prompt} for prompt in prompts])
    return run("ask", "127.0.0.1", port, "/v1/completions", seconds, bodies)


def test_ready_once_the_path_answers(port: int) -> None:
    assert run("ready", "127.0.0.1", port, "/health", 5).returncode == 0


def test_not_ready_in_time(port: int) -> None:
    assert run("ready", "127.0.0.1", port, "/loading", 0.5).returncode == probe.TOO_LATE


def test_answers_in_the_order_of_the_prompts(port: int) -> None:
    done = ask(port, 5, "one", "two")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"answers": ["ONE", "TWO"]}


@pytest.mark.parametrize(("prompt", "said"), [("break", "HTTP 500"), ("odd", "KeyError")])
def test_an_answer_that_is_none_is_a_failure_with_its_reason(
    port: int, prompt: str, said: str
) -> None:
    done = ask(port, 5, "one", prompt)
    assert done.returncode == probe.FAILED
    assert said in done.stderr
    assert not done.stdout


def test_a_server_that_trickles_does_not_outlast_the_limit(port: int) -> None:
    assert ask(port, 1, "trickle").returncode == probe.TOO_LATE


def test_nobody_there() -> None:
    assert ask(9, 2, "one").returncode == probe.FAILED


# --- programs that run inside images --------------------------------------------------------------

INSIDE = sorted(Path(probe.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("program", INSIDE, ids=lambda path: path.name)
def test_a_program_inside_an_image_needs_only_an_old_standard_library(program: Path) -> None:
    tree = ast.parse(program.read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "no relative import"
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_the_programs_inside_images_are_known() -> None:
    assert [path.stem for path in INSIDE] == ["__init__", "probe"]
