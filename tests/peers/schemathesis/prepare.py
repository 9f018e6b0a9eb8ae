"""Leaves runs, artifacts and open questions in the first organization, and prints what the hooks must know as JSON.

With `--check` it only asks whether the key still opens the door: whoever lost it on the way has tried nothing since.
"""

import json
import os
import sys
import time
import urllib.request

WORKFLOW = """\
name: Blank
states:
  - name: looking
    steps:
      - screenshot: { fileName: blank.png }
"""
ASKING = """\
name: Asking
states:
  - name: asking
    steps:
      - askUser: { prompt: Which code?, as: code, timeout: 1h }
"""
ENDED = ["COMPLETED", "FAILED", "COMPLETED_WITH_NO_ACTION_TAKEN"]

with open(os.environ["LEGWORK_LOCAL_FILE"]) as file:
    local = json.load(file)


def call(method, path, body=None, content_type="application/json"):
    headers = {"authorization": f"Bearer {local['apiKey']}", "content-type": content_type}
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    request = urllib.request.Request(local["apiUrl"] + path, data and data.encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def become(run, statuses):
    for _ in range(600):
        if run["status"] in statuses:
            return run
        time.sleep(0.1)
        run = call("GET", f"/workflow-runs/{run['id']}")
    sys.exit(f"the run {run['id']} is {run['status']}, and does not become {statuses}")


def start(workflow, statuses):
    return become(call("POST", "/workflow-runs", {"workflowId": workflow["id"]}), statuses)


api_keys = [key["id"] for key in call("GET", "/api-keys?limit=100")["data"]]
if sys.argv[1:] != ["--check"]:
    workflow = call("POST", "/workflows", WORKFLOW, "application/yaml")
    asking = call("POST", "/workflows", ASKING, "application/yaml")
    runs = [start(workflow, ENDED) for _ in range(3)]
    waiting = [start(asking, ["AWAITING_USER_INPUT"]) for _ in range(2)]
    artifacts = [artifact for run in runs for artifact in call("GET", f"/workflow-runs/{run['id']}/artifacts")["data"]]
    known = {
        "api-keys": api_keys,
        "workflows": [workflow["id"]],
        "workflow-runs": [run["id"] for run in runs + waiting],
        "questions": {run["id"]: run["inputRequest"]["id"] for run in waiting},
        "artifacts": [artifact["id"] for artifact in artifacts],
    }
    print(json.dumps(known))
