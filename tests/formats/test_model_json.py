"""model.json is data of a known outline, or refused with file and field."""

import pytest

from pellucid.base.errors import FormatError
from pellucid.formats import model_json

MODEL = {"layers": [{"kind": "ReLU"}], "input": {}, "output": {}, "settings": {"seed": 0}}


def test_what_is_saved_is_loaded(tmp_path):
    model_json.save(tmp_path / "model.json", MODEL)
    assert model_json.load(tmp_path / "model.json") == {
        "format": "pellucid-model",
        "version": 1,
        **MODEL,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "one JSON object"),
        ("{", "not valid JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "occurs twice"),
        ("[" * 100_000, "not valid JSON"),
        ("{}", "field 'format' is None"),
        ('{"format": "pellucid-model", "version": 2}', "version 1"),
        ('{"format": "pellucid-model", "version": 1, "layers": {}}', "'layers' must be a list"),
        (
            '{"format": "pellucid-model", "version": 1, "layers": [3], "input":{},"output":{},"settings":{}}',
            "entry 0",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, words):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(FormatError, match=words) as error:
        model_json.load(tmp_path / "model.json")
    assert "model.json" in str(error.value)


def test_a_file_that_is_not_text_or_not_there_is_named(tmp_path):
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="not valid JSON"):
        model_json.load(tmp_path / "model.json")
    with pytest.raises(FormatError, match="no such file"):
        model_json.load(tmp_path / "none.json")
