"""Flask; asks the next service with requests."""

from __future__ import annotations

import requests
from flask import Flask, request
from posthog.integrations.flask import PosthogFlaskIntegration
from shop import MIDDLEWARE, NEXT, listening, pay
from werkzeug.serving import make_server

from zentra_otel_posthog import identify

app = Flask(__name__)
if MIDDLEWARE:
    PosthogFlaskIntegration(app)


@app.get("/pay/<int:number>")
def pay_basket(number: int) -> str:
    with identify(request.args.get("flask"), tenant=request.args.get("tenant")):
        pay(number, "flask")
        return requests.get(f"{NEXT}/pay/{number}", params=request.args.to_dict(), timeout=30).text


if __name__ == "__main__":
    listener = listening()
    make_server("127.0.0.1", 0, app, threaded=True, fd=listener.fileno()).serve_forever()
