// Whether files are HAR 1.2 by har-validator, and whether it would have noticed.
import { readFileSync } from "node:fs";
import validator from "har-validator/lib/promise.js";

const [incidents, ...files] = process.argv.slice(2);
let [passed, failed] = [0, 0];

function check(name, isSo, told = "") {
  isSo ? passed++ : failed++;
  console.log(`${isSo ? "ok    " : "FAILED"} ${name} ${isSo ? "" : told}`);
}

async function fault(har) {
  try {
    await validator.har(har);
    return null;
  } catch (error) {
    return JSON.stringify(error.errors ?? String(error));
  }
}

for (const file of files) {
  const har = JSON.parse(readFileSync(file, "utf8"));
  const told = await fault(har);
  check(`${file}: ${har.log.entries.length} entries are valid`, told === null, told);
}

const all = JSON.parse(readFileSync(files[0], "utf8"));
const exchanges = new Set(all.log.entries.map((entry) => entry._exchange_id));
check(`each of ${incidents} incidents has an entry`, Number(incidents) >= 9 && exchanges.size === Number(incidents), [...exchanges]);
const kinds = {
  "nothing was sent": (entry) => entry._attempt === 0,
  "a second attempt": (entry) => entry._attempt === 2,
  "no answer": (entry) => entry.response.status === 0 && entry._error,
  "a text body": (entry) => entry.request.postData?.text === '{"a":1}',
  "a binary body": (entry) => entry.request.postData?._encoding === "base64",
  "LinkedIn's id": (entry) => entry._x_li_uuid,
};
for (const [kind, isIt] of Object.entries(kinds)) check(`there is an entry with ${kind}`, all.log.entries.some(isIt));

// The control: the validator refuses what is no HAR.
for (const spoil of [
  (har) => delete har.log.entries[0].request.method,
  (har) => (har.log.entries[0].startedDateTime = "yesterday"),
  (har) => (har.log.entries[0].timings.wait = "long"),
  (har) => (har.log.entries[0].request.url = "no url"),
]) {
  const har = structuredClone(all);
  spoil(har);
  check(`the control: ${spoil} is refused`, (await fault(har)) !== null);
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
