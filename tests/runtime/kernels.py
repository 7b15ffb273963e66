"""Small kernels written by hand, and programs of them, for the tests of this folder."""

from pellucid.program.program import Kernel, Launch, Program, Slot


def kernel(name: str, n_args: int, body: str, declares: str = "") -> Kernel:
    """A kernel with pointers %p0, %p1 ... whose `body` does task %i (an i64)."""
    loads = "\n".join(
        f"""  %s{k}.p = getelementptr i32, ptr %argidx, i64 {k}
  %s{k} = load i32, ptr %s{k}.p
  %t{k} = getelementptr ptr, ptr %slots, i32 %s{k}
  %p{k} = load ptr, ptr %t{k}"""
        for k in range(n_args)
    )
    text = f"""define void @{name}(ptr %slots, ptr %argidx, i64 %lo, i64 %hi) #0 {{
entry:
{loads}
  br label %task
task:
  %i = phi i64 [%lo, %entry], [%i1, %task]
{body}
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %hi
  br i1 %more, label %task, label %done
done:
  ret void
}}
{declares}"""
    return Kernel(name, text, name, flops=1, bytes=8)


def affine(factor: int, term: int) -> Kernel:
    """p1[i] = p0[i] * factor + term, in int64."""
    return kernel(
        f"affine_{factor}_{term}",
        2,
        f"""  %x.p = getelementptr i64, ptr %p0, i64 %i
  %x = load i64, ptr %x.p
  %m = mul i64 %x, {factor}
  %y = add i64 %m, {term}
  %y.p = getelementptr i64, ptr %p1, i64 %i
  store i64 %y, ptr %y.p""",
    )


def turn(n: int) -> Kernel:
    """p1[i] = p0[(i + 1) % n] * 3 + 1, in int64: reads what another thread may have written."""
    return kernel(
        f"turn_{n}",
        2,
        f"""  %j = add i64 %i, 1
  %k = urem i64 %j, {n}
  %x.p = getelementptr i64, ptr %p0, i64 %k
  %x = load i64, ptr %x.p
  %m = mul i64 %x, 3
  %y = add i64 %m, 1
  %y.p = getelementptr i64, ptr %p1, i64 %i
  store i64 %y, ptr %y.p""",
    )


MULTIPLY = kernel(
    "multiply",
    3,
    """  %a.p = getelementptr float, ptr %p0, i64 %i
  %a = load float, ptr %a.p
  %b.p = getelementptr float, ptr %p1, i64 %i
  %b = load float, ptr %b.p
  %c = fmul float %a, %b
  %c.p = getelementptr float, ptr %p2, i64 %i
  store float %c, ptr %c.p""",
)

FMA = kernel(
    "fused",
    2,
    """  %a.p = getelementptr float, ptr %p0, i64 %i
  %a = load float, ptr %a.p
  %b = call float @llvm.fma.f32(float %a, float %a, float %a)
  %b.p = getelementptr float, ptr %p1, i64 %i
  store float %b, ptr %b.p""",
    "declare float @llvm.fma.f32(float, float, float)",
)


def chain(n: int, rounds: int = 1, parallel: bool = True) -> Program:
    """`rounds` times: state = turn(turn(state + input)); the output is the state."""
    size = 8 * n
    add = kernel(
        "accumulate",
        2,
        """  %x.p = getelementptr i64, ptr %p0, i64 %i
  %x = load i64, ptr %x.p
  %y.p = getelementptr i64, ptr %p1, i64 %i
  %y = load i64, ptr %y.p
  %z = add i64 %x, %y
  store i64 %z, ptr %y.p""",
    )
    slots = (
        Slot("scratch"),
        Slot("input", 0, nbytes=size, label="x"),
        Slot("state", 0, nbytes=size, label="s"),
        Slot("arena", 0, 64, size, "turned"),
        Slot("output", 0, nbytes=size, label="out"),
    )
    launches = [Launch(0, (1, 2), n)]
    for _ in range(rounds):
        launches += [Launch(1, (2, 3), n), Launch(1, (3, 2), n)]
    launches.append(Launch(2, (2, 4), n))
    return Program(
        (add, turn(n), affine(1, 0)),
        tuple(launches),
        slots,
        (((n,), "int64"),),
        (size,),
        arena_bytes=64 + size,
        parallel=parallel,
    )


def chain_reference(state, x, rounds: int = 1):
    """The same in NumPy; gives the new state, which is also the output."""
    import numpy as np

    state = state + x
    for _ in range(2 * rounds):
        state = np.roll(state, -1) * 3 + 1
    return state
