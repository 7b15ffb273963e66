"""`pellucid serve RUN`: the network's answers over HTTP, JSON in and out.

    POST /predict       {"rows": [...]} -> {"answers": [...]} (train/answer.py says what a row is)
    GET  /              a page that shows how to ask    GET /openapi.json   the same for programs
    GET  /health        {"status": "ok"}, without a token

Listens on loopback; every other path needs the token. The gate looks at Host, Origin, Sec-Fetch-Site, then at the
token: a web page that the person has open cannot ask, even by a name that leads to this machine (DNS rebinding)."""

import hmac
import html
import json
import math
import secrets
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..base.errors import OptionError, PellucidError, RunError
from ..train.answer import answer
from ..train.saved import SavedModel, load_model

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

MOST_BYTES = 16 << 20  # of one request
MOST_ROWS = 10_000
SECONDS = 30  # in which a request's body must be here
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
STYLE = """:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow-x: auto; padding: .75rem; border: 1px solid; border-radius: 6px }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; overflow-wrap: anywhere }
"""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def serve(run: Path, host: str, port: int, names: tuple[str, ...], token: str | None) -> None:
    """Run the command until Ctrl-C; the address goes to standard output."""
    import uvicorn

    if host not in ("127.0.0.1", "localhost", "::1") and not names:
        raise OptionError(
            f"--host {host} can be reached from other machines: add --name NAME for each name (or address) under "
            "which they will ask."
        )
    model = load_model(run)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise RunError(f"{host}, port {port}: {error.strerror}. Choose another --port.") from None
    port = listening.getsockname()[1]
    token = token or secrets.token_urlsafe(24)
    hosts = allowed_hosts((*LOOPBACK, *names), port)
    app = application(model, str(run), token, hosts)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"http://{shown}:{port}/?token={token}")
    click.echo(f"Answers for {run}. Ctrl-C ends it.", err=True)
    settings = uvicorn.Config(
        app, log_level="warning", access_log=False, limit_concurrency=64, timeout_keep_alive=5,
        timeout_graceful_shutdown=2, server_header=False,
    )  # fmt: skip
    uvicorn.Server(settings).run(sockets=[listening])


def allowed_hosts(names: tuple[str, ...], port: int) -> frozenset[str]:
    """Values of the Host header that are answered."""
    return frozenset(
        h for name in names for h in (f"{name}:{port}", *([name] if port == 80 else []))
    )


def application(model: SavedModel, run: str, token: str, hosts: frozenset[str]) -> "Starlette":
    """The app: the gate before a closed table of paths."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
    from starlette.routing import Route

    lock = threading.Lock()  # the network's buffers belong to one call at a time
    api = openapi(model, run)
    page = guide(model, run, sorted(hosts)[0])

    async def predict(request: "Request") -> "Response":
        rows = rows_of(await body(request))

        def answers() -> list[dict]:
            with lock:
                return answer(model, rows)

        return JSONResponse({"answers": await run_in_threadpool(answers)})

    async def health(request: "Request") -> "Response":
        return JSONResponse({"status": "ok"})

    async def described(request: "Request") -> "Response":
        return JSONResponse(api)

    async def shown(request: "Request") -> "Response":
        return HTMLResponse(page)

    async def style(request: "Request") -> "Response":
        return PlainTextResponse(STYLE, media_type="text/css")

    async def refused(request: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code)

    async def wrong(request: "Request", error: Exception) -> "Response":
        return JSONResponse({"error": str(error)}, 422)

    routes = [
        Route("/predict", predict, methods=["POST"]),
        Route("/health", health),
        Route("/openapi.json", described),
        Route("/style.css", style),
        Route("/", shown),
    ]
    app = Starlette(
        routes=routes, exception_handlers={HTTPException: refused, PellucidError: wrong}
    )
    app.add_middleware(Gate, token=token, hosts=hosts)
    return app


class Gate:
    """ASGI middleware: who may ask. The order is that of the checks."""

    def __init__(self, app: Any, token: str, hosts: frozenset[str]):
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        from starlette.responses import JSONResponse

        refused = self.refusal(scope)
        if refused is not None:
            status, text = refused
            await JSONResponse({"error": text}, status, HEADERS)(scope, receive, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def refusal(self, scope: Any) -> tuple[int, str] | None:
        """(status, why), or None for a request that may pass."""
        given: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        host, origin = given.get("host", []), given.get("origin", [])
        if len(host) != 1 or host[0].lower() not in self.hosts:
            return 403, "this name of the server is not allowed; ask by the address that it printed"
        if origin and (len(origin) != 1 or origin[0] not in {f"http://{h}" for h in self.hosts}):
            return 403, "requests of other web pages are not answered"
        if given.get("sec-fetch-site", ["none"])[0] not in ("none", "same-origin"):
            return 403, "requests of other web pages are not answered"
        if scope["path"] in ("/health", "/style.css"):
            return None
        if not self.is_known(scope, given):
            return 401, "give the token: the header 'Authorization: Bearer TOKEN', or ?token=TOKEN"
        return None

    def is_known(self, scope: Any, given: dict[str, list[str]]) -> bool:
        """Whether the right token came along; the comparison takes equally long for any wrong one."""
        from urllib.parse import parse_qs

        query = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        bearer = [v[7:] for v in given.get("authorization", []) if v[:7].lower() == "bearer "]
        return any(hmac.compare_digest(t.encode(), self.token.encode()) for t in (*query, *bearer))


async def body(request: "Request") -> bytes:
    """The request's body, no more than MOST_BYTES of it and no slower than SECONDS."""
    import asyncio

    from starlette.exceptions import HTTPException

    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON, with the header 'Content-Type: application/json'")
    found = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                found += part
                if len(found) > MOST_BYTES:
                    raise HTTPException(
                        413, f"more than {MOST_BYTES} bytes; send fewer rows at a time"
                    )
    except TimeoutError:
        raise HTTPException(408, f"the request was not here after {SECONDS} seconds") from None
    return bytes(found)


def rows_of(raw: bytes) -> list:
    """The rows of a request."""
    from starlette.exceptions import HTTPException

    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"not valid JSON: {error}") from None
    rows = document.get("rows") if isinstance(document, dict) else None
    if not isinstance(rows, list) or set(document) != {"rows"}:
        raise HTTPException(400, 'send {"rows": [...]}, one entry for each question')
    if len(rows) > MOST_ROWS:
        raise HTTPException(413, f"{len(rows):,} rows; at most {MOST_ROWS:,} at a time")
    return rows


def example(model: SavedModel) -> Any:
    """One row as the network takes it."""
    if model.encoder is not None:
        return dict.fromkeys(model.encoder.groups)
    if model.task == "forecast":
        return {"values": [0.0] * model.shape[0], "steps": 1}
    if model.task == "continue":
        return {"text": "Alice ", "top": 5}
    return [0] * math.prod(model.shape)


def openapi(model: SavedModel, run: str) -> dict:
    """OpenAPI 3.1 of the server."""
    row: dict = {"type": "object"}
    if model.encoder is not None:
        value = {"type": ["number", "string", "boolean", "null"]}
        row["properties"] = dict.fromkeys(model.encoder.groups, value)
    elif model.task not in ("forecast", "continue"):
        row = {"type": "array", "items": {"type": "number"}}
    rows = {"type": "array", "items": row, "maxItems": MOST_ROWS}
    asked = {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}
    told = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": {"type": "object"}}},
    }
    error = {"type": "object", "properties": {"error": {"type": "string"}}}
    codes = {
        "400": "not the JSON that is needed", "401": "no token", "413": "too much at once",
        "415": "no JSON", "422": "a row that cannot be answered",
    }  # fmt: skip

    def content(schema: dict) -> dict:
        return {"application/json": {"schema": schema}}

    answers = {
        code: {"description": text, "content": content(error)} for code, text in codes.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"pellucid: {run}", "version": __version__, "summary": model.task},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/predict": {
                "post": {
                    "summary": "Answers to rows",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": asked, "example": {"rows": [example(model)]}}},
                    },
                    "responses": {"200": {"description": "answers, in order", "content": content(told)}, **answers},
                }
            },
"/health": {"get": {"summary": "Whether it answers", "security": [],
                                "responses": {"200": {"description": "it does"}}}},
        },
    }  # fmt: skip


def guide(model: SavedModel, run: str, host: str) -> str:
    """The page at /: what is served and how to ask."""
    row = json.dumps({"rows": [example(model)]})
    row = row if len(row) < 600 else row[:600] + " ..."
    command = (
        f"curl http://{host}/predict \\\n  -H 'Authorization: Bearer TOKEN' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d '{row}'"
    )
    facts = {
        "task": model.task,
        "classes": ", ".join(model.classes[:20]) or "none",
        "weights (SHA-256)": model.weights_sha256,
    }
    lines = "".join(
        f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>pellucid serve</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>'
        f"<body><h1>{html.escape(run)}</h1><table>{lines}</table><h2>Ask</h2><pre>{html.escape(command)}</pre>"
        f"<p>At most {MOST_ROWS:,} rows and {MOST_BYTES >> 20} MiB at a time. For programs: "
        "<code>/openapi.json</code>; whether it is up: <code>/health</code>.</p></body></html>"
    )
