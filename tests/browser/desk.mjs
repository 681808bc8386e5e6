// What support does: from an app's error to a ticket, with filters, a live tail, decisions about signatures; by both
// roles, on a telephone, and without scripts.

import assert from "node:assert/strict";
import { press, words } from "./browser.mjs";
import { until } from "./world.mjs";

/** Writes into the search box of any page and presses Enter. */
async function find(page, text) {
  await page.type("form.find input", text);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
}

export async function deskStories({ world, browser, story, says, looks, signIn }) {
  const support = await world.operator("support");
  const operator = await world.operator("operator");

  await story("support finds an app's error by its id, reads why, and has a ticket", async () => {
    const id = await world.fail("/rest/nowhere/17", "ada", { "x-request-id": "the-apps-own-17" });
    const page = await browser.member();
    await signIn(page, support);

    await find(page, `{"exchange_id":"${id}"}`);

    assert.equal(page.url(), `${world.adminUrl}/incidents/${id}`);
    await says(page, "/rest/nowhere/17", "Try:", "Where the time went", "Attempt 1", "x-li-uuid", "the-apps-own-17");
    await looks(page, "incident");
    const ticket = await page.$eval(".exports a", (link) => link.href);
    const got = await page.evaluate(async (href) => {
      const answer = await fetch(href);
      return [answer.status, await answer.text()];
    }, ticket);
    assert.equal(got[0], 200, got[1]);
    assert(got[1].includes("x-li-uuid"), got[1]);
    await find(page, "the-apps-own-17");
    assert.equal(page.url(), `${world.adminUrl}/incidents/${id}`, "by the app's own id, too");
  });

  await story("an id is copied by its button", async () => {
    const id = await world.fail("/rest/nowhere/18", "ada");
    const page = await browser.member();
    await page.browserContext().overridePermissions(world.adminUrl, ["clipboard-read", "clipboard-write"]);
    await signIn(page, support, `/incidents/${id}`);
    await page.bringToFront();

    await page.click("button[data-copy]");

    await until("the button says so", async () => (await words(page)).includes("Copied"));
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
  });

  await story("a list is filtered by a form whose URL can be shared", async () => {
    const of_linus = await world.fail("/rest/shared/1", "linus");
    const of_ada = await world.fail("/rest/shared/2", "ada");
    const page = await browser.member();
    await signIn(page, support, "/incidents");
    await looks(page, "incidents");

    await page.type("#member", "linus");
    await press(page, "Show");

    assert.equal(new URL(page.url()).searchParams.get("member"), "linus");
    const html = await page.content();
    assert(html.includes(of_linus) && !html.includes(of_ada), html);
    const other = await browser.member();
    await signIn(other, operator, new URL(page.url()).pathname + "?member=linus");
    assert((await other.content()).includes(of_linus), "the same list for whom the URL was sent to");
  });

  await story("a live list shows a new incident without being loaded again", async () => {
    const page = await browser.member();
    await signIn(page, support, "/incidents?member=ada");
    await press(page, "Live");
    await until("it is live", async () => (await words(page)).includes("Live: new incidents"));
    await page.evaluate(() => (window.wasNotLoadedAgain = true));

    const id = await world.fail("/rest/now/1", "ada");

    await page.waitForSelector(`a[href="/incidents/${id}"]`, { timeout: 10_000 });
    assert.equal(await page.evaluate(() => window.wasNotLoadedAgain), true);
    const first = await page.$eval("table.incidents tbody tr a", (link) => link.getAttribute("href"));
    assert.equal(first, `/incidents/${id}`, "the newest stands first");
    await press(page, "Stop");
  });

  await story("bodies are shown to operators and not to support", async () => {
    const id = await world.refusedPost("ada", '{"commentary":"not for everybody"}');
    const [theirs, ours] = [await browser.member(), await browser.member()];
    await signIn(theirs, support, `/incidents/${id}`);
    await signIn(ours, operator, `/incidents/${id}`);

    await says(theirs, "Bodies are shown to operators only");
    assert(!(await words(theirs)).includes("not for everybody"));
    await says(ours, "not for everybody");
    await looks(ours, "incident-with-bodies");
  });

  await story("a signature is muted, resolved, and said to have come again", async () => {
    await world.fail("/rest/kind-of-its-own", "ada");
    const page = await browser.member();
    await signIn(page, support, "/signatures?window=1h");
    await says(page, "GET /rest/kind-of-its-own 404", "NEW".toLowerCase());
    await looks(page, "signatures");
    const decide = async (label) => {
      const button = await page.waitForSelector(
        `::-p-xpath(//tr[contains(., "kind-of-its-own")]//button[.="${label}"])`,
      );
      await Promise.all([page.waitForNavigation(), button.click()]);
    };

    await decide("Mute");
    assert(!(await words(page)).includes("kind-of-its-own"), "folded away");
    await page.click("summary");
    await says(page, "kind-of-its-own", "muted by support-person");
    await decide("Resolve");
    await says(page, "resolved by support-person");
    // The decision is known to the second.
    const decided = Date.now();
    await until("the next second", () => Date.now() > decided + 2000);
    await world.fail("/rest/kind-of-its-own", "ada");
    await page.reload();
    await says(page, "again since");
    await decide("Reopen");
    assert(!(await words(page)).includes("again since"));
  });

  await story("every page fits a telephone and complains about nothing", async () => {
    const page = await browser.member();
    await signIn(page, operator);
    for (const [name, path] of [
      ["overview", "/"],
      ["find", "/find"],
      ["incidents-filtered", "/incidents?path=%2Frest&since=1h&live=1"],
      ["incidents-none", "/incidents?text=nothing-has-this"],
      ["callers", "/callers"],
      ["member-incidents", "/members/default/ada"],
    ]) {
      await page.goto(`${world.adminUrl}${path}`);
      await looks(page, `desk-${name}`);
    }
    await page.goto(`${world.adminUrl}/`);
    await says(page, "calls since the start", "What went wrong in the last hour", "kind-of-its-own");
  });

  await story("everything works with scripts switched off", async () => {
    const page = await browser.member();
    await page.setJavaScriptEnabled(false);
    await page.goto(`${world.adminUrl}/incidents`);
    await page.type("#token", support);
    await press(page, "Sign in");
    const id = await world.fail("/rest/without-scripts", "ada");

    await press(page, "Refresh");
    assert((await page.content()).includes(id), "a plain link shows what is new");
    await press(page, "Live");
    assert((await page.content()).includes(">refresh</a>"), "there is a way without scripts");
    await find(page, id);
    await says(page, "/rest/without-scripts", "Try:");
    assert.equal(await page.$$eval("button.copy", (all) => all.filter((one) => one.checkVisibility()).length), 0);
  });
}
