// What a Node function does for the same answers, with its clients built at start. AWS's own runtime client for Node
// (aws-lambda-ric) has to be compiled with cmake and autotools, so the loop at the end speaks the Runtime API itself,
// which costs Node less than the real one would.
//
// It reads the two items that it needs one after the other and does nothing else: no check of a role, no log, no view.

import { createHash } from "node:crypto";
import http from "node:http";

import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import { SQSClient } from "@aws-sdk/client-sqs";

const dynamodb = new DynamoDBClient({});
export const others = [new SQSClient({}), new S3Client({}), new KMSClient({})];

async function item(partition, sort) {
  const Key = { pk: { S: partition }, sk: { S: sort } };
  return (await dynamodb.send(new GetItemCommand({ TableName: process.env.LEGWORK_TABLE, Key }))).Item;
}

function answer(statusCode, body) {
  return { statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

async function handler(event) {
  if (event.rawPath === "/health") return answer(200, { status: "ok" });
  const key = event.headers.authorization.replace(/^Bearer /, "");
  const hash = createHash("sha256").update(key).digest("hex");
  if ((await item(`KEY#${hash}`, "KEY")) === undefined) return answer(401, {});
  const id = event.rawPath.replace("/workflow-runs/", "");
  const run = await item(`RUN#${id}`, "RUN");
  return run === undefined ? answer(404, {}) : answer(200, { id, item: run });
}

const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, host, port, method, path: `/2018-06-01/runtime/${path}` }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

for (;;) {
  const next = await call("GET", "invocation/next");
  const result = JSON.stringify(await handler(JSON.parse(next.text)));
  await call("POST", `invocation/${next.headers["lambda-runtime-aws-request-id"]}/response`, result);
}
