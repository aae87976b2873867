"""A signal to Snakemake's own process is always answered."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from patchbench.workflow import signals

# A handler that takes a lock which the main thread holds while the signal comes.
LOCKED = """
import os, signal, sys, threading, time
from patchbench.workflow import signals
lock, told = threading.Lock(), threading.Event()
def handler(*_):
    with lock:
        told.set()
signal.signal(signal.SIGTERM, handler)
signals.answer_aside(signal.SIGTERM)
with lock:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
sys.exit(0 if told.wait(5) else 3)
"""


def test_a_handler_that_needs_the_main_threads_lock_is_answered() -> None:
    done = subprocess.run([sys.executable, "-c", LOCKED], timeout=20)
    assert done.returncode == 0


def test_something_can_be_done_before_a_signal_is_answered() -> None:
    program = """
import os, signal, sys, threading
from patchbench.workflow import signals
told, said = threading.Event(), []
signal.signal(signal.SIGTERM, lambda *_: (said.append("answer"), told.set()))
def first():
    said.append("first")
    raise OSError("a full disk keeps no signal from being answered")
signals.answer_aside(signal.SIGTERM, first)
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(0 if told.wait(5) and said == ["first", "answer"] else 3)
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, timeout=20, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_without_a_handler_stays_as_it_is() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    signals.answer_aside(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == before
    assert threading.main_thread() is threading.current_thread()
