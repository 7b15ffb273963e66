"""Machine code: kernels' LLVM text becomes addresses of functions, linked by LLJIT.

`addresses(kernels)` verifies each kernel, runs a light pipeline, emits an object, keeps it on disk
and links it by LLJIT. Three shelves, each keyed by everything that the code depends on: this
process, the user's cache directory, and compiling anew. A damaged entry counts as missing.

LLJIT, not MCJIT: it resolves every symbol while linking and raises where one is missing; MCJIT
links and segfaults when called. Nothing here may relax floating-point rules: the same bits on every
machine are the promise, so there are no fast-math flags, and kernels may call only the functions in
ALLOWED."""

import collections
import functools
import hashlib
import itertools
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import llvmlite.binding as llvm

from ..base import machine
from ..base.machine import Machine
from ..program.program import Kernel
from . import cache

# A change of the pipeline below changes this text, and with it every key.
PIPELINE = "sroa instcombine simplifycfg rotate newgvn instcombine; codegen 2"

STACK_BYTES = (
    64 << 20
)  # linking recurses; small default stacks overflowed elsewhere (jax-ml, macOS)

# What a kernel may call: intrinsics that LLVM expands into instructions that round the same on
# every target, and, where a CPU has no fused multiply-add, the C library's correctly rounded one.
# Not llvm.exp and its like: they become calls to whatever the C library gives.
ALLOWED = re.compile(
    r"""llvm\.( (fma|sqrt|fabs|floor|ceil|trunc|rint|nearbyint|roundeven|copysign|minnum|maxnum
              |minimum|maximum|minimumnum|maximumnum|canonicalize|is\.fpclass|fptosi\.sat|fptoui\.sat)\.\w+(\.\w+)*
           | (abs|smin|smax|umin|umax|ctpop|ctlz|cttz|fshl|fshr|bswap|bitreverse)\.\w+
           | [su](add|sub|mul)\.(sat|with\.overflow)\.\w+
           | vector\.(reduce\.\w+|insert|extract|interleave2|deinterleave2|reverse|splice)(\.\w+)+
           | masked\.(load|store|gather|scatter|expandload|compressstore)(\.\w+)+
           | memcpy\.[\w.]+ | memmove\.[\w.]+ | memset\.[\w.]+
           | prefetch(\.\w+)? | assume | expect\.\w+ | lifetime\.\w+(\.\w+)?
           | experimental\.noalias\.scope\.decl
           | x86\.sse2\.pause | x86\.sse\.(ld|st)mxcsr | aarch64\.hint | aarch64\.[gs]et\.fpcr )
       | fmaf? | mem(cpy|move|set)""",
    re.VERBOSE,
)

_DECLARED = re.compile(r"^\s*declare\s[^@]*@\"?([\w.$]+)", re.MULTILINE)

# One lock for all of LLVM. It is held across fork(), so that a child never inherits it taken.
_lock = threading.RLock()
_library_numbers = itertools.count()  # a name is used up even where linking fails


class Library:
    """Linked code: addresses by name. It leaves memory with the last reference to it."""

    def __init__(self, tracker: Any, names: Iterable[str]):
        self.tracker = tracker
        self.addresses = {name: tracker[name] for name in names}


class Code(dict[str, int]):
    """Addresses by name, valid while this object lives."""

    def __init__(self, found: Iterable[tuple[str, int]], libraries: Iterable[Library]):
        super().__init__(found)
        self.libraries = tuple(libraries)


# Each library takes a dozen memory maps, of which Linux grants a process 65,530: code that nobody holds is
# let go, the most recent excepted, for the program that is about to be built again.
_linked: weakref.WeakValueDictionary[str, Library] = weakref.WeakValueDictionary()
_recent: collections.deque[Library] = collections.deque(maxlen=128)


class Stats:
    """Counts since the process started, for tests and `show`."""

    compiled = 0
    loaded = 0
    compile_seconds = 0.0
    link_seconds = 0.0


def addresses(kernels: Iterable[Kernel], on: Machine | None = None) -> Code:
    """The address of each kernel's function, by the kernel's name."""
    found = link([(kernel.text, (kernel.name,)) for kernel in kernels], on)
    return Code(
        ((name, address) for code in found for name, address in code.items()),
        (library for code in found for library in code.libraries),
    )


def link(units: list[tuple[str, tuple[str, ...]]], on: Machine | None = None) -> list[Code]:
    """For each (LLVM text, names of its functions), their addresses."""
    on = on or machine.read()
    keys = [key_of(text, on) for text, _ in units]
    held = {key: library for key in keys if (library := _linked.get(key)) is not None}
    if len(held) < len(set(keys)):
        _on_large_stack(functools.partial(_link_missing, units, keys, held, on))
    return [
        Code(((name, held[key].addresses[name]) for name in names), (held[key],))
        for key, (_, names) in zip(keys, units, strict=True)
    ]


def key_of(text: str, on: Machine) -> str:
    """Names an object by all that it depends on: with other features, it could be SIGILL."""
    parts = (text, _identity(), on.triple, on.cpu, on.features, on.attributes, PIPELINE)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def emit_object(text: str, on: Machine) -> bytes:
    """One relocatable object for this machine."""
    return _compile(text, on, lambda target, module: target.emit_object(module))


def emit_assembly(text: str, on: Machine) -> str:
    """The same code, readable."""
    return _compile(text, on, lambda target, module: target.emit_assembly(module))


@functools.cache
def _identity() -> str:
    from .. import __version__

    return f"pellucid {__version__}, llvm {'.'.join(map(str, llvm.llvm_version_info))}"


# --- compiling


def _compile(text: str, on: Machine, emit: Callable) -> Any:
    for name in _DECLARED.findall(text):
        assert ALLOWED.fullmatch(name), f"a kernel declares {name}, which is not among jit.ALLOWED"
    with _lock:
        target, head = _target(on)
        module = llvm.parse_assembly(f"{head}{text}\nattributes #0 = {{ {on.attributes} }}\n")
        module.verify()
        builder, passes = _pipeline(on)
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        return emit(target, module)


@functools.cache
def _target(on: Machine) -> tuple[Any, str]:
    """LLVM's target machine, and the two lines that every module starts with."""
    if on.triple == llvm.get_default_triple():
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    made = llvm.Target.from_triple(on.triple).create_target_machine(
        cpu=on.cpu,
        features=on.features,
        opt=2,
        reloc="pic",
        jit=on.triple == llvm.get_default_triple(),
    )
    return made, f'target datalayout = "{made.target_data}"\ntarget triple = "{on.triple}"\n'


@functools.cache
def _pipeline(on: Machine) -> tuple[Any, Any]:
    # The text is already vectorised and unrolled as the schedule wants it: LLVM's own pipeline
    # takes three times longer (44 instead of 10 ms for a 14 x 32 micro-kernel) and gives the same
    # inner loop.
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.add_loop_rotate_pass()
    passes.add_new_gvn_pass()
    passes.add_instruction_combine_pass()
    return llvm.create_pass_builder(_target(on)[0], options), passes


@functools.cache
def _jit(on: Machine) -> Any:
    target, _ = _target(on)
    return llvm.create_lljit_compiler(target)


def _link_missing(
    units: list[tuple[str, tuple[str, ...]]], keys: list[str], held: dict[str, Library], on: Machine
) -> None:
    """Links what `held` lacks, and adds it."""
    with _lock:
        missing = {
            key: (text, names)
            for key, (text, names) in zip(keys, units, strict=True)
            if key not in held
        }
        # Names are unique within a library, not between programs: the same name with another text
        # goes into a library of its own.
        while missing:
            batch: dict[str, tuple[str, ...]] = {}
            builder = llvm.JITLibraryBuilder().add_current_process()  # memcpy, fmaf
            taken: set[str] = set()
            for key, (text, names) in list(missing.items()):
                if taken.isdisjoint(names):
                    taken.update(names)
                    batch[key] = names
                    builder.add_object_img(_object(key, text, on))
                    for name in names:
                        builder.export_symbol(name)
                    del missing[key]
            started = time.perf_counter()
            tracker = builder.link(_jit(on), f"pellucid{next(_library_numbers)}")
            Stats.link_seconds += time.perf_counter() - started
            library = Library(tracker, [name for names in batch.values() for name in names])
            _recent.append(library)
            for key in batch:
                _linked[key] = held[key] = library


def _object(key: str, text: str, on: Machine) -> bytes:
    found = cache.read(f"{key}.o")
    if found is not None:
        Stats.loaded += 1
        return found
    started = time.perf_counter()
    made = emit_object(text, on)
    Stats.compile_seconds += time.perf_counter() - started
    Stats.compiled += 1
    cache.write(f"{key}.o", made)
    return made


def _on_large_stack(work: Callable[[], None]) -> None:
    """Runs `work` on a thread with a stack of known, large size, and raises here what it raises."""
    failure: list[BaseException] = []

    def body() -> None:
        try:
            work()
        except BaseException as error:
            failure.append(error)

    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=body, name="pellucid-jit")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    if failure:
        raise failure[0]


if hasattr(os, "register_at_fork"):
    # Fork waits for a compile that is under way, so that a child finds LLVM and the lock in order.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
