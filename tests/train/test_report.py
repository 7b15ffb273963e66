"""The report is one safe file, says what metrics.json says, and draws points where they belong."""

import base64
import hashlib
import html
import io
import json
import math
import re
import shlex
from dataclasses import fields
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.base.errors import RunError
from pellucid.train import charts, report, report_parts, scores
from pellucid.train.recipe import Recipe, recipe
from pellucid.train.run import train_run

TAGS = set(
    "html head meta title style body header nav main section footer h1 h2 h3 p a b bdi div span ul li table thead "
    "tbody tr th td figure figcaption svg g path circle text img details summary pre code br".split()
)
VOID = {"meta", "img", "br"}
EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title></style><script>",
    "javascript:alert(1)",
    "a&amp;b &lt;i&gt;",
    "\x00\x1b[31m\u202e\ud800",
]


class Page(HTMLParser):
    """Elements, attributes and text of a page; fails where tags are not closed in order."""

    def __init__(self, source: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), [], []
        self.sections, self.style = {}, ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]
        if tag == "section":
            self.sections[dict(attrs)["id"]] = len(self.words)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        elif data.strip():
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def classes_result(names: list[str], n: int = 400, help: float = 0.5) -> dict:
    """What a run of a table of classes leaves."""
    rng = np.random.default_rng(0)
    c = len(names)
    y = rng.integers(0, c, n)
    p = rng.dirichlet(np.ones(c), n) + np.eye(c)[y] * help
    found = scores.classification(p / p.sum(1, keepdims=True), y, names)
    return {
        "settings": {"data": "table.csv", "task": "classify", "target": "kind", "net": [8]},
        "metrics": {"test": {"loss": 1.0, "accuracy": found["accuracy"], "n": n}},
        "scores": found,
        "classes": names,
        "confusion": found["confusion"],
        "baseline": {"class": names[0], "accuracy": 1 / c},
    }


def check(source: str) -> Page:
    """Everything that must be true of every page."""
    page = Page(source)
    assert page.tags <= TAGS
    for tag, name, value in page.attributes:
        assert not name.startswith("on") and name != "style", (tag, name)
        if name in ("href", "src", "action", "srcset"):
            assert value.startswith("#" if tag == "a" else "data:image/png;base64,")
    assert "@import" not in page.style and "url(" not in page.style
    policy = next(v for t, k, v in page.attributes if t == "meta" and "default-src" in (v or ""))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "script-src" not in policy and "unsafe" not in policy
    for value in re.findall(r' d="([^"]*)"', source):
        assert "nan" not in value and "inf" not in value
    links = {v[1:] for t, k, v in page.attributes if t == "a" and k == "href"}
    assert links == set(page.sections)
    return page


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict:
    """Folders of short runs of the data sets that the package carries."""
    found = {}
    for data, epochs in (("digits", 2), ("series", 1)):
        folder = tmp_path_factory.mktemp("runs") / data
        found[data] = folder, list(train_run(recipe(data, epochs=epochs), folder))[-1].result
    return found


def test_a_run_of_classes_shows_the_figures_of_its_metrics(runs):
    folder, result = runs["digits"]
    path = report.write_report(folder, result)  # the history is read from metrics.json
    assert path == folder / "report.html"
    page = check(path.read_text("utf-8"))
    table = np.array(result["confusion"])
    n, n_right = int(table.sum()), int(np.trace(table))
    low, high = scores.wilson(n_right, n)
    assert f"Accuracy on {n} rows that the network had not seen" in page.text
    assert f"{100 * n_right / n:.1f} %" in page.text
    assert f"95 % interval: {100 * low:.1f} % to {100 * high:.1f} %" in page.text
    baseline = result["baseline"]
    rival = f"Without a network: always answering '{baseline['class']}' {100 * baseline['accuracy']:.1f} %"
    assert rival in page.text
    assert set(page.sections) >= {"compared", "learning", "mistakes", "classes", "again"}
    assert f"{result['n_parameters']:,} parameters" in page.text
    assert result["weights_sha256"] in page.text


def test_precision_and_recall_are_found_from_counts_alone():
    result = {
        "settings": {"task": "classify"},
        "classes": ["a", "b"],
        "confusion": [[6, 2], [1, 3]],
    }
    page = check(report.page(result))
    at = page.words.index("a", page.words.index("Precision", page.sections["classes"]))
    # a: 8 rows, 6 of 7 answers right, 6 of 8 found, F1 = 2 * 6 / (8 + 7)
    assert page.words[at : at + 5] == ["a", "8", "0.857", "0.750", "0.800"]
    assert "75.0 %" in page.text  # 9 of 12
    screening = "With b as the positive class: sensitivity 75.0 %, specificity 75.0 %."
    assert screening in page.text.replace("\u00a0", " ")


def test_a_series_shows_forecasts_and_errors_further_ahead(runs):
    folder, result = runs["series"]
    page = check(report.write_report(folder, result).read_text("utf-8"))
    assert {"series", "ahead"} <= set(page.sections)
    assert f"{result['forecast']['mae']:.3f} °C" in page.text
    assert f"{result['baseline']['persistence']['mae']:.3f}" in page.text
    assert result["test"]["times"][0] in page.text
    for row in result["mae_ahead"]:
        assert f"{row['persistence']:.3f}" in page.text


def test_a_text_shows_perplexity_beside_counting():
    result = {
        "settings": {"data": "text", "task": "continue"},
        "metrics": {"test": {"loss": 2.325, "accuracy": 0.353, "n": 14784, "perplexity": 10.226}},
        "baseline": {
            "unigram": {"loss": 3.164, "perplexity": 23.66},
            "bigram": {"loss": 2.464, "perplexity": 11.75},
        },
        "characters": 70,
    }
    page = check(report.page(result))
    assert "Perplexity on 14,784 characters that the network had not seen" in page.text
    assert "10.23" in page.text and "counting pairs of characters 11.75" in page.text
    assert "The network is better" in page.text


def test_a_generator_shows_its_last_sheet_and_what_real_pictures_reach(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "samples").mkdir()
    for epoch, grey in ((1, 0), (10, 200)):
        image.new("L", (4, 4), grey).save(tmp_path / "samples" / f"epoch-{epoch:04}.png")
    result = {
        "settings": {"data": "digits", "task": "generate"},
        "pictures": {"n": 500, "precision": 0.9, "coverage": 0.8, "copies": 0.0, "per_class": [500, 0]},
        "baseline": {
            "real": {"precision": 0.95, "coverage": 0.97},
            "mixed_pixels": {"precision": 0.01, "coverage": 0.02},
        },
        "classes": ["zero", "one"],
        "history": [{"epoch": 1, "train": {"loss": 0.5, "generator_loss": 1.5, "n": 9}}],
    }  # fmt: skip
    page = check(report.write_report(tmp_path, result).read_text("utf-8"))
    source = next(v for t, k, v in page.attributes if (t, k) == ("img", "src"))
    shown = image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    assert shown.getpixel((0, 0)) == 200
    assert "Never: one." in page.text and "Precision of 500 made pictures" in page.text
    # Real pictures are no rival: 90 % is less than they reach, and good.
    assert "The network is better" in page.text and "held-out real pictures 95.0 %" in page.text
    assert {"critic", "generator"} <= set(page.words)


def test_amounts_show_errors_in_their_unit_and_three_pictures():
    rng = np.random.default_rng(0)
    truth = rng.normal(300_000, 50_000, 2000)
    result = {
        "settings": {"data": "homes.csv", "task": "regress", "target": "price"},
        "unit": "EUR",
        "metrics": {"test": {"loss": 0.1, "n": 2000}},
        "scores": scores.regression(truth + 9000, truth),
        "baselines": {"mean": {"rmse": 50_000.0, "mae": 40_000.0, "r2": -0.00001}},
    }
    source = report.page(result)
    page = check(source)
    assert "9,000 EUR" in page.text and "always the mean" in page.text
    assert source.count('role="img"') == 3
    assert "1,000 of 2,000 rows, drawn at random." in page.text
    assert "-0.000" not in page.text  # no sign before nothing


@pytest.mark.parametrize("unit", [5e-324, 1e-310, 1e-200, 1e-30, 1e30, 1e200, 1e299, 1e307])
@pytest.mark.parametrize(
    ("predicted", "truth"),
    [([1.0, 2.0, 3.0], [1.0, 2.5, 3.0]), ([1.0], [2.0]), ([1.0] * 5, [1.0] * 5),
     ([1e15, 1e15 + 2.0], [0.0, 0.0]), ([-8.0, 8.0], [8.0, -8.0])],
)  # fmt: skip
def test_amounts_of_any_size_make_a_page(predicted, truth, unit):
    with np.errstate(over="ignore", under="ignore"):
        p, t = (np.nan_to_num(np.array(v) * unit) for v in (predicted, truth))
        found = scores.regression(p, t)
        rival = scores.regression(np.zeros(len(t)), t)
        rival["ahead_interval"] = scores.ahead(p, np.zeros(len(t)), t)
    json.dumps([found, rival], allow_nan=False)
    check(
        report.page({"settings": {"task": "regress"}, "scores": found, "baselines": {"x": rival}})
    )


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_data_is_never_html(evil, tmp_path):
    names = [evil, evil + "2", "plain"]
    result = classes_result(names)
    result["settings"] |= {"data": f"/tmp/{evil}.csv", "target": evil, "seed": evil}
    result |= {
        "notes": [evil, {"kind": evil, "text": evil}],
        "dropped": [{"column": evil, "why": evil}],
        "decisions": [{"name": evil, "value": evil, "reason": evil, "option": evil}],
        "baselines": {evil: {"accuracy": 0.1, "note": evil}, "x": {"skipped": evil}},
        "stopped": evil,
        "unit": evil,
        "target": evil,
        "command": evil,
        "weights_sha256": evil,
        "history": [{"epoch": 1, "train": {"loss": 1.0, "n": 1}}],
    }
    page = check(report.write_report(tmp_path, result).read_text("utf-8"))
    if evil.isprintable():
        assert page.text.count(re.sub(r"\s+", " ", evil)) > 10
    series = {
        "settings": {"task": "forecast", "data": evil},
        "unit": evil,
        "forecast": {"mae": 1.0, "rmse": 1.0},
        "baseline": {evil: {"mae": 1.0, "rmse": 2.0}},
        "mae_ahead": [{"steps": 1, "forecast": 1.0, evil: 2.0}],
        "test": {"times": [evil] * 3, "truth": [1, 2, 3], "forecast": [1, 2, 2]},
    }
    check(report.page(series))
    made = {"settings": {"task": "generate"}, "classes": [evil], "pictures": {"n": 1, "per_class": [0]}}  # fmt: skip
    check(report.page(made))


def test_the_writing_direction_of_a_name_ends_with_it():
    source = str(charts.data("\u202eabc"))
    assert source == "<bdi>\u202eabc</bdi>"  # an isolate by the HTML standard


@pytest.mark.parametrize(
    ("less", "ours", "interval", "rival", "says"),
    [
        (False, 0.9, [0.88, 0.92], 0.8, "better, by more than"),
        (False, 0.9, [0.88, 0.92], 0.89, "No sure difference"),
        (False, 0.9, [0.88, 0.92], 0.91, "No sure difference"),
        (False, 0.9, [0.88, 0.92], 0.95, "worse"),
        (True, 5.0, [4.0, 6.0], 7.0, "better, by more than"),
        (True, 5.0, [4.0, 6.0], 4.5, "No sure difference"),
        (True, 5.0, [4.0, 6.0], 3.0, "worse"),
        (True, 5.0, None, 6.0, "is better on"),
        (True, 5.0, None, 5.0, "not better"),
        (False, 0.5, None, 0.4, "is better on"),
    ],
)
def test_the_verdict_follows_from_figure_interval_and_rival(less, ours, interval, rival, says):
    key, task = ("rmse", "regress") if less else ("accuracy", "classify")
    result = {
        "settings": {"task": task},
        "metrics": {"test": {"n": 50}},
        "scores": {key: ours, f"{key}_interval": interval, "n": 50},
        "baselines": {"weak": {key: 1e9 if less else 0.0}, "linear": {key: rival}},
    }
    page = check(report.page(result))
    assert says in page.text
    assert "Without a network: linear" in page.text  # the best of them, not the first


@pytest.mark.parametrize(
    ("ahead", "says", "shows"),
    [
        ([0.01, 0.03], "better, by more than", "+1.0 to +3.0 points"),
        ([-0.01, 0.03], "either could be ahead", "-1.0 to +3.0 points"),
        ([-0.02, -0.01], "The network is worse", "-2.0 to -1.0 points"),
    ],
)
def test_rows_that_both_have_answered_decide_the_verdict(ahead, says, shows):
    result = {
        "settings": {"task": "classify"},
        "scores": {"accuracy": 0.9, "accuracy_interval": [0.8, 0.95], "n": 50},
        "baselines": {"linear": {"accuracy": 0.88, "ahead_interval": ahead}},
    }
    page = check(report.page(result))
    assert says in page.text and shows in page.text


def test_a_figure_of_rows_that_training_used_says_so():
    result = {
        "settings": {"task": "classify"},
        "metrics": {"train": {"accuracy": 0.99, "n": 8}, "validation": {"accuracy": 0.9, "n": 3}},
    }
    page = check(report.page(result))
    assert "3 rows of the validation part, which training has used" in page.text


@pytest.mark.parametrize(
    "task", ["classify", "regress", "forecast", "continue", "generate", "other"]
)
def test_a_result_with_nothing_in_it_still_makes_a_page(task):
    page = check(report.page({"settings": {"task": task}}))
    assert "no held-out figure" in page.text
    check(report.page({}))
    empty = {"classify": scores.classification(np.zeros((0, 2)), np.zeros(0, int), ["a", "b"]),
             "regress": scores.regression(np.zeros(0), np.zeros(0))}.get(task, {})  # fmt: skip
    check(report.page({"settings": {"task": task}, "scores": empty, "history": []}))


def test_no_test_row_of_a_class_is_said():
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    found = scores.classification(p, np.array([0, 1]), ["a", "b", "rare"])
    page = check(report.page({"scores": found, "classes": ["a", "b", "rare"]}))
    assert "No held-out row has: rare ; nothing is known" in page.text


@pytest.mark.parametrize("n_classes", [31, 70])
def test_of_many_classes_frequent_mistakes_stand_for_the_table(n_classes):
    names = [f"kind {i}" for i in range(n_classes)]
    result = classes_result(names, 600, help=0.05)
    page = check(report.page(result))
    first = result["scores"]["mistakes"][0]
    at = page.sections["mistakes"]
    assert "The most frequent mistakes." in page.words[at : at + 3]
    assert page.words[at + 5 : at + 8] == [first["true"], first["answered"], str(first["n"])]


def test_frequent_mistakes_are_found_in_counts_where_nobody_listed_them():
    names = [f"k{i}" for i in range(40)]
    table = np.eye(40, dtype=int) * 9
    table[3, 7], table[5, 1] = 4, 6
    page = check(report.page({"classes": names, "confusion": table.tolist()}))
    at = page.words.index("Rows", page.sections["mistakes"])
    assert page.words[at + 1 : at + 7] == ["k5", "k1", "6", "k3", "k7", "4"]


def test_long_runs_and_long_names_keep_the_page_small():
    history = [
        {"epoch": i + 1, "train": {"loss": 1 / (i + 1), "accuracy": 0.5, "n": 9},
         "validation": {"loss": 2.0, "accuracy": 0.5, "n": 9}} for i in range(20_000)
    ]  # fmt: skip
    result = classes_result(["x" * 5000, "y"]) | {"best_epoch": 7}
    source = report.page(result, history)
    page = check(source)
    assert "(100 of 20000 epochs)" in page.text
    assert len(source) < 200_000


def test_epochs_whose_loss_is_unknown_leave_a_gap():
    losses = [3.0, 2.0, None, 1.0, 0.5]
    history = [{"epoch": i + 1, "train": {"loss": v, "n": 1}} for i, v in enumerate(losses)]
    source = report.page({"settings": {"task": "classify"}}, history)
    check(source)
    line = re.search(r'<path d="([^"]*)" class="line s0">', source).group(1)
    assert line.count("M") == 2 and line.count("L") == 2


def test_what_could_not_be_tried_is_said():
    result = classes_result(["a", "b"])
    result["baselines"] = {
        "majority": {"accuracy": 0.5},
        "gradient boosting": {"skipped": "too slow"},
    }
    page = check(report.page(result))
    assert "not tried: too slow" in page.text
    assert "always answering 'a'" in page.text  # both figures of the majority are one row
    assert page.text.count("always answering") == 2  # in the heading and in the table


def test_the_command_makes_the_same_recipe_again():
    from pellucid.cli.main import cli

    for asked in (
        recipe("digits", net=(32, 16), lr=0.01, seed=3, epochs=4),
        recipe("digits", net=()),
        recipe("digits", task="generate"),
        recipe("series", window=12),
        recipe("text"),
    ):
        words = shlex.split(report.command(asked.settings()))
        assert words[:2] == ["pellucid", "train"]
        given = cli.commands["train"].make_context("train", words[2:]).params
        known = {k: v for k, v in given.items() if v is not None and k in asked.settings()}
        assert recipe(**known).settings() == asked.settings()


def test_the_command_of_a_table_says_how_it_is_read():
    from pellucid.cli.main import cli

    asked = {
        "data": "digits", "target": "a b", "columns": {"zip=code": "category"}, "missing": ["n/a", "-"],
        "header": False, "decimal": ",", "delimiter": ";", "validation": 0.1, "test": 0.3, "patience": 5, "net": [8],
    }  # fmt: skip
    words = shlex.split(report.command(asked))
    given = cli.commands["train"].make_context("train", words[2:]).params
    assert dict(given["columns"]) == asked["columns"]
    assert list(given["missing"]) == asked["missing"]
    for name in ("target", "header", "decimal", "delimiter", "validation", "test", "patience"):
        assert given[name] == asked[name]


def test_every_setting_of_a_recipe_is_an_option_of_the_command():
    from pellucid.cli.main import cli

    options = {o for p in cli.commands["train"].params for o in (*p.opts, *p.secondary_opts)}
    for field in fields(Recipe):
        if field.name in ("data", "kind", "given", "lr_why"):
            continue
        line = report.command(
            {"data": "x.csv", field.name: True if "bool" in str(field.type) else "1"}
        )
        if field.name in ("columns", "net", "missing"):  # of their own form, as above
            continue
        assert shlex.split(line)[3] in options, line


def test_the_command_that_is_shown_is_the_command():
    asked = {"data": "a  b.csv", "target": "--x", "net": [8, 4]}
    source = re.search(r"<code>(pellucid.*?)</code>", report.page({"settings": asked})).group(1)
    shown = html.unescape(re.sub(r"<[^>]*>", "", source))
    assert shown == report.command(asked)


def test_a_path_with_blanks_and_quotes_is_one_word_of_the_command():
    line = report.command({"data": "my data/it's; rm.csv", "target": "a b"})
    assert shlex.split(line) == ["pellucid", "train", "my data/it's; rm.csv", "--target", "a b"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        report.write_report(tmp_path / "file" / "run", {})


def test_a_damaged_history_does_not_cost_the_report(tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    assert "no held-out figure" in report.write_report(tmp_path, {}).read_text("utf-8")


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.96103, "percent", "96.1 %"), (0.99999, "percent", "99.9 %"), (1.0, "percent", "100.0 %"),
        (0.0001, "percent", "< 0.1 %"), (0.0, "percent", "0.0 %"), (2504.4, "amount", "2,504 m"),
        (0.0123456, "amount", "0.012 m"), (123.456, "amount", "123.5 m"), (3e-30, "amount", "3.000e-30 m"),
        (0, "amount", "0 m"), (None, "amount", "–"), (math.inf, "amount", "–"), (-0.00001, "number", "-1.000e-05"),
    ],
)  # fmt: skip
def test_figures_for_people(value, kind, shown):
    found = report_parts.say(value, kind, "m" if kind == "amount" else "")
    assert found.replace("\u00a0", " ") == shown


# -- Charts ----------------------------------------------------------------------------------------


def test_points_lie_where_their_values_say():
    line = charts.Line([0, 5, 10], [0.0, 1.0, 0.5])
    source = charts.chart([line], "a line", "x", "y", (0, 10), (0, 1))
    path = re.search(r'd="([^"]*)" class="line s0"', source).group(1)
    found = [tuple(map(float, p.split())) for p in re.findall(r"[ML]([\d.]+ [\d.]+)", path)]
    left = charts.BESIDE + charts.DIGIT * len("0.0")
    right, bottom = charts.WIDTH - charts.RIGHT, charts.HEIGHT - charts.BOTTOM
    middle = (left + right) / 2, charts.TOP
    half = (bottom + charts.TOP) / 2
    np.testing.assert_allclose(found, [(left, bottom), middle, (right, half)], atol=0.06)


def test_bars_stand_on_zero_between_their_edges():
    source = charts.chart([charts.Bars([0, 1, 2], [2, 4])], "", "", "", (0, 2), (0, 4))
    path = re.search(r'd="([^"]*)" class="bar s0"', source).group(1)
    floor = charts.HEIGHT - charts.BOTTOM
    tops = [float(v) for v in re.findall(r"V([\d.]+)H", path)]
    np.testing.assert_allclose(tops, [(floor + charts.TOP) / 2, charts.TOP], atol=0.06)
    assert path.count(f"V{floor:.1f}z") == 2


def test_a_long_line_keeps_its_peaks():
    y = np.zeros(10_000)
    y[4321], y[8765] = 7.0, -3.0
    pairs = charts._fewer(range(10_000), y.tolist())
    assert len(pairs) <= charts.MOST_POINTS + 2
    assert (4321, 7.0) in pairs and (8765, -3.0) in pairs
    assert [p[0] for p in pairs] == sorted(p[0] for p in pairs)


def test_round_ticks_by_hand():
    assert [n for _, n in charts.ticks(0, 1)] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert [n for _, n in charts.ticks(-1, 7.9)] == ["0", "2", "4", "6"]
    assert [n for _, n in charts.ticks(0, 52_000)] == ["0", "20,000", "40,000"]
    assert [n for _, n in charts.ticks(1, 3, whole=True)] == ["1", "2", "3"]
    assert [n for _, n in charts.ticks(-0.1, 0.1)] == ["-0.10", "-0.05", "0.00", "0.05", "0.10"]


@settings(max_examples=100, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_ticks_of_any_range_lie_in_it_and_differ(a, b):
    room = charts.limits([a, b])
    if room is None:  # wider than can be drawn
        assert max(abs(a), abs(b)) > 1e300
        return
    found = charts.ticks(*room)
    assert 1 <= len(found) <= 21
    width = room[1] - room[0]
    assert all(room[0] - 1e-6 * width <= v <= room[1] + 1e-6 * width for v, _ in found)
    assert len({name for _, name in found}) == len(found)
    check_path = charts.chart([charts.Line([0, 1], [a, b])], "", "", "")
    assert "nan" not in check_path and "inf" not in re.sub("[^a-z]", " ", check_path).split()


def test_values_that_cannot_be_drawn_are_said():
    assert "nothing to draw" in charts.chart([charts.Line([], [])], "", "", "")
    assert "nothing to draw" in charts.chart([charts.Line([0, 1], [-1.7e308, 1.7e308])], "", "", "")
    assert charts.limits([None, math.nan, math.inf]) is None


def test_the_scores_that_a_report_draws_fit_into_json():
    result = classes_result(["a", "b", "c"])
    again = json.loads(json.dumps(result, allow_nan=False))
    assert report.page(again) == report.page(result)
