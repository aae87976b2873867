"""Folders that are there as a whole or not at all."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary(where: Path, name: str) -> Iterator[Path]:
    """Make a folder in `where` to build something in, gone afterwards."""
    build = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=where))
    try:
        yield build
    finally:
        shutil.rmtree(build, ignore_errors=True)


def made(out: Path, write: Callable[[Path], str]) -> str:
    """Let `write` fill a new folder that becomes `out`, unless a model with weights is there;
    return what was done, in a line. Raises OSError."""
    if (out / "model.safetensors").is_file():
        return f"{out} is there already"
    if out.exists():
        raise OSError("it is there, but without weights: remove it and try again")
    out.parent.mkdir(parents=True, exist_ok=True)
    with temporary(out.parent, out.name) as build:
        build.chmod(0o755)  # private, from mkdtemp; containers read it as another user
        what = write(build)
        build.rename(out)
    return f"{out}: {what}"


def main(about: str, write: Callable[[Path], str]) -> int:
    """Run the command line of a make_model.py."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--out", required=True, type=Path, help="folder to make")
    out: Path = parser.parse_args().out
    try:
        print(f"make_model: {made(out, write)}")
    except ImportError as error:
        print(f"make_model: run this with the vLLM environment's Python: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"make_model: cannot write {out}: {error}", file=sys.stderr)
        return 2
    return 0
