"""`pellucid runs`: the runs of a folder, side by side; and their removal. `pellucid pack`: one file of a run."""

import difflib
import json
import shutil
from datetime import datetime
from pathlib import Path

import click

from ..base.errors import FormatError, OptionError, RunError
from ..formats.atomic import write_atomic
from ..formats.model_json import read_json
from ..train.folder import METRICS, RUN
from ..train.pack import pack
from .figures import aligned, amount
from .history import histories, lines, page

KNOWN = {  # what is shown of a run's test rows: the first that it has
    "psnr": "PSNR", "accuracy": "accuracy", "rmse": "RMSE", "perplexity": "perplexity", "loss": "loss",
}  # fmt: skip


def find(folder: Path) -> list[dict]:
    """What there is to say of each run folder below `folder`, the oldest first."""
    found = []
    for path in sorted(p.parent for p in folder.glob(f"*/{RUN}")):
        try:
            recipe = read_json(path / RUN).get("recipe", {})
            result = read_json(path / METRICS) if (path / METRICS).exists() else {}
        except FormatError as error:
            found.append((path, {"run": str(path), "state": f"damaged: {error}"}))
            continue
        found.append((path, describe(path, recipe, result)))
    return [run for _, run in sorted(found, key=lambda f: ((f[0] / RUN).stat().st_mtime_ns, f[0]))]


def describe(path: Path, recipe: dict, result: dict) -> dict:
    """One run: what was learned by what, and how well."""
    test = (result.get("metrics") or {}).get("test") or {}
    parts = (test, *(result.get(name) or {} for name in ("forecast", "scores", "enhanced")))
    scored = {name: value for part in parts for name, value in part.items()}
    score = next((name for name in KNOWN if isinstance(scored.get(name), int | float)), None)
    net = recipe.get("net", "")
    began = (path / RUN).stat().st_mtime
    return {
        "run": str(path),
        "state": "finished" if result else "not finished",
        "began": datetime.fromtimestamp(began).isoformat(" ", "minutes"),
        "data": recipe.get("data", ""),
        "task": recipe.get("task", ""),
        "net": net if isinstance(net, str) else "-".join(map(str, net)) or "none",
        "score": None if score is None else {"name": KNOWN[score], "value": scored[score]},
        "epochs": result.get("epochs"),
        "seconds": result.get("seconds"),
        "data_sha256": result.get("data_sha256"),
        "recipe": recipe,
    }


def runs(
    names: tuple[str, ...],
    folder: Path,
    compare: bool,
    delete: bool,
    yes: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """Run the command; results go to standard output."""
    found = find(folder)
    for history in histories(found):
        for run, best in zip(history.runs, history.best, strict=True):
            run["best_so_far"] = best
            run["is_best"] = run is history.best_run and len(history.runs) > 1
    by_name = {Path(run["run"]).name: run for run in found}
    for name in names:
        if Path(name).name not in by_name:
            near = difflib.get_close_matches(Path(name).name, by_name, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RunError(f"{name}: there is no such run in {folder}.{hint}")
    chosen = [by_name[Path(name).name] for name in names] or found
    if delete:
        if not names:
            raise OptionError("--delete needs the names of runs: pellucid runs NAME... --delete")
        remove(chosen, yes)
        return
    if html is not None:
        write_atomic(html, [page(histories(chosen), folder, html).encode()])
        click.echo(f"The history of {len(chosen)} runs is in {html}", err=True)
    if not chosen:
        click.echo("[]" if as_json else f"No runs in {folder}. Make one: pellucid train digits")
    elif compare:
        told = difference(chosen)
        click.echo(json.dumps(told, indent=2) if as_json else words_of_difference(chosen, told))
    else:
        click.echo(json.dumps(chosen, indent=2) if as_json else table(chosen))


def table(found: list[dict]) -> str:
    """One line for each run, the best of each data marked; then how the best score moved."""
    rows = [("run", "began", "data", "task", "net", "score", "epochs", "seconds")]
    for run in found:
        if "recipe" not in run:
            rows.append((run["run"], "", run["state"], "", "", "", "", ""))
            continue
        score = run["score"]
        shown = (
            "not finished" if run["state"] != "finished" else "" if score is None else words(score)
        )
        shown += " *" if run.get("is_best") else ""
        seconds = "" if run["seconds"] is None else f"{run['seconds']:.1f}"
        epochs = "" if run["epochs"] is None else str(run["epochs"])
        rows.append(
            (run["run"], run["began"], run["data"], run["task"], run["net"], shown, epochs, seconds)
        )
    moved = lines(histories(found))
    if any(run.get("is_best") for run in found):
        moved.append("* the best of its data")
    return "\n".join([*aligned(rows), *([""] if moved else []), *moved])


def words(score: dict) -> str:
    """'accuracy 96.1 %' or 'RMSE 2.19'."""
    return f"{score['name']} {amount(score['name'], score['value'])}"


def difference(chosen: list[dict]) -> dict:
    """Settings that are not the same in all, each with its value by run; and the scores."""
    settings = {key for run in chosen for key in run.get("recipe", {})}
    differing = {
        key: {run["run"]: run.get("recipe", {}).get(key) for run in chosen}
        for key in sorted(settings)
        if len({json.dumps(run.get("recipe", {}).get(key)) for run in chosen}) > 1
    }
    content = {run["run"]: run.get("data_sha256") for run in chosen}
    if len({h for h in content.values() if h}) > 1:
        differing["content of data"] = {run: h and h[:12] for run, h in content.items()}
    return {"settings": differing, "scores": {run["run"]: run.get("score") for run in chosen}}


def words_of_difference(chosen: list[dict], told: dict) -> str:
    """The differing settings as a table with a column for each run."""
    rows = [["", *(run["run"] for run in chosen)]]
    for key, values in told["settings"].items():
        rows.append([key, *("" if v is None else str(v) for v in values.values())])
    if len(rows) == 1:
        rows.append(["settings", *("the same" for _ in chosen)])
    rows.append(["score", *("" if s is None else words(s) for s in told["scores"].values())])
    return "\n".join(aligned(rows))


def remove(chosen: list[dict], yes: bool) -> None:
    """Deletes run folders, after a question. Only folders that hold a run.json get here."""
    names = ", ".join(run["run"] for run in chosen)
    if not yes and not click.confirm(f"Delete {names} for good?", err=True):
        return
    for run in chosen:
        path = Path(run["run"])
        if path.is_symlink():
            raise RunError(f"{path}: a link to a run; delete the folder that it points to.")
        shutil.rmtree(path)
        click.echo(f"deleted {path}", err=True)


def pack_run(run: Path, out: Path | None) -> None:
    """Run `pellucid pack`: the file's path goes to standard output."""
    click.echo(str(pack(run, out)))
