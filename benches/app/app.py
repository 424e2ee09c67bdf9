"""The web app that every way of deploying deploys. A change of VERSION is the change whose way to the visitor is measured."""

import pathlib
import time

from flask import Flask, redirect, request

VERSION = pathlib.Path(__file__).with_name("VERSION").read_text().strip()

app = Flask(__name__)


@app.after_request
def name_release(response):
    response.headers["X-Release"] = response.headers["X-Version"] = VERSION
    return response


@app.get("/")
def page():
    return f"<h1>Version {VERSION}</h1>"


@app.get("/health")
def health():
    return "ok"


@app.get("/slow")
def slow():
    time.sleep(min(float(request.args["seconds"]), 5))
    return "done"


@app.post("/entries")
def sign():
    request.form["message"]
    return redirect("/", 303)
