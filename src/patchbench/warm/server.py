"""The warm interpreter itself: imports what stages need, then forks a worker for each client.

Started as ``python -m patchbench.warm.server SOCKET READY_FD RUNTIME``. It ends when its standard
input does.
"""

from __future__ import annotations

import gc
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import NoReturn

# As in client.py.
WORD = 8
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Listen, import, and fork until the run is over."""
    path, ready, runtime = sys.argv[1:]
    # A Ctrl-C goes to all processes of a run; this one is needed until the last job has ended.
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        os.write(int(ready), b"!")
        os.close(int(ready))
        # Only now: clients may wait in line meanwhile.
        from patchbench.warm import stages

        stages.prepare(runtime)
        # What is there now stays: workers need neither look at it nor copy it.
        gc.collect()
        gc.freeze()
        serve(listener)


def serve(listener: socket.socket) -> None:
    """Fork a worker for each client."""
    alive: set[int] = set()
    while True:
        # Wakes up once a second to see who has ended.
        readable, _, _ = select.select([listener, sys.stdin], [], [], 1.0 if alive else None)
        while alive:
            ended, _ = os.waitpid(-1, os.WNOHANG)
            if not ended:
                break
            alive.discard(ended)
        if sys.stdin in readable:
            return
        if listener in readable:
            client, _ = listener.accept()
            worker = os.fork()
            if worker == 0:
                listener.close()
                work(client)
            client.close()
            alive.add(worker)


def work(client: socket.socket) -> NoReturn:
    """Be the process that the client asked for, to its end."""
    try:
        argv = adopt(client)
        client.sendall(os.getpid().to_bytes(WORD, "big"))
    except OSError:
        os._exit(1)  # nobody waits for it
    over = threading.Event()
    threading.Thread(target=follow, args=(client, over), daemon=True).start()
    code = run(argv)
    over.set()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(OSError):
        client.sendall(code.to_bytes(WORD, "big"))
    os._exit(code)


def adopt(client: socket.socket) -> list[str]:
    """Take over the client's words, folder, environment and open files; returns the words."""
    head, files, _, _ = socket.recv_fds(client, WORD, 3)
    size, request = int.from_bytes(head, "big"), b""
    while len(request) < size:
        piece = client.recv(size - len(request))
        if not piece:
            raise ConnectionError("the client is gone")
        request += piece
    argv, folder, environment = marshal.loads(request)
    for number, fd in enumerate(files):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(folder)
    os.environ.clear()
    os.environb.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    words: list[str] = argv
    return words


def follow(client: socket.socket, over: threading.Event) -> None:
    """End this worker if its client does before its work is over: nobody waits for it any more."""
    with suppress(OSError):
        client.recv(1)
    if not over.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def run(argv: list[str]) -> int:
    """Run a script as ``python SCRIPT WORDS...`` does."""
    sys.argv = argv
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
