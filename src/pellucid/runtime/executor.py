"""Executable: a Program with its memory and machine code, run from Python in one native call.

Takes arrays (C-contiguous, of the exact sizes that the program was made for), gives arrays. The
arena, the constants and the threads' scratch are allocated once; a repeated call with the same
arrays only calls."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np

from ..program.program import Program, Repeat
from . import jit, team
from .buffers import aligned

SMALL_OUTPUT_BYTES = (
    4 << 10
)  # up to here, copying out of a fixed buffer is cheaper than a new address

SLICE_SECONDS = 0.05  # the longest that many short steps keep Python's signal handlers waiting

# Where an ndarray keeps its data pointer: the first field after the object's head
# (numpy/ndarraytypes.h, PyArrayObject_fields, part of NumPy's ABI). Seven times faster than
# array.ctypes.data.
_DATA_FIELD = object.__basicsize__
_pointer_at = ctypes.c_void_p.from_address


def _pointer(array: np.ndarray) -> int:
    return _pointer_at(id(array) + _DATA_FIELD).value or 0


def _slow_pointer(array: np.ndarray) -> int:
    return array.ctypes.data


_probe = np.zeros(3, np.uint8)
if _pointer(_probe) != _probe.ctypes.data or _pointer(_probe[1:]) != _probe.ctypes.data + 1:
    _pointer = _slow_pointer


class Executable:
    """One program, ready to run. Two threads may call it at once; they take turns."""

    def __init__(self, program: Program):
        self.program = program
        addresses = self._code = jit.addresses(program.kernels)  # held: it may be unloaded else
        self._lock = threading.Lock()
        self._owner = _process
        self._native = team.native()

        slots = program.slots
        self._arena = aligned((program.arena_bytes,), np.uint8)
        self._consts = [_constant(data) for data in program.consts]
        self._table = (ctypes.c_int64 * len(slots))()
        self._inputs: list[list[int]] = [[] for _ in program.input_bytes]  # input -> its slots
        states: dict[int, list[int]] = {}
        outputs: list[list[int]] = [[] for _ in program.outputs]
        for number, slot in enumerate(slots):
            if slot.kind == "arena":
                self._table[number] = self._arena.ctypes.data + slot.offset
            elif slot.kind == "const":
                self._table[number] = self._consts[slot.index].ctypes.data
            elif slot.kind == "input":
                self._inputs[slot.index].append(number)
            elif slot.kind == "state":
                states.setdefault(slot.index, []).append(number)
            elif slot.kind == "output":
                outputs[slot.index].append(number)
        self._states = sorted(states.items())
        self._state_bytes = {
            i: max(slots[n].nbytes for n in numbers) for i, numbers in self._states
        }

        # Small outputs live in fixed arrays; large ones are new on each call: (place, shape, dtype,
        # slots).
        results: list[np.ndarray] = []
        self._large: list[tuple[int, tuple[int, ...], np.dtype, list[int]]] = []
        for place, ((shape, name), numbers) in enumerate(
            zip(program.outputs, outputs, strict=True)
        ):
            dtype = np.dtype(name)
            fixed = aligned(shape, dtype)
            if fixed.nbytes > SMALL_OUTPUT_BYTES:
                self._large.append((place, shape, dtype, numbers))
                results.append(np.empty(0))  # never given out
                continue
            results.append(fixed)
            for number in numbers:
                self._table[number] = fixed.ctypes.data + slots[number].offset
        self._kept: list[np.ndarray | None] = [None] * len(self._large)
        self._copies = [r.copy for r in results]

        self._launches, *self._args = _launch_table(program, addresses)
        self._call = (ctypes.c_int64 * team.CALL_WORDS)()
        self._call_pointer = ctypes.c_void_p(ctypes.addressof(self._call))
        self._stepped = (ctypes.c_int64 * (2 * len(slots)))()
        call = self._call
        call[team.N_LAUNCHES] = len(program.launches)
        call[team.LAUNCHES] = ctypes.addressof(self._launches)
        call[team.N_SLOTS] = len(slots)
        call[team.SLOTS] = ctypes.addressof(self._table)
        self._single_step()
        call[team.STEPPED] = ctypes.addressof(self._stepped)
        self._parallel = program.parallel and bool(program.launches)
        self._areas = np.zeros(0, np.uint8)
        self._n_areas = 0
        self._make_areas(1)

        # What the table points to now. The lists hold the arrays, so that an identity is not used
        # twice.
        self._bound_inputs: list[np.ndarray | None] = [None] * len(self._inputs)
        self._bound_state: Sequence[np.ndarray] | None = None
        self._state_ids: list[int] = []

    def run(
        self, inputs: Sequence[np.ndarray], state: Sequence[np.ndarray] = ()
    ) -> list[np.ndarray]:
        """One step: overwrites the state arrays, returns the outputs in new arrays.

        Fastest with `state` as one and the same tuple from call to call."""
        with self._own_lock():
            bound = self._bound_inputs
            if len(inputs) != len(bound):
                raise ValueError(f"the program takes {len(bound)} inputs, not {len(inputs)}.")
            for i, array in enumerate(inputs):
                if array is not bound[i]:
                    self._bind_input(i, array, 1, False)
            if state is not self._bound_state:
                self._bind_state(state)
            large = self._new_large() if self._large else None
            if self._parallel:
                self._walk_parallel()
            else:
                self._native.walk_alone(self._call_pointer)
            return self._collect(large)

    def run_many(
        self,
        n_steps: int,
        inputs: Sequence[np.ndarray],
        stepped: Sequence[bool],
        start: int = 0,
        state: Sequence[np.ndarray] = (),
    ) -> list[np.ndarray]:
        """n steps, and the outputs of the last one.

        A stepped input has one more leading axis of n_batches entries; step i uses (start + i) %
        n_batches. The steps are cut into native calls of about SLICE_SECONDS, between which Ctrl-C
        is answered: the state is then that after a whole number of steps."""
        if n_steps < 1:
            raise ValueError(f"run_many(n_steps={n_steps}) needs at least one step.")
        lengths = {len(x) for x, moves in zip(inputs, stepped, strict=True) if moves}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(
                f"run_many: stepped inputs have {sorted(lengths)} entries; give each the same."
            )
        n_batches = lengths.pop() if lengths else 1
        if len(inputs) != len(self._bound_inputs):
            raise ValueError(
                f"the program takes {len(self._bound_inputs)} inputs, not {len(inputs)}."
            )
        call = self._call
        with self._own_lock():
            n_stepped = 0
            for i, (array, moves) in enumerate(zip(inputs, stepped, strict=True)):
                self._bind_input(i, array, n_batches if moves else 1, moves)
                if moves:
                    for number in self._inputs[i]:
                        self._stepped[2 * n_stepped] = number
                        self._stepped[2 * n_stepped + 1] = self.program.input_bytes[i]
                        n_stepped += 1
            if state is not self._bound_state:
                self._bind_state(state)
            large = self._new_large() if self._large else None
            call[team.N_STEPPED], call[team.N_BATCHES] = n_stepped, n_batches
            try:
                done, size = 0, 1
                while done < n_steps:
                    size = min(size, n_steps - done)
                    call[team.START], call[team.N_STEPS] = (start + done) % n_batches, size
                    started = time.perf_counter()
                    if self._parallel:
                        self._walk_parallel()
                    else:
                        self._native.walk_alone(self._call_pointer)
                    done += size
                    seconds = max(time.perf_counter() - started, 1e-7) / size
                    # At most eightfold: the first step is slower than the others, or luckier.
                    size = max(1, min(8 * size, int(SLICE_SECONDS / seconds)))
            finally:
                self._single_step()
            return self._collect(large)

    # --- the parts of a call

    def _own_lock(self) -> threading.Lock:
        # In a forked child, a thread that is not there may hold the lock and be half-way in a call.
        if self._owner is not _process:
            self._lock, self._owner = threading.Lock(), _process
            self._make_areas(1)
            self._single_step()
            self._bound_inputs = [None] * len(self._inputs)
            self._bound_state, self._state_ids = None, []
        return self._lock

    def _single_step(self) -> None:
        call = self._call
        call[team.N_STEPS], call[team.START] = 1, 0
        call[team.N_STEPPED], call[team.N_BATCHES] = 0, 1

    def _walk_parallel(self) -> None:
        with team.lock:
            crew = team.current()
            n_threads = crew.n_threads
            if n_threads > self._n_areas:
                self._make_areas(n_threads)
            if n_threads == 1:
                self._native.walk_alone(self._call_pointer)
            else:
                self._native.walk_team(crew.pointer, self._call_pointer)

    def _make_areas(self, n_threads: int) -> None:
        """Each thread's slot table and scratch, on pages of its own."""
        offset = _round_up(8 * len(self.program.slots), 128)
        size = _round_up(offset + self.program.scratch_bytes, 4096 if n_threads > 1 else 128)
        self._areas = aligned((n_threads * size,), np.uint8)
        self._n_areas = n_threads
        call = self._call
        call[team.AREAS], call[team.AREA_BYTES] = self._areas.ctypes.data, size
        call[team.SCRATCH_OFFSET] = offset

    def _bind_input(self, i: int, array: np.ndarray, entries: int, moves: bool) -> None:
        # A kernel reads what its slot says: a smaller array would be read past its end.
        _check_array(array, "input", i)
        if array.nbytes != self.program.input_bytes[i] * entries or not array.flags.c_contiguous:
            raise ValueError(
                f"input {i} has {array.nbytes} bytes in shape {array.shape}; the program needs "
                f"{self.program.input_bytes[i]} x {entries}, C-contiguous."
            )
        pointer = _pointer(array)
        for number in self._inputs[i]:
            self._table[number] = pointer + self.program.slots[number].offset
        # Stepped inputs are bound anew each time: only here is their number of entries checked.
        self._bound_inputs[i] = None if moves else array

    def _bind_state(self, state: Sequence[np.ndarray]) -> None:
        ids = list(map(id, state))
        if ids != self._state_ids:
            self._bound_state, self._state_ids = None, []  # also after an error half-way
            for i, numbers in self._states:
                array, needed = state[i], self._state_bytes[i]
                _check_array(array, "state", i)
                if (
                    array.nbytes != needed
                    or not array.flags.c_contiguous
                    or not array.flags.writeable
                ):
                    raise ValueError(
                        f"state {i} has {array.nbytes} bytes in shape {array.shape}; "
                        f"the program needs {needed}, C-contiguous and writeable."
                    )
                for number in numbers:
                    self._table[number] = _pointer(array) + self.program.slots[number].offset
            self._state_ids = ids
        self._bound_state = state if type(state) is tuple else tuple(state)

    def _new_large(self) -> list[np.ndarray]:
        """An array for each large output: that of the last call where nobody holds it any more.

        Memory fresh from the system costs more than many a program: each page is cleared at its first
        touch."""
        for i, (_, shape, dtype, numbers) in enumerate(self._large):
            if self._kept[i] is None or _references(self._kept, i) != _FREE:
                array = self._kept[i] = aligned(shape, dtype)
                for number in numbers:
                    self._table[number] = _pointer(array) + self.program.slots[number].offset
        return list(self._kept)  # type: ignore[arg-type]

    def _collect(self, large: list[np.ndarray] | None) -> list[np.ndarray]:
        outputs = [copy() for copy in self._copies]
        if large is None:
            return outputs
        for (place, _, _, _), array in zip(self._large, large, strict=True):
            outputs[place] = array
        return outputs


def _references(kept: list, i: int) -> tuple[int, int]:
    """References to an array, and to the memory below it, which every view of it refers to."""
    return sys.getrefcount(kept[i]), sys.getrefcount(kept[i].base)


_FREE = _references([aligned((1,), np.dtype(np.uint8))], 0)  # of an array that only its list holds


def _check_array(array: np.ndarray, kind: str, i: int) -> None:
    # A NumPy scalar has nbytes and flags, too, but keeps its data elsewhere.
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{kind} {i} is a {type(array).__name__}; the program needs a NumPy array.")


def _launch_table(program: Program, addresses: dict[str, int]):
    """The launches as the walker reads them, and the numbers that they point to: arguments, loops."""
    total = sum(len(x.args) for x in program.launches if not isinstance(x, Repeat))
    loops_total = sum(
        team.LOOP_WORDS + 2 * len(x.moves) for x in program.launches if isinstance(x, Repeat)
    )
    args = (ctypes.c_int32 * max(1, total))()
    loops = (ctypes.c_int64 * max(1, loops_total))()
    table = (ctypes.c_int64 * max(1, team.LAUNCH_WORDS * len(program.launches)))()
    place = loop_place = 0
    for i, launch in enumerate(program.launches):
        last = i == len(program.launches) - 1  # a step ends when all are done
        row = i * team.LAUNCH_WORDS
        if isinstance(launch, Repeat):
            table[row + 1] = ctypes.addressof(loops) + 8 * loop_place
            words = [launch.counter, launch.n, launch.start, len(launch.moves)]
            for word in (*words, *(x for move in launch.moves for x in move)):
                loops[loop_place] = word
                loop_place += 1
            continue
        table[row] = addresses[program.kernels[launch.kernel].name]
        table[row + 1] = ctypes.addressof(args) + 4 * place
        table[row + 2] = launch.n_tasks
        table[row + 3] = int(launch.barrier or last)
        for number in launch.args:
            args[place] = number
            place += 1
    return table, args, loops


def _constant(data: bytes) -> np.ndarray:
    array = aligned((len(data),), np.uint8)
    array[:] = np.frombuffer(data, np.uint8)
    return array


def _round_up(n: int, step: int) -> int:
    return -(-n // step) * step


_process = object()  # another one in each forked child


def _in_child() -> None:
    global _process
    _process = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
