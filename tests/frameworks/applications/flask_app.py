"""Flask, for gunicorn's workers and for its own server."""

from __future__ import annotations

from flask import Flask

from work import respond

app = Flask(__name__)


@app.get("/<identifier>")
def pay(identifier: str) -> str:
    return respond(identifier)
