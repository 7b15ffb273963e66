"""A run folder: a recipe becomes a trained network on disk.

run.json                the recipe, written before the first step: what --resume continues
checkpoint.safetensors  the state of the run, replaced whole every few seconds
model.safetensors       the best weights          model.json  what network they belong to
metrics.json            the result and one row per epoch          report.html  the same for people
tensorboard/            the losses of every epoch, for TensorBoard
samples/epoch-0001.png  of a generator: the same noise after every epoch; of mended pictures the same patches
lock                    held while a process works here"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ..base.errors import RunError
from ..data.pictures import Pictures
from ..formats import model_json
from ..formats.atomic import remove_dead_temporaries
from .balance import decide_alarm, restore_shares
from .diagnose import overfitting_since
from .events import EpochDone, Event, Finished, Stopped
from .folder import (
    CHECKPOINT,
    EVENTS,
    METRICS,
    RUN,
    RUN_FORMAT,
    RUN_VERSION,
    WEIGHTS,
    stored_recipe,
)
from .lock import RunLock
from .loop import Options, fit
from .measure import measure
from .recipe import Recipe
from .report import write_report
from .samples import Samples
from .saved import save_model, weights_sha256
from .sources import data_sha256
from .tables import Table, told
from .tensorboard import EventFile


def train_run(
    made: Recipe,
    folder: str | Path,
    resume: bool = False,
    checkpoint_seconds: float = 2.0,
    seconds: float | None = None,
) -> Iterator[Event]:
    """Trains by a recipe in a folder; yields the loop's events and at last Finished.

    resume   continues the run that the folder holds: the end has the same bits as without the break.
    seconds  of this call, after which it ends with what it has; a later call may go on from there
    Raises RunError for a folder that is in use, not writable, or holds a finished run already."""
    folder = Path(folder)
    began = time.perf_counter()
    with RunLock(folder):
        remove_dead_temporaries(folder)
        if resume:
            made = stored_recipe(folder, made)
        elif any((folder / name).exists() for name in (RUN, CHECKPOINT, WEIGHTS)):
            raise RunError(
                f"{folder}: holds a run already. To continue it use --resume; to start anew choose another --out."
            )
        data = made.dataset()
        known = data_sha256(made, data)
        parts = made.split(data)
        network = made.network(data)
        if not resume:
            # Only now: data that are refused leave nothing behind that would be in the way.
            stored = {"recipe": made.settings(), "given": list(made.given)}
            model_json.write_json(
                folder / RUN, {"format": RUN_FORMAT, "version": RUN_VERSION, **stored}
            )
        options = Options(
            epochs=made.epochs,
            batch_size=made.batch,
            patience=made.patience or None,
            seed=made.seed,
            loss=made.loss(),
            checkpoint=folder / CHECKPOINT,
            # A run that was killed before its first checkpoint begins again: the same bits.
            resume=resume and (folder / CHECKPOINT).exists(),
            checkpoint_seconds=checkpoint_seconds,
            steps=made.steps,
            seconds=seconds,
        )
        stopped, samples, plots = (
            None,
            Samples(made, network, folder, data, parts),
            EventFile(folder / EVENTS),
        )
        optimizer = made.make_optimizer(network, made.n_steps(parts))
        # closing: whatever ends this, the loop saves what was learned while the folder is still ours.
        with closing(fit(network, data, parts, optimizer, options)) as events:
            for event in events:
                if isinstance(event, Stopped):
                    stopped = event
                elif isinstance(event, EpochDone):
                    try:
                        samples.draw(event.epoch)
                    except KeyboardInterrupt:
                        # Once more: the checkpoint that is written now will say that this epoch is done.
                        samples.draw(event.epoch)
                        raise
                    finally:
                        plots.add(event)
                yield event
        assert stopped is not None
        kept, shape = network, data.shape
        if made.task == "generate":
            # The critic has done its work; the last checkpoint still has it.
            kept, shape = network.generator, (network.latent,)
        if isinstance(data, Pictures) and data.is_flat:
            shape = (data.n_features,)
        if isinstance(data, Table) and data.class_weights is not None:
            restore_shares(kept, data.class_weights)
        if made.row.finish is not None:
            made.row.finish(network, data, parts)
        # First the network: to measure it beside other methods can take longer than to train it.
        alarm = decide_alarm(kept, data, parts) if made.task == "classify" else None
        save_model(folder, kept, data, made.settings(), shape=shape, alarm=alarm)
        measured = measure(made, network, data, parts, alarm)
        result = {
            "run": str(folder),
            "seconds": round(time.perf_counter() - began, 3),
            "epochs": stopped.epochs,
            "best_epoch": stopped.best_epoch,
            "stopped": stopped.reason,
            "overfitting_since": overfitting_since(
                [e.train.loss for e in stopped.history if e.validation],
                [e.validation.loss for e in stopped.history if e.validation],
            ),
            "weights_sha256": weights_sha256(kept.state_dict()),
            "data_sha256": known,
            "n_parameters": kept.n_parameters,
            "settings": made.settings(),
            **measured,
            "decisions": [asdict(d) for d in made.decisions(data, parts)],
            **(told(data) if isinstance(data, Table) else {}),
        }
        history = [
            {
                "epoch": e.epoch,
                "train": e.train.as_dict(),
                "validation": e.validation.as_dict() if e.validation else None,
                "is_best": e.is_best,
            }
            for e in stopped.history
        ]
        document = {**result, "history": history}
        model_json.write_json(folder / METRICS, document)
        write_report(folder, document)
        yield Finished(str(folder), result)
