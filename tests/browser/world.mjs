// LinkedIn's sandbox, a gateway before it, and an app that waits for its member: processes on free ports, in a folder
// of their own.

import { spawn, execFile } from "node:child_process";
import { mkdtemp, writeFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Nothing here takes longer, in milliseconds. */
const LIMIT = 30_000;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Tries until it gives something. */
async function until(what, look) {
  for (const end = Date.now() + LIMIT; Date.now() < end; await pause(50)) {
    const found = await look();
    if (found) return found;
  }
  throw new Error(`still waiting: ${what}`);
}

const isUp = (port) =>
  new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => done(socket.destroy() && true));
    socket.on("error", () => done(false));
  });

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Whatever goes wrong, nothing of this outlives us. */
const started = [];
process.on("exit", () => started.forEach((child) => child.kill("SIGKILL")));

/** A process, with what it has said so far. */
class Process {
  constructor(program, args) {
    this.child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.out = this.told = "";
    this.child.stdout.on("data", (text) => (this.out += text));
    this.child.stderr.on("data", (text) => (this.told += text));
    this.ended = new Promise((done) => this.child.on("close", done));
    started.push(this.child);
  }

  /** The first line on standard output. */
  line() {
    return until("a line", () => this.out.includes("\n") && this.out.split("\n")[0]);
  }

  /** Its exit code. */
  async code() {
    const late = pause(LIMIT).then(() => "does not end");
    return await Promise.race([this.ended, late]);
  }
}

/** The app that sent its member here, and gets them back. */
class App {
  constructor() {
    this.visits = [];
    this.server = createServer((request, answer) => {
      if (request.url !== "/favicon.ico") {
        this.visits.push({ url: request.url, referer: request.headers.referer });
      }
      answer.setHeader("content-type", "text/html");
      answer.end("<!doctype html><link rel=icon href='data:,'><title>the app</title>back at the app");
    });
  }

  async open() {
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
  }
}

export class World {
  /** Starts everything. */
  static async start(linkgate) {
    const world = new World();
    world.linkgate = linkgate;
    world.folder = await mkdtemp(join(tmpdir(), "linkgate-browser-"));
    world.app = new App();
    await world.app.open();
    world.linkedin = new Process(linkgate, ["sandbox", "--listen", "127.0.0.1:0"]);
    await until("the sandbox", () => world.linkedin.out.includes("a fault"));
    const [callers, admin, door] = [await freePort(), await freePort(), await freePort()];
    world.adminUrl = `http://127.0.0.1:${admin}`;
    world.gatewayUrl = `http://127.0.0.1:${callers}`;
    world.doorUrl = `http://127.0.0.1:${door}`;
    await world.configure({ callers, admin, door });
    world.gateway = new Process(linkgate, ["serve", "--config", world.config]);
    await until("the gateway", async () => (await isUp(door)) && (await isUp(callers)));
    world.key = (await world.run("keys", "create", "app", "--any-member")).trim();
    return world;
  }

  told(word) {
    const line = this.linkedin.out.split("\n").find((line) => line.startsWith(`${word} `));
    return line.split(/\s+/)[1];
  }

  async configure({ callers, admin, door }) {
    this.config = join(this.folder, "config.yaml");
    const secret = join(this.folder, "secret");
    await writeFile(secret, this.told("client_secret"), { mode: 0o600 });
    const api = this.told("api_url");
    const text = `
gateway: {listen: '127.0.0.1:${callers}'}
admin: {listen: '127.0.0.1:${admin}'}
connect:
  listen: 127.0.0.1:${door}
  public_url: ${this.doorUrl}
  title: Example App
  return_urls: ['${this.app.url}']
linkedin:
  {api_url: '${api}', oauth_url: '${this.told("oauth_url")}', uploads_url: '${api}', media_url: '${this.told("media_url")}'}
applications:
  - name: default
    client_id: '${this.told("client_id")}'
    client_secret_file: ${secret}
    scopes: [openid, profile, email, w_member_social]
`;
    await writeFile(this.config, text);
  }

  /** Runs a command to its end: what it printed. */
  run(...args) {
    return new Promise((done, failed) =>
      execFile(this.linkgate, [...args, "--config", this.config], (error, out, told) =>
        error ? failed(new Error(`${args.join(" ")}: ${told}`)) : done(out),
      ),
    );
  }

  /** Brings in a grant that LinkedIn made elsewhere, with every permission there is. */
  async import(name) {
    const body = JSON.stringify({ name });
    const made = await fetch(`${this.told("api_url")}/_sandbox/members`, { method: "POST", body });
    const command = this.begin("members", "import", name);
    command.child.stdin.end(await made.text());
    const code = await command.code();
    if (code !== 0) throw new Error(`members import: ${command.told}`);
  }

  /** Starts the demo: the link it prints, and where its LinkedIn is. */
  async demo() {
    const demo = new Process(this.linkgate, ["demo"]);
    const link = await until("the demo's link", () => /^ *(http:\S+\/connect\/start\/\S+)/m.exec(demo.out)?.[1]);
    const linkedin = /\(the sandbox; (http:\S+) in plain\)/.exec(demo.out)[1];
    return { demo, link, linkedin };
  }

  /** How often LinkedIn has renewed the member's token. */
  async renewals(name) {
    const counts = await fetch(`${this.told("api_url")}/_sandbox/counts`);
    return (await counts.json()).renewals[name] ?? 0;
  }

  /** Makes an operator's token. */
  async operator(role) {
    return (await this.run("operators", "create", `${role}-person`, "--role", role)).trim();
  }

  /** Starts a command that waits. */
  begin(...args) {
    return new Process(this.linkgate, [...args, "--config", this.config]);
  }

  /** One call by the app, for a member. */
  async call(member) {
    const headers = { authorization: `Bearer ${this.key}~${member}` };
    const answer = await fetch(`${this.gatewayUrl}/v2/userinfo`, { headers });
    return { status: answer.status, body: await answer.json() };
  }

  /** One call that LinkedIn does not know: the exchange's id, as the app's error shows it. */
  async fail(path, member, headers = {}) {
    const own = { authorization: `Bearer ${this.key}~${member}`, "linkedin-version": "202609", ...headers };
    const answer = await fetch(`${this.gatewayUrl}${path}`, { headers: own });
    if (answer.status < 400) throw new Error(`it went well: ${answer.status}`);
    return answer.headers.get("linkgate-exchange");
  }

  /** One post that LinkedIn refuses: the exchange's id. */
  async refusedPost(member, body) {
    const headers = { authorization: `Bearer ${this.key}~${member}`, "content-type": "application/json", "linkedin-version": "202609" };
    const answer = await fetch(`${this.gatewayUrl}/rest/nowhere`, { method: "POST", headers, body });
    if (answer.status < 400) throw new Error(`it went well: ${answer.status}`);
    return answer.headers.get("linkgate-exchange");
  }

  /** What a member or time does at LinkedIn: `expire`, `revoke`. */
  async happens(name, action) {
    const body = JSON.stringify({ name, action });
    const answer = await fetch(`${this.told("api_url")}/_sandbox/members`, { method: "POST", body });
    if (!answer.ok) throw new Error(`the sandbox answered ${answer.status}`);
  }

  /** Ends everything that was started. */
  async end() {
    for (const own of [this.gateway, this.linkedin]) {
      own.child.kill("SIGTERM");
      await own.ended;
    }
    this.app.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

export { until };
