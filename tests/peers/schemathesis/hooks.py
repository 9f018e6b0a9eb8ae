"""What schemathesis can't know about the API from its document."""

import json
import os
import re
import zlib
from hashlib import sha256

import schemathesis

# What prepare.py found and made, by the resource's name in the path.
KNOWN = json.loads(os.environ["LEGWORK_KNOWN"])
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODYS = "00000000-0000-7000-8000-000000000000"


@schemathesis.serializer(
    "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml", "text/yml"
)
def send_text_as_it_is(ctx, value):
    """The schema of a YAML body is a string, its text, and not a value to be written as YAML. A body that is no text
    can only be one that is not UTF-8. schemathesis knows the media type by all these names."""
    return value.encode() if isinstance(value, str) else b"\xff" + json.dumps(value).encode()


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Half of the ids that could be anybody's become those of resources that are there: there is no call that makes
    an artifact, and a run ends, or asks, only after a while."""
    resource = ctx.operation.path.split("/")[1]
    if resource in ("workflow-runs", "artifacts", "workflows") and ctx.operation.method != "delete":
        use_known(path_parameters, "id", KNOWN[resource])
    return path_parameters


def use_known(values, name, there):
    """Makes of every other id one of those that are there. What is no id stays what it is, wrong or not."""
    value = values.get(name) if isinstance(values, dict) else None
    if isinstance(value, str) and ID.fullmatch(value):
        choice = zlib.crc32(value.encode()) % (2 * len(there))
        if choice < len(there):
            values[name] = there[choice]


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    # The keys that were there before stay: a run that deletes the one that it calls with would go on without it.
    if case.method == "DELETE" and case.path == "/api-keys/{id}" and case.path_parameters.get("id") in KNOWN["api-keys"]:
        case.path_parameters["id"] = NOBODYS
    # A run can only be created of a workflow that is there, and only an open question be answered.
    if case.method == "POST" and case.path == "/workflow-runs":
        use_known(case.body, "workflowId", KNOWN["workflows"])
    if case.method == "POST" and case.path == "/workflow-runs/{id}/user-input":
        question = KNOWN["questions"].get(case.path_parameters.get("id"))
        if question is not None:
            use_known(case.body, "inputRequestId", [question])
    # A cursor is what a list gave, and of some filters a list takes one: most lists without either.
    query = case.query or {}
    if case.method == "GET" and zlib.crc32(repr(sorted(query.items())).encode()) % 4:
        query.pop("cursor", None)
        for name in [name for name in ("status", "workflowId", "jobRunId") if name in query][1:]:
            query.pop(name)
    # The same key with another body is refused, as it should be, and would hide what the API says to that body.
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,200}", key):
        body = json.dumps([case.media_type, case.body], default=str)
        case.headers["Idempotency-Key"] = key + sha256(body.encode()).hexdigest()[:32]
