import dataclasses

import pytest

from pellucid.program.program import Kernel, Launch, Program, Repeat, Slot


def program(**changes) -> Program:
    add = Kernel("add_3", "define void @add_3() #0 { ret void }", "out = x + s\nin float32", 3, 36)
    fields = {
        "kernels": (add,),
        "launches": (Launch(0, (1, 2, 3), 1, False), Launch(0, (3, 2, 4), 1)),
        "slots": (
            Slot("scratch", nbytes=64),
            Slot("input", 0, nbytes=12, label="x"),
            Slot("state", 0, nbytes=12, label="s"),
            Slot("arena", 0, 128, 12, "sum"),
            Slot("output", 0, nbytes=12, label="out"),
        ),
        "outputs": (((3,), "float32"),),
        "input_bytes": (12,),
        "arena_bytes": 140,
        "scratch_bytes": 64,
    }
    return Program(**{**fields, **changes})


def test_the_listing_names_launches_arguments_and_barriers():
    lines = program().show().splitlines()
    assert lines[0].startswith(
        f"program {program().sha256[:12]}: 2 launches of 1 kernels, 6 flop and 72 B"
    )
    assert lines[1].split() == [
        "0",
        "add_3",
        "x1",
        "x",
        "s",
        "sum",
        "out",
        "=",
        "x",
        "+",
        "s;",
        "in",
        "float32",
    ]
    assert "|" in lines[2] and "|" not in lines[1]


def test_the_memory_plan_shows_place_size_and_life_of_every_slot():
    lines = program().show_memory().splitlines()
    assert lines[0] == "arena 140 B, scratch 64 B a thread, constants 0 B"
    assert lines[4].split() == ["3", "arena", "@128", "12", "B", "launches", "0..1", "sum"]


def test_kernels_and_their_text_can_be_printed():
    assert program().show_kernels() == "add_3: 2 x 3 flop, 36 B\n    out = x + s\n    in float32"
    assert "define void @add_3" in program().show_llvm()


def looped(**changes) -> Program:
    """The first launch 5 times, within it the second one 3 times."""
    first, second = program().launches
    repeats = Repeat(1, 3, 5, ((1, -12),)), Repeat(0, 5, 6, ((4, 4),))
    slots = (*program().slots, Slot("counter", nbytes=8), Slot("counter", nbytes=8))
    return program(**{"launches": (first, second, *repeats), "slots": slots, **changes})


def test_a_loop_is_listed_indented_and_counts_as_often_as_it_runs():
    lines = looped().show().splitlines()
    assert looped().times == (5, 15, 5, 1)
    assert "60 flop and 720 B" in lines[0]
    assert [len(line[4:]) - len(line[4:].lstrip()) for line in lines[1:]] == [3, 5, 3, 1]
    assert lines[3].split() == "2 3 times from 1: x by -12".split()
    assert lines[4].split() == "3 5 times from 0: out by 4".split()
    assert looped().show_kernels().startswith("add_3: 20 x 3 flop")
    assert looped().show_memory().splitlines()[6].split()[-2:] == ["launches", "2..2"]


def test_equal_programs_have_equal_digests_and_others_do_not():
    assert program().sha256 == program().sha256
    text = dataclasses.replace(program().kernels[0], text="other")
    others = [program(kernels=(text,)), program(parallel=True), program(arena_bytes=200)]
    assert len({p.sha256 for p in [program(), *others]}) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": ()},
        {"slots": (Slot("arena"),)},
        {"arena_bytes": 139},
        {"launches": (Launch(1, (), 1),)},
        {"launches": (Launch(0, (5,), 1),)},
        {"launches": (Launch(0, (1,), -1),)},
        {"launches": (Repeat(0, 2, 0, ()),)},
        {"launches": (Launch(0, (1,), 1), Repeat(0, 2, 1, ()))},
    ],
)
def test_a_program_that_would_touch_foreign_memory_cannot_be_made(wrong):
    with pytest.raises(AssertionError):
        program(**wrong)
