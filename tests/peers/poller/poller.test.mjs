// What customers' programs do already: create a run, and fetch it every few seconds until its status is one of three.
// It uses nothing but Node's own fetch, and knows nothing of Legwork but what its documents say.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

const POLL_EVERY_MS = 1000;
const PATIENCE_MS = 120_000;
const ENDED = ["COMPLETED", "FAILED", "COMPLETED_WITH_NO_ACTION_TAKEN"];
const STATUSES = ["PENDING", "IN_PROGRESS", "AWAITING_USER_INPUT", ...ENDED];
const EMAIL = "hr@example.com";
const PASSWORD = "correct-horse-battery";

const local = JSON.parse(readFileSync(process.env.LEGWORK_LOCAL_FILE, "utf8"));
const roster = readFileSync(new URL("../../../examples/employee-roster.yaml", import.meta.url), "utf8");
let workflowId;
const createdIds = [];

async function call(method, path, body, headers = {}) {
  return fetch(local.apiUrl + path, {
    method,
    headers: {
      authorization: `Bearer ${local.apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

async function json(response, status) {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(response.headers.get("content-type"), /^application\/json\b/);
  return JSON.parse(text);
}

const isUuid = (value) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(value);
const isTime = (value) =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) && new Date(value).toISOString() === value;
const isText = (value) => typeof value === "string" && value.length > 0;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const orNull = (check) => (value) => value === null || check(value);

// A field without a value is null, not absent.
const FIELDS = {
  id: isUuid,
  workflowId: isUuid,
  workflowVersion: Number.isInteger,
  jobRunId: orNull(isUuid),
  createdByUserId: isText,
  status: (value) => STATUSES.includes(value),
  currentStateName: orNull(isText),
  createdAt: isTime,
  updatedAt: isTime,
  startedAt: orNull(isTime),
  completedAt: orNull(isTime),
  metadata: isObject,
  failure: orNull(isObject),
  noActionReason: orNull(isText),
  inputRequest: orNull(isObject),
  attempt: Number.isInteger,
  sequence: Number.isInteger,
  retryOfRunId: orNull(isUuid),
  timings: orNull(isObject),
};
const FIELDS_OF_ONE = {
  input: isObject,
  output: orNull(isObject),
  stateHistory: Array.isArray,
};

function checkFields(run, fields) {
  for (const [name, isRight] of Object.entries(fields)) {
    assert.ok(name in run, `the run has no field ${name}`);
    assert.ok(isRight(run[name]), `${name} is ${JSON.stringify(run[name])}`);
  }
}

function checkRun(run) {
  checkFields(run, { ...FIELDS, ...FIELDS_OF_ONE });
  assert.equal(run.completedAt !== null, hasEnded(run), `completedAt of a run that is ${run.status}`);
  assert.equal(run.failure !== null, run.status === "FAILED");
  assert.equal(run.noActionReason !== null, run.status === "COMPLETED_WITH_NO_ACTION_TAKEN");
  assert.equal(run.inputRequest !== null, awaits(run));
  assert.deepEqual(
    run.stateHistory.map((entry) => entry.sequence),
    run.stateHistory.map((_, index) => index + 1),
    "the timeline has a gap",
  );
  assert.equal(run.stateHistory.at(-1).sequence, run.sequence);
}

async function create(baseUrl) {
  const response = await call("POST", "/workflow-runs", { workflowId, input: { baseUrl } });
  const run = await json(response, 201);
  assert.equal(response.headers.get("location"), `/workflow-runs/${run.id}`);
  assert.equal(run.status, "PENDING");
  checkRun(run);
  createdIds.push(run.id);
  return run;
}

const hasEnded = (run) => ENDED.includes(run.status);
const awaits = (run) => run.status === "AWAITING_USER_INPUT";

// The loop of the field, but for the shorter pause: it heeds neither ETag nor Retry-After.
async function pollUntil(id, isOver) {
  const began = Date.now();
  for (;;) {
    const run = await json(await call("GET", `/workflow-runs/${id}`), 200);
    checkRun(run);
    if (isOver(run)) return run;
    assert.ok(!hasEnded(run), `the run ended early: ${JSON.stringify(run.failure)}`);
    assert.ok(Date.now() - began < PATIENCE_MS, `the run ${id} is still ${run.status}`);
    await pause(POLL_EVERY_MS);
  }
}

async function answerWithTheCodeOnThePhone(run) {
  const phone = await (await fetch(`${local.practiceSiteUrl}/phone/${EMAIL}`)).json();
  const { id: inputRequestId, fields } = run.inputRequest;
  const values = Object.fromEntries(fields.map((field) => [field.name, phone.code]));
  const answered = await json(await call("POST", `/workflow-runs/${run.id}/user-input`, { inputRequestId, values }), 200);
  assert.notEqual(answered.status, "AWAITING_USER_INPUT");
}

before(async () => {
  for (const [name, value] of Object.entries({ hr_user: EMAIL, hr_password: PASSWORD })) {
    assert.equal((await call("PUT", `/secrets/${name}`, { value })).status, 204);
  }
  const response = await fetch(`${local.apiUrl}/workflows`, {
    method: "POST",
    headers: { authorization: `Bearer ${local.apiKey}`, "content-type": "application/yaml" },
    body: roster,
  });
  workflowId = (await json(response, 201)).id;
});

test("a run that asks for a 2FA code is polled to COMPLETED, and its artifacts arrive whole", async () => {
  const created = await create(`${local.practiceSiteUrl}/with/2fa=on`);
  await answerWithTheCodeOnThePhone(await pollUntil(created.id, awaits));
  const run = await pollUntil(created.id, hasEnded);
  assert.equal(run.status, "COMPLETED", JSON.stringify(run.failure));
  assert.equal(run.stateHistory.filter(awaits).length, 1, "an answered question was asked again");
  assert.equal(run.currentStateName, "downloading_csv");
  assert.equal(run.workflowId, workflowId);
  assert.equal(run.jobRunId, null);
  assert.ok(run.startedAt >= run.createdAt && run.completedAt >= run.startedAt);
  assert.ok(run.output.count > 0);

  const artifacts = await json(await call("GET", `/workflow-runs/${run.id}/artifacts`), 200);
  assert.equal(artifacts.hasMore, false);
  assert.equal(artifacts.nextCursor, null);
  const types = new Set(artifacts.data.map((artifact) => artifact.type));
  for (const type of ["extracted_data", "download", "screenshot", "log"]) {
    assert.ok(types.has(type), `there is no artifact of type ${type}`);
  }
  for (const artifact of artifacts.data) {
    assert.equal(artifact.workflowRunId, run.id);
    assert.ok(new Date(artifact.downloadUrlExpiresAt) > new Date());
    // A client sends no key to the bucket.
    const download = await fetch(artifact.downloadUrl);
    assert.equal(download.status, 200);
    const bytes = Buffer.from(await download.arrayBuffer());
    assert.equal(bytes.length, artifact.sizeBytes, artifact.name);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), artifact.sha256, artifact.name);
    assert.ok(download.headers.get("content-disposition").includes(artifact.name));
  }
});

test("a run that finds nothing to do is polled to COMPLETED_WITH_NO_ACTION_TAKEN", async () => {
  const created = await create(`${local.practiceSiteUrl}/with/empty=on`);
  const run = await pollUntil(created.id, hasEnded);
  assert.equal(run.status, "COMPLETED_WITH_NO_ACTION_TAKEN", JSON.stringify(run.failure));
});

test("a cancelled run is polled to FAILED", async () => {
  // It never comes to a code: the phone shows the last one, and the next test's run has the same phone.
  const created = await create(`${local.practiceSiteUrl}/with/slow=30000`);
  const answer = await json(await call("POST", `/workflow-runs/${created.id}/cancel`), 200);
  assert.equal(answer.status, "FAILED");
  const run = await pollUntil(created.id, hasEnded);
  assert.equal(run.status, "FAILED");
  assert.equal(run.failure.code, "CANCELED");
});

test("a client that sends the ETag back is told 304 while nothing has changed, and when to ask again", async () => {
  const created = await create(`${local.practiceSiteUrl}/with/2fa=on`);
  const waiting = await pollUntil(created.id, awaits);
  const first = await call("GET", `/workflow-runs/${created.id}`);
  const tag = first.headers.get("etag");
  assert.equal(tag, `"${(await first.json()).sequence}"`);
  assert.match(first.headers.get("retry-after"), /^[1-9]\d*$/);

  const unchanged = await call("GET", `/workflow-runs/${created.id}`, undefined, { "if-none-match": tag });
  assert.equal(unchanged.status, 304);
  assert.equal(await unchanged.text(), "");
  assert.equal(unchanged.headers.get("etag"), tag);

  await answerWithTheCodeOnThePhone(waiting);
  const changed = await call("GET", `/workflow-runs/${created.id}`, undefined, { "if-none-match": tag });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get("etag"), tag);

  await pollUntil(created.id, hasEnded);
  const ended = await call("GET", `/workflow-runs/${created.id}`);
  assert.equal(ended.headers.get("retry-after"), null, "nobody needs to ask again");
});

test("the pages of a list show each run once, newest first, until there is no more", async () => {
  const shown = [];
  for (let cursor = null, hasMore = true; hasMore; ) {
    const query = new URLSearchParams({ workflowId, limit: "2", ...(cursor && { cursor }) });
    const page = await json(await call("GET", `/workflow-runs?${query}`), 200);
    assert.ok(page.data.length <= 2);
    assert.equal(page.nextCursor !== null, page.hasMore);
    for (const run of page.data) {
      checkFields(run, FIELDS);
      for (const name of Object.keys(FIELDS_OF_ONE)) assert.ok(!(name in run), `a list shows ${name}`);
      shown.push(run.id);
    }
    ({ hasMore, nextCursor: cursor } = page);
  }
  assert.deepEqual(shown, [...createdIds].reverse());
});
