// Walks through the desk as an operator does, in Chromium: walk.mjs BASE DIGEST PASSWORD SHOTS. Fails with what is wrong.
// Each page is looked at by axe, light and dark, wide and narrow; what the browser itself complains about counts, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [base, digest, password, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const complaints = [];
let looked = 0;

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});

async function open(options) {
    const context = await browser.newContext({ baseURL: base, ...options });
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    page.on("console", (message) => {
        // A page that says 401 or 404 is told of as an error, which is not one of ours.
        if (message.type() === "error" && !/status of 40[14]/.test(message.text())) complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
    return page;
}

// What axe finds serious or critical, and whether the page is wider than the window.
async function look(page, name, framing) {
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const serious = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
    for (const it of serious) complaints.push(`${name}: ${it.id}: ${it.help}: ${it.nodes.map((node) => node.html).join(" ")}`);
    for (const it of found.violations) console.log(`${name}: ${it.impact}: ${it.id}: ${it.help}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) complaints.push(`${name}: ${wide} px wider than the window`);
    if (shots) await page.screenshot({ path: `${shots}/${name}.png`, ...framing });
    looked += 1;
}

// Clicks on what leads to a page, and waits until that is there.
const follow = (page, what) => Promise.all([page.waitForEvent("load"), what.click()]);

async function logIn(page) {
    await page.goto("/quarantine");
    assert.match(page.url(), /\/login\?next=/);
    await page.getByLabel("Name").fill("olga");
    await page.getByLabel("Password").fill(password);
    await follow(page, page.getByRole("button", { name: "Log in" }));
    await page.waitForURL("**/quarantine");
}

// By mouse and window: in, refused once; overview; list, filtered; evidence; released; noted.
const wide = await open({ viewport: { width: 1280, height: 900 }, colorScheme: "light" });
await wide.goto("/");
await look(wide, "login");
await wide.getByLabel("Name").fill("olga");
await wide.getByLabel("Password").fill("not her password");
await follow(wide, wide.getByRole("button", { name: "Log in" }));
assert.equal(await wide.getByRole("alert").innerText(), "No such name and password.");
await look(wide, "login-refused");
await wide.getByLabel("Password").fill(password);
await follow(wide, wide.getByRole("button", { name: "Log in" }));
await wide.getByRole("heading", { name: "Overview" }).waitFor();
// A worker tells the fleet of its verdicts every 10 seconds.
for (let tries = 0; (await wide.getByRole("img", { name: "quarantined" }).count()) !== 1; tries += 1) {
    assert.ok(tries < 300, "a chart has a name");
    await wide.waitForTimeout(100);
    await wide.reload();
}
await wide.getByRole("row", { name: "seccomp required yes" }).waitFor();
await look(wide, "overview", { fullPage: true });
await follow(wide, wide.getByRole("link", { name: "30 days" }));
await wide.waitForURL("**/?span=30d");
assert.equal(await wide.getByRole("img", { name: "quarantined" }).count(), 1, "a chart has a name");
for (const numbers of await wide.getByText("In numbers").all()) await numbers.click();
assert.ok((await wide.getByRole("columnheader", { name: "quarantined" }).count()) === 1, "a chart has its numbers");
await look(wide, "overview-numbers");

await follow(wide, wide.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name: "Quarantine" }));
await wide.getByLabel("Reason").selectOption("crash");
await follow(wide, wide.getByRole("button", { name: "Filter" }));
assert.equal(await wide.getByText("Nothing here.").count(), 1);
await look(wide, "quarantine-empty");
await wide.getByLabel("Reason").selectOption("");
await wide.getByLabel("State").selectOption("quarantined");
await follow(wide, wide.getByRole("button", { name: "Filter" }));
assert.ok((await wide.getByRole("row").count()) > 1);
await look(wide, "quarantine");
const entries = () => wide.locator('tbody a[href^="/quarantine/"]').evaluateAll((links) => links.map((link) => link.href));
const newest = await entries();
await wide.getByLabel("First").selectOption("oldest");
await follow(wide, wide.getByRole("button", { name: "Filter" }));
assert.deepEqual(await entries(), newest.reverse());
assert.equal(await wide.getByLabel("First").inputValue(), "oldest");

await follow(wide, wide.locator(`a[href="/quarantine/${digest}"]`));
await wide.getByRole("heading", { name: "Strikes" }).waitFor();
assert.ok((await wide.getByText("grant.cpu_ms").count()) >= 1);
await look(wide, "entry");
const form = (action) => wide.locator(`form[action$="/${action}"]`);
await form("note").getByRole("button").click();
assert.equal(await wide.getByText("seen by Chromium").count(), 0, "a note without words is not sent");
await form("note").getByLabel("Why").fill("seen by Chromium");
await follow(wide, form("note").getByRole("button"));
await wide.getByText("seen by Chromium").waitFor();
await follow(wide, wide.getByRole("button", { name: "Retest now" }));
for (let tries = 0; (await wide.getByText(/^retest: tripped/).count()) === 0; tries += 1) {
    assert.ok(tries < 200, "the retest ends");
    await wide.waitForTimeout(100);
    await wide.reload();
}
await form("release").getByLabel("Why").fill("a photograph <b>of ours</b>");
await follow(wide, form("release").getByRole("button"));
await wide.getByRole("heading", { name: /^released/ }).waitFor();
assert.equal(await wide.getByText("a photograph <b>of ours</b>").count(), 1);
await look(wide, "entry-released");

// Many at once: one is ticked, confirmed in the background, and its page says so.
const to = (name) => wide.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name });
await follow(wide, to("Quarantine"));
await wide.locator(`input[name="entry"]:not([value^="${digest}"])`).first().check();
await wide.getByLabel("What", { exact: true }).selectOption("confirm");
await wide.getByLabel("Why").fill("seen by many");
await follow(wide, wide.getByRole("button", { name: "Decide" }));
await wide.waitForURL("**/bulk/*");
for (let tries = 0; (await wide.getByText("It has ended.").count()) === 0; tries += 1) {
    assert.ok(tries < 200, "the run ends");
    await wide.waitForTimeout(100);
    await follow(wide, wide.getByRole("link", { name: "Load again" }));
}
await look(wide, "many");

// A tenant: found by name, blocked, its purge looked at and left; all of it in the audit trail.
await follow(wide, to("Tenants"));
await look(wide, "tenants");
await wide.getByRole("textbox", { name: "Tenant" }).fill("acme");
await follow(wide, wide.getByRole("button", { name: "Show" }));
await wide.getByRole("heading", { name: "Tenant acme" }).waitFor();
await form("refuse").getByLabel("Why").fill("a flood");
await follow(wide, form("refuse").getByRole("button"));
await wide.getByText("blocked (refuse)").first().waitFor();
await form("limit").getByLabel("Jobs begun per minute").fill("60");
await follow(wide, form("limit").getByRole("button"));
await wide.getByText("jobs/min 60").first().waitFor();
await look(wide, "tenant");
await follow(wide, wide.getByRole("link", { name: /^Purge/ }));
await wide.getByRole("heading", { name: "Purge acme?" }).waitFor();
await look(wide, "purge");
await follow(wide, wide.getByRole("link", { name: "Leave it as it is" }));
await follow(wide, to("Audit"));
await wide.getByText("seen by many").waitFor();
await look(wide, "audit");
await wide.getByLabel("About").selectOption("tenants");
await follow(wide, wide.getByRole("button", { name: "Filter" }));
await wide.getByText("a flood").waitFor();
const [saved] = await Promise.all([wide.waitForEvent("download"), wide.getByRole("link", { name: /^Export/ }).click()]);
assert.equal(saved.suggestedFilename(), "lazaret-audit.jsonl");
await wide.goto("/no-such-page");
await look(wide, "not-found");

// By keyboard alone: past the head, to the list, to its first entry.
await wide.goto("/quarantine");
await wide.keyboard.press("Tab");
assert.equal(await wide.evaluate(() => document.activeElement.textContent), "Skip to content");
await wide.keyboard.press("Enter");
assert.equal(await wide.evaluate(() => location.hash), "#content");
for (let presses = 0; !(await wide.evaluate(() => document.activeElement.getAttribute("href")?.startsWith("/quarantine/"))); presses += 1) {
    assert.ok(presses < 40, "an entry is reached by Tab");
    await wide.keyboard.press("Tab");
}
await wide.keyboard.press("Enter");
await wide.getByRole("heading", { name: "Audit" }).waitFor();
await follow(wide, wide.getByRole("button", { name: "Log out" }));
await wide.waitForURL("**/login");

// On a phone, in the dark.
const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true, hasTouch: true });
await phone.goto("/login");
await look(phone, "phone-login");
await logIn(phone);
await look(phone, "phone-quarantine");
await phone.goto(`/quarantine/${digest}`);
await look(phone, "phone-entry");
await phone.goto("/");
await look(phone, "phone-overview");
await phone.goto("/tenants/acme");
await look(phone, "phone-tenant");
await phone.goto("/audit");
await look(phone, "phone-audit");

// Without JavaScript.
const plain = await open({ viewport: { width: 1280, height: 900 }, javaScriptEnabled: false });
await logIn(plain);
await plain.getByLabel("State").selectOption("released");
await follow(plain, plain.getByRole("button", { name: "Filter" }));
await follow(plain, plain.locator(`a[href="/quarantine/${digest}"]`));
await plain.getByRole("heading", { name: "Audit" }).waitFor();

await browser.close();
assert.deepEqual(complaints, []);
console.log(`${looked} looks`);
