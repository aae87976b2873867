"""Whose memory it was that a GPU had too little of."""

from __future__ import annotations

import pytest

from patchbench.failures.gpu_memory import foreign_share, is_crowded
from patchbench.failures.signatures import matches

# Each text as it was printed, with where: the numbers are theirs.
NEW_FORM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried}. GPU 0 has a total "
    "capacity of {total} of which {free} is free. {who} has {held} memory in use. Of the allocated "
    "memory {allocated} is allocated by PyTorch, and {reserved} is reserved by PyTorch but "
    "unallocated."
)
DOTS_OCR = NEW_FORM.format(  # studio-dots-ai/dots.ocr issue 196: its own allocation was too big
    tried="74.16 GiB", total="44.40 GiB", free="29.89 GiB", who="Process 2684311",
    held="14.51 GiB", allocated="13.44 GiB", reserved="738.96 MiB",
)  # fmt: skip
VLLM_12529 = NEW_FORM.format(  # vllm-project/vllm issue 12529: a desktop held 1.6 of 7.75 GiB
    tried="1.16 GiB", total="7.75 GiB", free="1.17 GiB",
    who="Including non-PyTorch memory, this process", held="5.02 GiB", allocated="4.81 GiB",
    reserved="18.97 MiB",
)  # fmt: skip
VLLM_2140 = (  # vllm-project/vllm issue 2140, with the misspelling of PyTorch 2.1
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 3.50 GiB. GPU 0 has a "
    "total capacty of 23.69 GiB of which 3.09 GiB is free. Including non-PyTorch memory, this "
    "process has 20.57 GiB memory in use. Of the allocated memory 20.13 GiB is allocated by PyTorch"
)
VLLM_783 = (  # vllm-project/vllm issue 783: "other processes taking up about 15G"
    "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.63 GiB (GPU 0; 44.56 GiB "
    "total capacity; 27.91 GiB already allocated; 565.31 MiB free; 27.93 GiB reserved in total by "
    "PyTorch)"
)
KVCACHED_29 = (  # ovg-project/kvcached issue 29
    "ValueError: Free memory on device (59.32/79.15 GiB) on startup is less than desired GPU memory"
    " utilization (0.9, 71.24 GiB). Decrease GPU memory utilization"
)
PYTORCH_175666 = (  # pytorch/pytorch issue 175666: nobody else, the setting asks for too much
    "ValueError: Free memory on device cuda:0 (19.77/22.05 GiB) on startup is less than desired GPU"
    " memory utilization (0.9, 19.84 GiB)."
)


@pytest.mark.parametrize(
    ("text", "share", "others"),
    [
        (DOTS_OCR, (14.51 - 13.44 - 738.96 / 1024) / 44.40, False),
        (VLLM_12529, (7.75 - 1.17 - 5.02) / 7.75, True),
        (VLLM_2140, (23.69 - 3.09 - 20.57) / 23.69, False),
        (VLLM_783, (44.56 - 565.31 / 1024 - 27.93) / 44.56, True),
        (KVCACHED_29, (79.15 - 59.32) / 79.15, True),
        (PYTORCH_175666, (22.05 - 19.77) / 22.05, False),
    ],
    ids=["dots.ocr", "12529", "2140", "783", "kvcached", "175666"],
)
def test_the_share_of_others_decides(text: str, share: float, others: bool, tmp_path) -> None:
    assert foreign_share(text) == pytest.approx(share)
    assert is_crowded(text) is others
    log = tmp_path / "server.stderr"
    log.write_text(f"Traceback (most recent call last):\n{text}\n")
    cause = matches([log])[0].cause
    assert cause == ("infra.gpu_dirty" if others else "server.gpu_memory")


@pytest.mark.parametrize(
    "text",
    [
        "torch.OutOfMemoryError: CUDA out of memory.",
        "GPU 0 has a total capacity of 0 GiB of which 0 GiB is free. this process has 0 GiB memory "
        "in use",
        "GPU 0 has a total capacity of 44.40 GiB of which 29.89 GiB is free.",
    ],
)
def test_without_the_numbers_nobody_else_is_accused(text: str) -> None:
    assert foreign_share(text) is None
    assert not is_crowded(text)


def test_more_own_memory_than_is_taken_is_nobodys_else() -> None:
    text = NEW_FORM.format(
        tried="1 GiB", total="10 GiB", free="9 GiB", who="Process 1", held="1 GiB",
        allocated="3 GiB", reserved="512 B",
    )  # fmt: skip
    assert foreign_share(text) == 0.0
