"""Holds docs/openapi.json against OpenAPI 3.1, and answers that a worker gave against its schemas.

usage: check.py DOCUMENT ANSWERS [--all]    where ANSWERS has one JSON object per line: method, path, status, sent, body
"""

import json
import re
import sys

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator


def template_of(paths, path):
    """The documented path that a path is one of; a literal part is nearer than a parameter."""
    fitting = [
        known for known in paths if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(known)), path)
    ]
    return min(fitting, key=lambda known: known.count("{"), default=None)


def validator(document, schema):
    whole = {"$ref": f"#{schema}", "components": document["components"], "paths": document["paths"]}
    return Draft202012Validator(whole, format_checker=FormatChecker())


def pointer(*parts):
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def resolved(document, where):
    """A pointer with the reference behind it followed."""
    node = document
    for part in where.split("/")[1:]:
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node["$ref"].removeprefix("#") if "$ref" in node else where


def problems(document, answer):
    path = answer["path"].split("?")[0].removeprefix(document["servers"][0]["url"])
    template = template_of(document["paths"], path)
    method, status = answer["method"].lower(), str(answer["status"])
    if template is None or method not in document["paths"][template]:
        return [f"{method} {path} is not documented"]
    operation = document["paths"][template][method]
    if status not in operation["responses"]:
        return [f"{method} {template}: {status} is not documented"]
    where = resolved(document, pointer("paths", template, method, "responses", status))
    kind = answer.get("kind", "application/json")
    if kind != "application/json":
        return [] if kind in document["paths"][template][method]["responses"][status]["content"] else [f"{method} {template}: {kind} is not documented"]
    found = validator(document, where + pointer("content", "application/json", "schema")).iter_errors(answer["body"])
    wrong = [f"{method} {template} {status}: {error.json_path}: {error.message[:300]}" for error in found]
    if answer["sent"] is not None and 200 <= answer["status"] < 300:
        where = pointer("paths", template, method, "requestBody", "content", "application/json", "schema")
        wrong += [f"{method} {template}: sent {error.message}" for error in validator(document, where).iter_errors(answer["sent"])]
    return wrong


def main():
    document = json.load(open(sys.argv[1]))
    OpenAPIV31SpecValidator(document).validate()
    answers = [json.loads(line) for line in open(sys.argv[2])]
    wrong = [problem for answer in answers for problem in problems(document, answer)]
    seen = {(template_of(document["paths"], a["path"].split("?")[0].removeprefix("/api/v1")), a["method"].lower()) for a in answers if 200 <= a["status"] < 300}
    if "--all" not in sys.argv[3:]:
        return told(wrong, answers)
    wrong += [
        f"{method} {path}: no answer was tried"
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters" and (path, method) not in seen
    ]
    # A check that finds nothing wrong with anything is none.
    lists = (answer for answer in answers if answer["path"].split("?")[0].endswith("/quarantine") and answer["method"] == "GET")
    broken = dict(next(lists))
    broken["body"] = {**broken["body"], "entries": [{**broken["body"]["entries"][0], "more": 1}]}
    if not problems(document, broken):
        wrong.append("a key that is not documented goes unseen")
    told(wrong, answers)


def told(wrong, answers):
    print("\n".join(wrong) or f"{len(answers)} answers are as documented")
    sys.exit(bool(wrong))


main()
