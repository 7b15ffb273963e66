"""`pellucid serve`: who may ask, what is answered, what is refused; and a server that really listens."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("httpx2")
from starlette.testclient import TestClient

from pellucid.cli import serve
from pellucid.cli.main import run as command
from pellucid.data.digits import load_digits
from pellucid.train.saved import load_model

TOKEN, PORT = "secret-of-the-test", 8123
HOST = f"127.0.0.1:{PORT}"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {**BEARER, "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind that answers rows."""
    folder = tmp_path_factory.mktemp("served")
    for name, more in (
        ("digits", "--net 16"),
        ("series", "--width 4 --layers 1 --window 12"),
        ("text", "--net gru --width 8 --window 16 --layers 1 --batch 512"),
    ):
        line = f"train {name} {more} --epochs 1 --quiet --out {folder / name}"
        assert command(line.split()) == 0
    return folder


@pytest.fixture(scope="module")
def asks(runs):
    """name of a run -> a client of its server."""

    def client(name: str) -> TestClient:
        hosts = serve.allowed_hosts(serve.LOOPBACK, PORT)
        app = serve.application(load_model(runs / name), name, TOKEN, hosts)
        return TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False)

    return {name: client(name) for name in ("digits", "series", "text")}


GATE = {  # headers, path -> status
    "token in the query": ({}, f"/?token={TOKEN}", 200),
    "token as bearer": (BEARER, "/", 200),
    "bearer in small letters": ({"Authorization": f"bearer {TOKEN}"}, "/openapi.json", 200),
    "health without token": ({}, "/health", 200),
    "style without token": ({}, "/style.css", 200),
    "no token": ({}, "/", 401),
    "no token, description": ({}, "/openapi.json", 401),
    "wrong token": ({}, "/?token=secret", 401),
    "empty token": ({}, "/?token=", 401),
    "wrong bearer": ({"Authorization": "Bearer no"}, "/", 401),
    "basic instead": ({"Authorization": f"Basic {TOKEN}"}, "/", 401),
    "another host": ({**BEARER, "Host": "evil.example"}, "/", 403),
    "another host's health": ({"Host": "evil.example"}, "/health", 403),
    "0.0.0.0": ({**BEARER, "Host": f"0.0.0.0:{PORT}"}, "/", 403),
    "localhost of evil": ({**BEARER, "Host": f"localhost.evil:{PORT}"}, "/", 403),
    "another port": ({**BEARER, "Host": "127.0.0.1:1"}, "/", 403),
    "localhost": ({**BEARER, "Host": f"localhost:{PORT}"}, "/", 200),
    "origin null": ({**BEARER, "Origin": "null"}, "/", 403),
    "origin evil": ({**BEARER, "Origin": "http://evil.example"}, "/", 403),
    "own origin": ({**BEARER, "Origin": f"http://{HOST}"}, "/", 200),
    "cross-site": ({**BEARER, "Sec-Fetch-Site": "cross-site"}, "/", 403),
    "no such path": (BEARER, "/etc/passwd", 404),
    "dots": (BEARER, "/%2e%2e/%2e%2e/etc/passwd", 404),
    "get of predict": (BEARER, "/predict", 405),
}


@pytest.mark.parametrize("name", GATE)
def test_the_gate(name, asks):
    headers, path, status = GATE[name]
    found = asks["digits"].get(path, headers=headers)
    assert found.status_code == status, found.text
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    if status >= 400 and status != 405:
        assert found.json()["error"]
    assert TOKEN not in found.text


def ask(client: TestClient, rows):
    return client.post("/predict", headers=JSON, content=json.dumps({"rows": rows}))


def test_answers_equal_the_networks(asks, runs):
    data, model = load_digits(), load_model(runs / "digits")
    raw = (data.x[:5] * data.scale).astype(int)
    answers = ask(asks["digits"], raw.tolist()).json()["answers"]
    expected = model.predict(data.x[:5])
    for a, p in zip(answers, expected, strict=True):
        assert a["prediction"] == model.classes[int(p.argmax())]
        np.testing.assert_allclose(list(a["probabilities"].values()), p, atol=1e-6)
    alone = [ask(asks["digits"], [row]).json()["answers"][0] for row in raw.tolist()]
    assert [a["prediction"] for a in alone] == [a["prediction"] for a in answers]
    assert ask(asks["digits"], []).json() == {"answers": []}


def test_a_series_goes_on(asks, runs, capsys):
    values = [20 + (i % 12) / 3 for i in range(40)]
    (found,) = ask(asks["series"], [{"values": values, "steps": 3}]).json()["answers"]
    file = runs / "values.csv"
    file.write_text("t,v\n" + "".join(f"{i},{v!r}\n" for i, v in enumerate(values)))
    capsys.readouterr()
    assert command(["predict", str(runs / "series"), str(file), "--steps", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["predictions"][0]
    np.testing.assert_allclose(found["forecast"], told["forecast"], rtol=1e-5)
    assert found["unit"] == told["unit"]


def test_a_text_goes_on(asks, runs, capsys):
    (found,) = ask(asks["text"], [{"text": "Alice was", "top": 3}]).json()["answers"]
    arguments = ["sample", str(runs / "text"), "--prompt", "Alice was", "--probabilities", "--json"]
    capsys.readouterr()
    assert command(arguments) == 0
    told = json.loads(capsys.readouterr().out)["next"][:3]
    assert list(found["next"]) == [t["character"] for t in told]
    np.testing.assert_allclose(
        list(found["next"].values()), [t["probability"] for t in told], atol=2e-6
    )


BAD = {  # run, content -> status, words
    "no JSON": ("digits", b"{", 400, "not valid JSON"),
    "no rows": ("digits", b"{}", 400, "rows"),
    "more than rows": ("digits", b'{"rows": [], "x": 1}', 400, "rows"),
    "rows of a number": ("digits", b'{"rows": 3}', 400, "rows"),
    "deep": ("digits", b"[" * 100_000, 400, "not valid JSON"),
    "too few numbers": ("digits", b'{"rows": [[1, 2]]}', 422, "2 numbers; the network takes 64"),
    "text for numbers": ("digits", b'{"rows": ["abc"]}', 422, "row 0: 'abc' is no list"),
    "not a number": (
        "digits", json.dumps({"rows": [[0] * 63 + [float("nan")]]}).encode(), 422, "finite"),
    "short series": ("series", b'{"rows": [{"values": [1]}]}', 422, "looks back at 12"),
    "no values": ("series", b'{"rows": [{"v": [1]}]}', 422, "row 0: a series is"),
    "steps of text": ("series", b'{"rows": [{"values": [1], "steps": "2"}]}', 422, "steps is"),
    "unknown character": ("text", '{"rows": [{"text": "☃"}]}'.encode(), 422, "☃"),
    "empty text": ("text", b'{"rows": [{"text": ""}]}', 422, "not empty"),
    "second row is wrong": (
        "text", b'{"rows": [{"text": "a"}, {"text": 1}]}', 422, "row 1: a text is"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_answered_gets_one_sentence(name, asks):
    run, content, status, words = BAD[name]
    found = asks[run].post("/predict", headers=JSON, content=content)
    assert found.status_code == status and words in found.json()["error"], found.text
    assert "Traceback" not in found.text


def test_limits(asks, monkeypatch):
    monkeypatch.setattr(serve, "MOST_ROWS", 3)
    monkeypatch.setattr(serve, "MOST_BYTES", 2000)
    assert ask(asks["digits"], [[0]] * 4).status_code == 413
    assert ask(asks["digits"], [[0] * 5000]).status_code == 413
    found = asks["digits"].post("/predict", headers=BEARER, content=b"{}")
    assert found.status_code == 415


def test_the_description_names_what_is_there(asks):
    for client in asks.values():
        api = client.get("/openapi.json", headers=BEARER).json()
        assert api["openapi"].startswith("3.") and set(api["paths"]) == {"/predict", "/health"}
        content = api["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        found = client.post("/predict", headers=JSON, content=json.dumps(content["example"]))
        assert found.status_code == 200 and len(found.json()["answers"]) == 1
        page = client.get("/", headers=BEARER).text
        assert "curl" in page and "<script" not in page


@pytest.mark.skipif(os.name != "posix", reason="ends the server by a signal")
def test_a_server_listens_on_loopback_and_ends_at_a_signal(runs):
    arguments = [sys.executable, "-m", "pellucid", "serve", str(runs / "digits"), "--port", "0"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline()
        host, port, token = re.fullmatch(r"http://([\d.]+):(\d+)/\?token=(\S+)\n", address).groups()
        assert host == "127.0.0.1" and len(token) >= 24
        request = urllib.request.Request(
            f"http://{host}:{port}/predict",
            json.dumps({"rows": [[0] * 64]}).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as found:
            assert len(json.load(found)["answers"]) == 1
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://{host}:{port}/", timeout=20)
        second = subprocess.run([*arguments[:-1], port], capture_output=True, text=True, timeout=60)
        assert second.returncode == 1 and "Choose another --port" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors and process.returncode in (0, 130)


def test_other_machines_need_names(runs, capsys):
    assert command(["serve", str(runs / "digits"), "--host", "0.0.0.0"]) == 2
    assert "--name" in capsys.readouterr().err
