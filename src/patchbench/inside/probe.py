"""Program that asks a server if it is ready, or for its answers to the fixed prompts.

In the Docker runtime it runs in the server's network, which can't be reached from outside.

    probe.py ready HOST PORT PATH SECONDS
    probe.py ask   HOST PORT PATH SECONDS '[{"model": ..., "prompt": ...}, ...]'

``ready`` ends with 0 once PATH answers 200. ``ask`` posts each body, prints {"answers": [...]} and
ends with 0. Both end with 3 and one line on stderr if that fails, with 4 when the time is over.
"""

import http.client
import json
import sys
import time

FAILED, TOO_LATE = 3, 4
MAX_ANSWER_BYTES = 1 << 20
# Pause between two questions, and its share of the time waited so far: the end of a short wait is
# seen at once, and a long one costs little.
POLL_SECONDS, POLL_SHARE = 0.05, 0.05


def answers_ok(host: str, port: int, path: str) -> bool:
    """Return True if a GET of a path is answered with 200."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def complete(host: str, port: int, path: str, body: object, deadline: float) -> str:
    """Return the text of one completion, not streamed. Raises ValueError for any other answer,
    TimeoutError after the deadline (monotonic time)."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = b""
        # Piece by piece: a server that answers slowly must not outlast the limit.
        while True:
            piece = response.read1(1 << 16)
            if not piece:
                break
            data += piece
            if time.monotonic() > deadline or len(data) > MAX_ANSWER_BYTES:
                raise TimeoutError
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}: {data[:200].decode(errors='replace')}")
        answer = str(json.loads(data)["choices"][0]["text"])
        return answer.encode("utf-8", "replace").decode()
    finally:
        connection.close()


def main(mode: str, host: str, port: int, path: str, seconds: float, bodies: str = "[]") -> int:
    """Run one of the two modes; return the exit code."""
    began = time.monotonic()
    deadline = began + seconds
    if mode == "ready":
        while not answers_ok(host, port, path):
            if (now := time.monotonic()) > deadline:
                return TOO_LATE
            time.sleep(min(POLL_SECONDS, 0.001 + POLL_SHARE * (now - began)))
        return 0
    answers = []
    for body in json.loads(bodies):
        try:
            answers.append(complete(host, port, path, body, deadline))
        except TimeoutError:
            return TOO_LATE
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return FAILED
    print(json.dumps({"answers": answers}))
    return 0


if __name__ == "__main__":
    mode, host, port, path, seconds, *rest = sys.argv[1:]
    sys.exit(main(mode, host, int(port), path, float(seconds), *rest))
