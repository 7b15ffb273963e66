"""The training loop, as a stream of events: fit.

A step takes row numbers, gathers the rows from the data set (stored tensors), computes the loss and its
gradients, updates the parameters and adds to running sums: one compiled program. What it makes smaller is a
row of objectives.py; how a row becomes a batch, and what it counts, is the data's. An epoch is a few native
calls that walk this program over the epoch's batches; its last, short batch is a program of its own. How an
epoch is cut into calls depends on the clock, what it computes does not.

Every number follows from the seed: the row order from (seed, epoch), masks and noise from the global
generator."""

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import numpy as np

from ..base.errors import NonFiniteError, OptionError, RunError
from ..data.dataset import Learnable, Split, count_answers
from ..nn.module import Module
from ..optim.optimizer import Optimizer
from ..tensor import random
from ..tensor.trace import compile
from . import checkpoint as checkpoints
from .diagnose import describe_non_finite
from .evaluation import Evaluator, Lent, Slices, Sums, evaluation_rows
from .events import (
    Checkpointed,
    EpochDone,
    Event,
    Progress,
    Started,
    Stopped,
    history_array,
    history_events,
)
from .objectives import OBJECTIVES, stored, stored_weights, weights_in
from .setup import Options, check_network, check_options, named_optimizers, prefix, weighed


def fit(
    network: Module,
    data: Learnable,
    split: Split,
    optimizer: Optimizer | Mapping[str, Optimizer],
    options: Options | None = None,
) -> Generator[Event, None, None]:
    """Trains the network in place; yields events; at the end it holds the best weights.

    data       may have weights of its rows: the loss is then sum(w loss) / sum(w). A row of weight 0 is left out
    optimizer  one, or one for each network by the names of the objective: a GAN has a critic and a generator

    Raises DataError or OptionError before the first step, NonFiniteError (step, layer, rows) when the
    loss, a gradient or a weight stops being a number: the weights are then those before that step."""
    return Fit(network, data, split, optimizer, options or Options()).run()


class Fit:
    """One run of training: its state, and `run`, the stream of events."""

    def __init__(
        self,
        network: Module,
        data: Learnable,
        split: Split,
        optimizer: Optimizer | Mapping[str, Optimizer],
        options: Options,
    ):
        check_options(options, data, split)
        objective = OBJECTIVES[options.loss]
        self.optimizers = named_optimizers(optimizer, objective, options.loss)
        arrays = stored(data)
        check_network(network, data, objective, arrays)
        split, self.weights = weighed(data, split)
        self.network, self.data, self.split = network, data, split
        self.objective, self.options = objective, options
        self.parameters = [p for o in self.optimizers.values() for p in o.parameters]
        self.sums = Sums(objective)
        self.epoch = self.step_in_epoch = self.best_epoch = 0
        self.best_loss = float("inf")
        self.best: dict[str, np.ndarray] = {}
        self.history: list[EpochDone] = []
        self.is_torn = (
            False  # the state is being changed; an interrupt now would leave parts of two steps
        )
        self.start_of_epoch: checkpoints.Checkpoint | None = None
        self.rate = 0.0  # steps a second, in this epoch
        self.slices = Slices(options.slice_seconds)
        self.last_checkpoint = time.monotonic()
        self.batch = min(options.batch_size, len(split.train))
        self.n_steps = -(-len(split.train) // self.batch)
        batch = min(evaluation_rows(data), len(split.validation) or len(split.train))
        self.epochs, self.end = options.epochs, float("inf")
        if options.steps is not None:
            self.epochs = min(options.epochs, -(-options.steps // self.n_steps))
        self.evaluator = Evaluator(network, data, options.loss, batch, arrays, self.weights)
        weights = stored_weights(self.weights, objective, options.loss)

        # Data may vary what is learned from (pictures: moved, mirrored), never what is judged.
        learning_batch = getattr(data, "learning_batch", data.batch)

        @compile
        def step(rows):
            batch = (*learning_batch(arrays, rows), *weights_in(weights, rows))
            self.sums.add(objective.update(network, self.optimizers, *batch))

        self.step = step
        self.lent = Lent(data, self.batch)

    # The stream

    def run(self) -> Generator[Event, None, None]:
        o = self.options
        if o.resume:
            self.restore()
        if o.seconds is not None:
            self.end = time.monotonic() + o.seconds
        was_training = self.network.training
        try:
            yield Started(
                n_parameters=sum(p.size for p in self.parameters),
                n_train=len(self.split.train),
                n_validation=len(self.split.validation),
                n_steps=self.n_steps,
                epochs=self.epochs,
                epoch=self.epoch,
                step=self.step_in_epoch,
            )
            while self.why_to_end() is None:
                self.network.train()
                yield from self.run_epoch()
        except (KeyboardInterrupt, GeneratorExit):
            self.keep_what_was_learned()
            raise
        finally:
            self.network.train(was_training)
        reason = self.why_to_end()
        self.end = float("inf")
        is_cut = self.why_to_end() is None  # nothing but the time ends it here
        if o.checkpoint is not None:
            yield self.save()
        if self.step_in_epoch:
            # A part of an epoch is judged as a whole one is. The checkpoint is from before: a run that goes on
            # from it ends with the bits of one that was never cut.
            if self.start_of_epoch is None:
                self.start_of_epoch = self.snapshot()
            yield self.judged(self.rows_of_epoch(self.epoch), self.rate)
        if self.best:
            self.network.load_state_dict(self.best)
            reason = f"{reason}; the weights of epoch {self.best_epoch}, the best, are restored"
        yield Stopped(str(reason), self.epoch, self.best_epoch, tuple(self.history), is_cut)

    def why_to_end(self) -> str | None:
        """The reason why the run ends here, or None where it goes on."""
        o = self.options
        if o.patience and self.best and self.epoch - self.best_epoch >= o.patience:
            return f"early stopping: the validation loss has not improved for {o.patience} epochs"
        if self.epoch >= o.epochs:
            return f"all {o.epochs} epochs are done" if o.epochs > 1 else "the one epoch is done"
        if o.steps is not None and self.n_done >= o.steps:
            return f"all {o.steps} steps are done"
        if time.monotonic() >= self.end:
            return f"the time of {o.seconds:g} s is over"
        return None

    @property
    def n_done(self) -> int:
        """Steps since the run began."""
        return self.epoch * self.n_steps + self.step_in_epoch

    def run_epoch(self) -> Iterator[Event]:
        o, n_train, batch = self.options, len(self.split.train), self.batch
        order = self.rows_of_epoch(self.epoch)
        n_full = n_train // batch
        full = np.ascontiguousarray(order[: n_full * batch]).reshape(n_full, batch)
        self.start_of_epoch = self.snapshot()
        begun, n_before = time.perf_counter(), self.step_in_epoch
        while self.step_in_epoch < self.n_steps:
            done = self.step_in_epoch
            n = min(self.slices.n, self.lent.most, n_full - done) if done < n_full else 1
            if o.steps is not None:
                n = min(n, o.steps - self.n_done)
            start = time.perf_counter()
            self.is_torn = True
            if done < n_full:
                self.step.many(n, full, start=done)
            else:
                self.step(np.ascontiguousarray(order[n_full * batch :]))
            self.step_in_epoch = done + n
            self.sums.n_answers += count_answers(self.data, order[done * batch :][: n * batch])
            self.is_torn = False
            self.lent.release()
            if done < n_full:
                self.slices.took(n, time.perf_counter() - start)
            if not np.isfinite(self.sums.loss.item()):
                self.raise_non_finite(order)
            if self.step_in_epoch < self.n_steps:
                if o.checkpoint is not None and self.is_time_to_save():
                    yield self.save()
                now = self.sums.metrics()
                rate = (self.step_in_epoch - n_before) / max(time.perf_counter() - begun, 1e-9)
                self.rate = rate
                yield Progress(
                    self.epoch + 1, self.epochs, self.step_in_epoch, self.n_steps, now.loss, now.accuracy,
                    rate, self.seconds_left(rate),
                )  # fmt: skip
                if self.why_to_end() is not None:
                    return
        # 1 at least: a run may go on from between the last step and its validation.
        rate = max(1, self.n_steps - n_before) / max(time.perf_counter() - begun, 1e-9)
        # First the event: what is made of it (a picture of samples) is there before the checkpoint says so.
        yield self.judged(order, rate)
        if o.checkpoint is not None and self.is_time_to_save():
            yield self.save()

    def judged(self, order: np.ndarray, rate: float) -> EpochDone:
        """The end of an epoch, or of a part of one: its metrics, and whether its weights are the best."""
        if not self.is_finite():
            self.raise_non_finite(order)
        train = self.sums.metrics()
        validation = None
        if len(self.split.validation):
            validation = self.evaluator(self.split.validation)
            if not np.isfinite(validation.loss):
                raise NonFiniteError(
                    f"epoch {self.epoch + 1}: the loss on the validation rows is {validation.loss}, though no weight "
                    f"is infinite. The scores have become too large: use a smaller learning rate than "
                    f"{self.lr:g}."
                )
        score = (validation or train).loss
        is_best = self.objective.has_best and score < self.best_loss
        self.is_torn = True
        self.epoch += 1
        self.step_in_epoch = 0
        if is_best:
            self.best_loss, self.best_epoch = score, self.epoch
            self.best = self.network.state_dict()
        self.sums.set()
        done = EpochDone(
            self.epoch,
            self.epochs,
            train,
            validation,
            is_best,
            rate,
            self.seconds_left(rate),
        )
        self.history.append(done)
        self.is_torn = False
        return done

    def rows_of_epoch(self, epoch: int) -> np.ndarray:
        """The training rows in the order of this epoch."""
        return self.data.order(self.split.train, self.options.seed, epoch)

    def seconds_left(self, steps_per_second: float) -> float:
        last = self.options.epochs * self.n_steps
        if self.options.steps is not None:
            last = min(last, self.options.steps)
        by_steps = max(0, last - self.n_done) / max(steps_per_second, 1e-9)
        return min(by_steps, max(0.0, self.end - time.monotonic()))

    # State

    def is_finite(self) -> bool:
        return all(np.isfinite(p.numpy()).all() for p in self.parameters)

    def state(self) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(
            network=self.network.state_dict(),
            optimizer=self.optimizer_state(),
            best=self.best,
            random=random.get_state(),
            epoch=self.epoch,
            step=self.step_in_epoch,
            best_epoch=self.best_epoch,
            loss_sum=float(self.sums.loss.item()),
            n_correct=int(self.sums.n_correct.item()),
            n_answers=self.sums.n_answers,
            best_loss=self.best_loss,
            others=np.array([float(t.item()) for t in self.sums.others]),
            history=history_array(self.history),
            fingerprint=self.fingerprint(),
            settings=self.settings(),
        )

    snapshot = state

    def load(self, state: checkpoints.Checkpoint) -> None:
        self.network.load_state_dict(state.network)
        for name, optimizer in self.optimizers.items():
            own = {k.removeprefix(prefix(name)): v for k, v in state.optimizer.items()
                   if k.startswith(prefix(name))}  # fmt: skip
            optimizer.load_state_dict(own)
        random.set_state(state.random)
        self.epoch, self.step_in_epoch = state.epoch, state.step
        self.best, self.best_epoch, self.best_loss = state.best, state.best_epoch, state.best_loss
        self.sums.set(state.loss_sum, state.n_correct, state.n_answers, state.others)
        self.history = history_events(
            state.history,
            self.epochs,
            count_answers(self.data, self.split.validation),
            self.objective.others,
        )

    def optimizer_state(self) -> dict[str, np.ndarray]:
        """The state of every optimizer, names after 'critic.' and the like where there are several."""
        return {
            prefix(name) + k: v
            for name, optimizer in self.optimizers.items()
            for k, v in optimizer.state_dict().items()
        }

    @property
    def lr(self) -> float:
        """The learning rate, the highest of several."""
        return max(o.lr for o in self.optimizers.values())

    def fingerprint(self) -> str:
        """Of the data and its division: both decide what a step computes."""
        if not hasattr(self, "_fingerprint"):
            import hashlib

            digest = hashlib.sha256(self.data.fingerprint().encode())
            for part in (self.split.train, self.split.validation, self.split.test):
                digest.update(np.ascontiguousarray(part, np.int32))
                digest.update(b"|")
            if self.weights is not None:
                digest.update(self.weights)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def settings(self) -> dict:
        """What must be equal for a run to be continued. More epochs or patience may be asked for."""
        o = self.options
        return {
            "batch_size": o.batch_size,
            "seed": o.seed,
            "loss": o.loss,
            "optimizer": ", ".join(
                prefix(name) + type(o).__name__ for name, o in self.optimizers.items()
            ),
            # None: a number, which the checkpoint has.
            "schedule": ", ".join(repr(o.schedule) for o in self.optimizers.values()),
            "network": repr(self.network),
        }

    def save(self) -> Checkpointed:
        path = self.options.checkpoint
        assert path is not None
        checkpoints.save(path, self.state())
        self.last_checkpoint = time.monotonic()
        return Checkpointed(str(path), self.epoch, self.step_in_epoch)

    def is_time_to_save(self) -> bool:
        return time.monotonic() - self.last_checkpoint >= self.options.checkpoint_seconds

    def restore(self) -> None:
        path = self.options.checkpoint
        if path is None:
            raise OptionError("resume needs the checkpoint's path.")
        if not Path(path).exists():
            raise RunError(
                f"{path}: there is no checkpoint to continue from. Start the run without resume."
            )
        state = checkpoints.load(path)
        checkpoints.check_same_run(path, state, self.fingerprint(), self.settings())
        if state.step > self.n_steps:
            raise RunError(
                f"{path}: step {state.step} is past the {self.n_steps} steps of an epoch."
            )
        self.load(state)

    def keep_what_was_learned(self) -> None:
        """After Ctrl-C: a checkpoint of the last whole slice, or of the epoch's start when one was cut."""
        if self.options.checkpoint is None:
            return
        if self.is_torn and self.start_of_epoch is not None:
            self.load(self.start_of_epoch)
            self.is_torn = False
        self.save()

    # Not a number

    def raise_non_finite(self, order: np.ndarray) -> None:
        """Replays the epoch from its start, a step at a time, to the step that fails; says where and why.

        Steps are repeatable to the bit, so the replay meets the same failure."""
        assert self.start_of_epoch is not None
        self.load(self.start_of_epoch)
        while self.step_in_epoch < self.n_steps:
            before = self.snapshot()
            rows = order[self.step_in_epoch * self.batch :][: self.batch]
            self.step(np.ascontiguousarray(rows))
            loss = self.sums.loss.item()
            if not np.isfinite(loss) or not self.is_finite():
                break
            self.step_in_epoch += 1
            self.sums.n_answers += count_answers(self.data, rows)
        else:
            raise NonFiniteError(
                f"epoch {self.epoch + 1}: the loss was not finite, but a replay of the epoch was."
            )
        after = self.network.state_dict()
        self.load(before)
        number = self.epoch * self.n_steps + self.step_in_epoch + 1
        where = describe_non_finite(
            self.network, self.data, rows, self.objective, np.isfinite(loss), after
        )
        raise NonFiniteError(
            f"step {number} (epoch {self.epoch + 1}, step {self.step_in_epoch + 1} of {self.n_steps}): {where} The "
            f"network keeps the weights from before this step. Usually the learning rate, {self.lr:g}, "
            f"is too high: try {self.lr / 10:g}."
        )
