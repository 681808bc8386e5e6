// Chromium, and everything it complains about: errors in its console, requests that fail, policies that are broken.

import puppeteer from "puppeteer-core";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

const WIDE = { width: 1100, height: 800 };
const PHONE = { width: 360, height: 740, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

export class Browser {
  /** `linkedin` is where the pages are that are not ours. */
  static async start(chromium, work, linkedin) {
    const browser = new Browser();
    browser.linkedin = linkedin;
    browser.pictures = join(work, "pictures");
    await mkdir(browser.pictures, { recursive: true });
    const args = ["--disable-background-networking", "--disable-component-update", "--no-first-run"];
    // Chromium's sandbox does not work for root; nothing but our own pages is opened here.
    if (process.getuid() === 0) args.push("--no-sandbox");
    browser.inner = await puppeteer.launch({ executablePath: chromium, headless: true, args });
    browser.complaints = [];
    return browser;
  }

  /** A member's browser, with cookies of its own. */
  async member(linkedin = this.linkedin) {
    const context = await this.inner.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(WIDE);
    const complain = (what) => this.complaints.push(`${page.url().split("?")[0]}: ${what}`);
    page.on("console", (said) => {
      // LinkedIn's own pages are not ours to judge.
      if (!said.location().url?.startsWith(linkedin)) complain(`console ${said.type()}: ${said.text()}`);
    });
    page.on("pageerror", (error) => complain(`script: ${error.message}`));
    page.on("requestfailed", (request) => complain(`${request.url()}: ${request.failure()?.errorText}`));
    await page.evaluateOnNewDocument(() => {
      document.addEventListener("securitypolicyviolation", (broken) =>
        console.error(`policy: ${broken.violatedDirective} ${broken.blockedURI}`),
      );
    });
    return page;
  }

  /** What it complained about since the last time. */
  complained() {
    return this.complaints.splice(0);
  }

  /** Pictures of a page as it looks by day, by night and on a telephone; whether it fits there. */
  async picture(page, name) {
    const take = (how) => page.screenshot({ path: join(this.pictures, `${name}-${how}.png`), fullPage: true });
    await take("day");
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    await take("night");
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    await page.setViewport(PHONE);
    await take("phone");
    const fits = await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
    await page.setViewport(WIDE);
    return fits;
  }

  end() {
    return this.inner.close();
  }
}

/** The page's words. */
export const words = (page) => page.evaluate(() => document.body.innerText);

/** Presses the button or link with these words, and waits for the page it leads to. */
export async function press(page, label) {
  const found = await page.waitForSelector(`::-p-xpath(//button[.="${label}"] | //a[.="${label}"])`, { timeout: 10_000 });
  await Promise.all([page.waitForNavigation(), found.click()]);
}
