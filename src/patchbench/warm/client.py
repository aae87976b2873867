"""Run a script in a fork of the warm interpreter whose socket lies beside this file.

Started as ``python -I -S client.py SCRIPT WORDS...``: it imports nothing but what is built in, so
that it starts in a third of the time that Python takes otherwise.
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself takes 5 ms
import _socket
import marshal
import posix
import sys

# The worker's process id, then its exit code, each in so many bytes.
WORD = 8
SCM_RIGHTS = 1
INFRA = 75


def main() -> int:
    """The exit code of the script."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        server.connect(__file__.rpartition("/")[0] + "/socket")
    except OSError:
        posix.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    request = marshal.dumps((sys.argv[1:], posix.getcwd(), dict(posix.environ)))
    files = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2))
    # A signal that comes before there is a worker is passed on as soon as there is one.
    workers: list[int] = []
    early: list[int] = []
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(
            number,
            lambda number, _: forward(workers[0], number) if workers else early.append(number),
        )
    server.sendmsg([len(request).to_bytes(WORD, "big")], [(_socket.SOL_SOCKET, SCM_RIGHTS, files)])
    server.sendall(request)
    worker = read(server)
    if worker is None:
        return lost()
    workers.append(worker)
    for number in early:
        forward(worker, number)
    code = read(server)
    return lost() if code is None else code


def read(server: _socket.socket) -> int | None:
    """One number, or None if the other end is gone."""
    data = b""
    while len(data) < WORD:
        piece = server.recv(WORD - len(data))
        if not piece:
            return None
        data += piece
    return int.from_bytes(data, "big")


def forward(worker: int, number: int) -> None:
    """Pass a signal on; the worker may just have ended."""
    try:
        posix.kill(worker, number)
    except OSError:
        return


def lost() -> int:
    """The worker was killed, or never began: nothing that the script would have said."""
    text = "patchbench: infra.killed | the process of this job was killed | next: run again\n"
    posix.write(2, text.encode())
    return INFRA


if __name__ == "__main__":
    posix._exit(main())
