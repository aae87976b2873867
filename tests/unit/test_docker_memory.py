"""A kill for memory is the container's own only if its own limit was hit."""

from __future__ import annotations

from patchbench.runtimes.docker import memory

ID = "1f34094859447bbf0ceb4c1df6eef37f145ee731068b2cd831b11899ff294283"
HEAD = f"oom-kill:constraint={{}},nodemask=(null),cpuset={ID},mems_allowed=0,"
OWN = HEAD.format("CONSTRAINT_MEMCG") + f"oom_memcg=/docker/{ID},task_memcg=/docker/{ID},task=p"
ABOVE = HEAD.format("CONSTRAINT_MEMCG") + f"oom_memcg=/pods,task_memcg=/pods/{ID},task=python3"
MACHINE = (
    HEAD.format("CONSTRAINT_NONE")
    + f"global_oom,task_memcg=/system.slice/docker-{ID}.scope,task=python3,pid=1,uid=65534"
)
OTHERS = ABOVE.replace(ID, "ab" * 32)


def test_its_own_limit() -> None:
    assert not memory.of_machine(ID, [OWN])
    assert not memory.of_machine(ID, [ABOVE, OWN])


def test_a_limit_above_it_or_the_whole_machine() -> None:
    assert memory.of_machine(ID, ["python3 invoked oom-killer", ABOVE])
    assert memory.of_machine(ID, [MACHINE])


def test_kills_of_others_and_silence_say_nothing() -> None:
    assert not memory.of_machine(ID, [])
    assert not memory.of_machine(ID, [OTHERS])
