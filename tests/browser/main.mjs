// The stories. Each ends with: the browser complained about nothing.

import assert from "node:assert/strict";
import { Browser, press, words } from "./browser.mjs";
import { deskStories } from "./desk.mjs";
import { World, until } from "./world.mjs";

const [linkgate, chromium, work] = process.argv.slice(2);
const world = await World.start(linkgate);
const browser = await Browser.start(chromium, work, world.told("api_url"));
let passed = 0;
let failed = 0;

async function story(name, play) {
  try {
    await play();
    const complaints = browser.complained();
    assert.deepEqual(complaints, [], "the browser complains");
    console.log(`ok      ${name}`);
    passed += 1;
  } catch (error) {
    browser.complained();
    console.log(`FAILED  ${name}\n        ${error.stack}`);
    failed += 1;
  }
}

const looks = async (page, name) => assert(await browser.picture(page, name), `${name} does not fit a telephone`);

const says = async (page, ...all) => {
  const text = await words(page);
  for (const wanted of all) assert(text.includes(wanted), `no ${JSON.stringify(wanted)} in:\n${text}`);
};

/** Opens a link and goes on to LinkedIn, where `member` presses `button`. */
async function atLinkedIn(page, link, member, button) {
  await page.goto(link);
  await press(page, "Continue to LinkedIn");
  assert((await page.title()).includes("LinkedIn (sandbox)"), await page.title());
  await page.select("select[name=sandbox_member]", member);
  await press(page, button);
}

const isStyled = (page) =>
  page.evaluate(() => getComputedStyle(document.querySelector(".card")).borderRadius !== "0px");

await story("a member signs in by the command's link and is shown with name and portrait", async () => {
  const command = world.begin("members", "connect", "ada");
  const link = await command.line();
  const page = await browser.member();

  await page.goto(link);
  await says(page, "Connect your LinkedIn account", "Example App", "Post, comment and react in your name");
  assert(await isStyled(page), "the style sheet is not applied");
  await looks(page, "start");
  await atLinkedIn(page, link, "ada", "Allow");

  await says(page, "Signed in as Ada Lovelace", "You can close this window", "renewed without you");
  const portrait = await page.$eval(".portrait", (picture) => [picture.alt, picture.complete && picture.naturalWidth]);
  assert.deepEqual(portrait, ["Portrait of Ada Lovelace", 100]);
  assert(!/code|state/.test(new URL(page.url()).search), "neither code nor state stands in the address");
  await looks(page, "signed-in");
  assert.equal(await command.code(), 0, command.told);
  assert(command.told.includes("signed in as Ada Lovelace"), command.told);
  assert.equal((await world.call("ada")).status, 200);

  await page.reload();
  await says(page, "Signed in as Ada Lovelace");
  const stranger = await fetch(page.url());
  assert.equal(stranger.status, 404, "no other browser is shown who signed in");
});

for (const [button, title, name] of [
  ["Cancel", "You did not allow access", "cancelled-authorize"],
  ["Cancel login", "You did not sign in to LinkedIn", "cancelled-login"],
]) {
  await story(`a member who presses ${button} is told what to do, and may try again`, async () => {
    const command = world.begin("members", "connect", "grace");
    const link = await command.line();
    const page = await browser.member();

    await atLinkedIn(page, link, "grace", button);

    await says(page, title, "nothing has changed", "try again");
    await looks(page, name);
    assert.equal(await command.code(), 1, command.told);
    await press(page, "Try again");
    await says(page, "Connect your LinkedIn account");
    assert.equal(page.url().split("?")[0], link);
  });
}

await story("who revoked at LinkedIn signs in again by the link in the refusal, and is served at once", async () => {
  // The access token is over first: that of a token this young would be taken for LinkedIn's lag.
  await world.happens("ada", "expire");
  await world.happens("ada", "revoke");
  const refused = await world.call("ada");
  assert.deepEqual([refused.status, refused.body.code], [401, "sign_in_needed"]);
  const page = await browser.member();

  await atLinkedIn(page, refused.body.connect_url, "ada", "Allow");

  await says(page, "Signed in as Ada Lovelace");
  assert.equal((await world.call("ada")).status, 200);
});

await story("a member whom an app sent is taken back to it, without a referrer", async () => {
  const command = world.begin("members", "connect", "katherine");
  const link = await command.line();
  const page = await browser.member();

  await page.goto(`${link}?return_to=${encodeURIComponent(world.app.url)}`);
  await says(page, "back to 127.0.0.1");
  await press(page, "Continue to LinkedIn");
  await page.select("select[name=sandbox_member]", "katherine");
  await press(page, "Allow");
  await says(page, "Signed in as Katherine Johnson", "taken back to 127.0.0.1");
  await looks(page, "going-back");
  await until("the app's page", () => page.url().startsWith(world.app.url));

  assert.deepEqual(world.app.visits, [{ url: "/?linkgate_result=connected", referer: undefined }]);
  assert.equal(await command.code(), 0, command.told);
});

await story("another account than before is refused, and nothing of either is shown", async () => {
  const command = world.begin("members", "connect", "ada");
  const link = await command.line();
  const page = await browser.member();

  await atLinkedIn(page, link, "linus", "Allow");

  await says(page, "That is another LinkedIn account");
  assert(!/Lovelace|Pauling/.test(await words(page)), "nobody is named");
  await looks(page, "another-account");
  assert.equal(await command.code(), 1, command.told);
});

await story("a page warns where signing in would end earlier tokens", async () => {
  // A grant with other permissions than are asked for now, brought in from elsewhere.
  await world.import("linus");
  const command = world.begin("members", "connect", "linus");
  const page = await browser.member();

  await page.goto(await command.line());

  await says(page, "Before you go on", "LinkedIn then ends what you allowed");
  await looks(page, "warning");
  assert(command.told.includes("careful: "), command.told);
  command.child.kill();
});

await story("whoever comes back in another browser, or twice, is told so", async () => {
  const [page, other] = [await browser.member(), await browser.member()];
  const command = world.begin("members", "connect", "grace");
  await page.goto(await command.line());
  await press(page, "Continue to LinkedIn");
  // The address LinkedIn sends the member back to, opened elsewhere first.
  const consent = `${page.url()}&sandbox_member=grace&sandbox_decision=allow`;
  const sent = await fetch(consent, { redirect: "manual" });
  const callback = sent.headers.get("location");

  await other.goto(callback);
  await says(other, "You began in another browser");
  await looks(other, "other-browser");
  await page.goto(callback);
  await says(page, "Signed in as Grace Hopper");
  await page.goto(callback);
  await says(page, "This step was already done");
  assert.equal(await command.code(), 0, command.told);
});

await story("the demo's link signs a third member in", async () => {
  const { demo, link, linkedin } = await world.demo();
  const page = await browser.member(linkedin);

  await atLinkedIn(page, link, "katherine", "Allow");

  await says(page, "Signed in as Katherine Johnson");
  demo.child.kill("SIGINT");
  assert.equal(await demo.code(), 0, demo.told);
});

await story("what a browser complains about is heard", async () => {
  const page = await browser.member();
  await page.goto(`${world.doorUrl}/connect/ended/state_used`);
  await page.evaluate(() => (document.body.innerHTML += "<p style='color: red'>against the policy</p>"));

  // Chromium's own words, and those of the event.
  await until("two complaints", () => browser.complaints.length >= 2);

  const heard = browser.complained();
  assert(heard.every((complaint) => complaint.includes("style")), heard.join("; "));
});

/** Signs in at the operators' door. */
async function signIn(page, token, path = "/") {
  // A window behind another one is given no focus.
  await page.bringToFront();
  await page.goto(`${world.adminUrl}${path}`);
  await says(page, "Operator token");
  // Chromium gives it with the first picture of the page, which may come after the page has loaded.
  await until("the field has the focus", () => page.evaluate(() => document.activeElement.id === "token"));
  await page.keyboard.type(token);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

await story("an operator signs in, sees a member with name and portrait, and renews", async () => {
  const token = await world.operator("operator");
  const page = await browser.member();
  await page.goto(`${world.adminUrl}/`);
  await looks(page, "operator-sign-in");

  await signIn(page, token, "/members/default/ada");
  assert.equal(page.url(), `${world.adminUrl}/members/default/ada`, "led back to the page that was asked for");
  await says(page, "Ada Lovelace", "fresh", "operator-person · operator");
  const width = await page.$eval(".portrait", (picture) => picture.complete && picture.naturalWidth);
  assert.equal(width, 100, "the portrait is shown");
  await looks(page, "operator-member");
  await press(page, "Renew now");
  await says(page, "Renewed: a new access token is in use.");
  await press(page, "Make a connect link");
  await says(page, "Send this link to the member alone");
  await looks(page, "operator-link");

  await press(page, "Overview");
  await says(page, "Ready", "fresh", "Who must sign in again");
  await looks(page, "operator-overview");
  await press(page, "Members");
  await says(page, "Grace Hopper", "default");
  await looks(page, "operator-members");
  await page.type("#text", "lovelace");
  await press(page, "Show");
  await says(page, "Ada Lovelace");
  assert(!(await words(page)).includes("Grace"), "only those looked for");

  const cookies = await page.browserContext().cookies();
  const [ours] = cookies.filter((cookie) => cookie.name === "linkgate_session");
  assert.deepEqual([ours.httpOnly, ours.sameSite, ours.session], [true, "Strict", true]);
  await press(page, "Sign out");
  await page.goto(`${world.adminUrl}/members`);
  await says(page, "Operator token");
});

await story("support looks, and is offered no change", async () => {
  const page = await browser.member();
  await signIn(page, await world.operator("support"), "/members/default/ada");

  await says(page, "Ada Lovelace", "support-person · support");
  for (const button of ["Renew now", "Disconnect…", "Make a connect link"]) {
    assert(!(await words(page)).includes(button), button);
  }
  await looks(page, "support-member");
});

await story("an operator disconnects a member after being asked, and a wrong token is told so", async () => {
  const page = await browser.member();
  await signIn(page, "lgo_nothing", "/members/default/grace");
  await says(page, "This is no operator token that is in force.");
  // The browser itself says in its console that the page came with 401.
  browser.complained();
  await page.type("#token", await world.operator("operator"));
  await press(page, "Sign in");

  await press(page, "Disconnect…");
  await says(page, "Disconnect grace?", "destroyed at once");
  await looks(page, "operator-disconnect");
  await press(page, "Disconnect");
  await says(page, "Disconnected");
  assert.equal((await world.call("grace")).status, 403);
});

await story("another site's page cannot make a signed-in browser change anything", async () => {
  const page = await browser.member();
  await signIn(page, await world.operator("operator"));
  const target = `${world.adminUrl}/members/default/ada/renew`;
  const before = await world.renewals("ada");
  await page.goto(world.app.url);
  const answered = page.waitForNavigation();
  await page.evaluate((action) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action });
    document.body.append(form);
    form.submit();
  }, target);
  await answered;
  // Another port is the same site, so the cookie travels; the door looks at the origin.
  await says(page, "this did not come from a page of this listener");
  // The browser itself says in its console that the page came with 403.
  browser.complained();
  assert.equal(await world.renewals("ada"), before, "nothing was renewed");
});

await deskStories({ world, browser, story, says, looks, signIn });

await browser.end();
await world.end();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
