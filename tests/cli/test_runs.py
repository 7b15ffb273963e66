"""`pellucid runs` and `pellucid pack`: lists, comparisons, removals; a packed run answers like its folder."""

import json
import os
import re
import shutil
import zipfile

import pytest
from commands import document, told_by

from pellucid.cli.main import run as command
from pellucid.train.pack import LIST, pack, unpacked


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished runs and one that only has its recipe."""
    folder = tmp_path_factory.mktemp("runs")
    for name, net in (("a", "8"), ("b", "4")):
        arguments = f"train digits --net {net} --epochs 1 --quiet --out".split()
        assert command([*arguments, str(folder / name)]) == 0
    (folder / "c").mkdir()
    (folder / "c" / "run.json").write_text((folder / "a" / "run.json").read_text())
    return folder


def test_runs_are_listed_with_their_scores(folder, capsys):
    lines = told_by(capsys, "runs", "--in", folder).out.splitlines()
    assert lines[0].split() == "run began data task net score epochs seconds".split()
    metrics = json.loads((folder / "a" / "metrics.json").read_text())
    accuracy = f"accuracy {100 * metrics['metrics']['test']['accuracy']:.1f} %"
    (row,) = (line for line in lines if line.startswith(f"{folder / 'a'} "))
    assert f"digits  classify  8    {accuracy}" in row
    (row,) = (line for line in lines if line.startswith(f"{folder / 'c'} "))
    assert "not finished" in row


def made(folder, name, score, began, **recipe):
    """A finished run as its files say it, without the network."""
    path = folder / name
    path.mkdir(parents=True)
    recipe = {"data": "t.csv", "task": "classify", "target": "k", "net": [8], "seed": 0, **recipe}
    (path / "run.json").write_text(json.dumps({"recipe": recipe}))
    key = "rmse" if recipe["task"] == "regress" else "accuracy"
    (path / "metrics.json").write_text(
        json.dumps({"scores": {key: score}, "epochs": 3, "seconds": 1.0})
    )
    os.utime(path / "run.json", (began, began))


def test_the_best_run_of_each_data_is_marked_and_its_history_told(capsys, tmp_path):
    day = 86_400
    for i, score in enumerate((0.75, 0.8, 0.78, 0.8)):
        made(tmp_path, f"t-{i}", score, 20_000 * day + i)
    for i, score in enumerate((3.0, 2.5, 2.75)):
        made(tmp_path, f"p-{i}", score, 20_000 * day - i, task="regress", data="p.csv", seed=i)
    made(tmp_path, "alone", 0.9, 20_000 * day, data="x.csv")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    found = {r["run"].rsplit("/")[-1]: r for r in document(capsys, "runs", "--in", tmp_path)}
    assert [n for n, r in found.items() if r.get("is_best")] == ["p-1", "t-1"]
    assert [found[f"t-{i}"]["best_so_far"] for i in range(4)] == [0.75, 0.8, 0.8, 0.8]
    # the p runs began the other way round: 2.75, 2.5, 3.0; less is better
    assert [found[f"p-{i}"]["best_so_far"] for i in (2, 1, 0)] == [2.75, 2.5, 2.5]
    text = told_by(capsys, "runs", "--in", tmp_path).out
    assert "t.csv, k: best accuracy so far ▁███ 75.0 80.0 80.0 80.0 %\n" in text
    assert "p.csv, k: best RMSE so far █▁▁ 2.75 2.5 2.5 (tested on different rows" in text
    assert "x.csv, k" not in text and "accuracy 90.0 % " in text
    starred = [line.split()[0].rsplit("/")[-1] for line in text.splitlines() if " * " in line]
    assert starred == ["p-1", "t-1"]
    assert all(len(line) < 200 for line in text.splitlines() if "broken" not in line)


def test_the_history_is_a_page_that_leads_to_the_reports(folder, capsys, tmp_path):
    out = tmp_path / "history.html"
    told_by(capsys, "runs", "--in", folder, "--html", out)
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "<svg" in text
    for name in ("a", "b"):
        (place,) = re.findall(rf'href="([^"]*/{name}/report.html)"', text)
        assert (tmp_path / place).resolve() == folder / name / "report.html"
    assert text.count("<b>best</b>") == 1
    assert "<script" not in text


def test_comparing_shows_what_differs(folder, capsys):
    found = json.loads(told_by(capsys, "runs", "a", "b", "--compare", "--json", "--in", folder).out)
    assert found["settings"] == {"net": {str(folder / "a"): [8], str(folder / "b"): [4]}}
    text = told_by(capsys, "runs", "a", "b", "--compare", "--in", folder).out
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["net", "score"]
    text = told_by(capsys, "runs", "a", "c", "--compare", "--in", folder).out
    assert text.splitlines()[1].split() == ["settings", "the", "same", "the", "same"]


def test_only_named_runs_are_deleted(folder, capsys, tmp_path):
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text((folder / "a" / "run.json").read_text())
    (tmp_path / "notes").mkdir()  # no run
    told_by(capsys, "runs", "x", "--delete", "--yes", "--in", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes", "y"]
    assert command(["runs", "notes", "--delete", "--yes", "--in", str(tmp_path)]) == 1
    assert "there is no such run in" in capsys.readouterr().err
    assert command(["runs", "--delete", "--yes", "--in", str(tmp_path)]) == 2
    assert (tmp_path / "y").exists()


def test_a_packed_run_answers_like_its_folder(folder, capsys, tmp_path):
    path = tmp_path / "digits.pellucid"
    assert told_by(capsys, "pack", folder / "a", "--out", path).out.strip() == str(path)
    rows = "\n".join(",".join(str((7 * i + j) % 17) for j in range(64)) for i in range(5))
    (tmp_path / "rows.csv").write_text(rows + "\n")
    answers = [
        document(capsys, "predict", place, tmp_path / "rows.csv") for place in (folder / "a", path)
    ]
    assert answers[0]["predictions"] == answers[1]["predictions"]
    assert answers[0]["weights_sha256"] == answers[1]["weights_sha256"]
    shown = [document(capsys, "info", p) for p in (folder / "a", path)]
    assert shown[0]["metrics"] == shown[1]["metrics"]
    again = pack(folder / "a", tmp_path / "again.pellucid")
    assert again.read_bytes() == path.read_bytes()
    assert command(["pack", str(folder / "a"), "--out", str(path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert command(["pack", str(folder / "c")]) == 1
    assert "The run is not finished" in capsys.readouterr().err


def rewritten(path, change) -> None:
    """The packed run with its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def other_version(members):
    head = json.loads(members[LIST])
    members[LIST] = json.dumps({**head, "version": 2}).encode()


CHANGES = {
    "another file": (lambda m: m.update({"../evil.py": b""}), "evil.py"),
    "a changed file": (lambda m: m.update({"model.json": m["model.json"] + b" "}), "SHA-256"),
    "a missing file": (lambda m: m.pop("model.safetensors"), "does not list"),
    "no list": (lambda m: m.pop(LIST), "holds no pellucid.json"),
    "a newer version": (other_version, "Use a newer pellucid"),
    "a broken list": (lambda m: m.update({LIST: b"{"}), "not valid JSON"),
    "a key twice": (
        lambda m: m.update({LIST: m[LIST].replace(b"{", b'{"version": 1, ', 1)}),
        "twice",
    ),
    "a list of no object": (lambda m: m.update({LIST: b"[]"}), "one JSON object"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_pack_is_refused(name, folder, tmp_path, capsys):
    change, message = CHANGES[name]
    path = pack(folder / "a", tmp_path / "a.pellucid")
    rewritten(path, change)
    assert command(["info", str(path)]) == 1
    error = capsys.readouterr().err
    assert message in error and str(path) in error and "Traceback" not in error
    assert not (tmp_path / "evil.py").exists() and not (tmp_path.parent / "evil.py").exists()


def test_a_pack_cut_anywhere_is_refused(folder, tmp_path):
    whole = pack(folder / "a", tmp_path / "a.pellucid").read_bytes()
    path = tmp_path / "cut.pellucid"
    from pellucid.base.errors import FormatError

    for n in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:n])
        with pytest.raises(FormatError), unpacked(path):
            pass


def test_compressed_members_are_refused(folder, tmp_path, capsys):
    path = pack(folder / "a", tmp_path / "a.pellucid")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert command(["info", str(path)]) == 1
    assert "compressed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.json", b"{"),
        ("model.json", b'{"format": "another"}'),
        ("model.safetensors", b"\0" * 64),
        ("metrics.json", b"[]"),
    ],
)
def test_what_is_wrong_inside_a_pack_names_the_pack_and_its_member(
    name, content, folder, tmp_path, capsys
):
    shutil.copytree(folder / "a", tmp_path / "a")
    (tmp_path / "a" / name).write_bytes(content)
    path = pack(tmp_path / "a", tmp_path / "a.pellucid")
    capsys.readouterr()
    assert command(["info", str(path)]) == 1
    assert capsys.readouterr().err.startswith(f"pellucid: {path}, {name}: ")
    if name != "metrics.json":
        assert command(["sample", str(path)]) == 1
        assert capsys.readouterr().err.startswith(f"pellucid: {path}, {name}: ")


WITH_A_RUN = {
    "predict": ["x.png"], "evaluate": ["x.csv"], "explain": ["x.csv"], "similar": ["a word"], "sample": [], "chat": [],
    "generate": [], "enhance": ["x.png"], "serve": [], "pack": [],
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_A_RUN)
def test_every_command_says_of_a_missing_run_that_there_is_none_and_names_the_nearest(
    name, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def told(run):
        capsys.readouterr()
        assert command([name, run, *WITH_A_RUN[name]]) == 1
        return capsys.readouterr().err

    none = "there is no such run folder or packed run."
    assert f"titanic-1: {none} Make one with: pellucid train DATA" in told("titanic-1")
    shutil.copytree(folder / "a", tmp_path / "runs" / "titanic-1")
    assert f"titanic-1: {none} Did you mean 'runs/titanic-1'?" in told("titanic-1")
    assert f"runs/titanc-1: {none} Did you mean 'runs/titanic-1'?" in told("runs/titanc-1")
    assert f"elsewhere/q: {none} There are: runs/titanic-1" in told("elsewhere/q")
    assert "runs: a folder of runs, no run. Name one of them: runs/titanic-1" in told("runs")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert "x.csv: a file, and no packed run. Name a run folder" in told("x.csv")


def test_info_names_the_nearest_file(tmp_path, capsys):
    (tmp_path / "titanic.csv").write_text("a,b\n1,2\n")
    assert command(["info", str(tmp_path / "titanc.csv")]) == 1
    assert f"Did you mean '{tmp_path / 'titanic.csv'}'?" in capsys.readouterr().err


def test_a_pack_that_finds_no_room_is_named(folder, tmp_path, capsys):
    import resource

    out = tmp_path / "a.pellucid"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        code = command(["pack", str(folder / "a"), "--out", str(out)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    err = capsys.readouterr().err
    assert code == 1 and f"{out}: cannot be written" in err and "Free some space" in err
    assert not out.exists()


def test_info_says_nothing_of_a_scale_that_columns_have(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("x,kind\n" + "".join(f"{i},{'ab'[i > 20]}\n" for i in range(40)))
    small = "--target kind --net 4 --epochs 1 --no-baselines --quiet --out".split()
    assert command(["train", str(path), *small, str(tmp_path / "run")]) == 0
    lines = told_by(capsys, "info", tmp_path / "run").out.splitlines()
    assert lines[1] == "input   1 number" and "results after 1 epoch, weights of epoch 1" in lines
