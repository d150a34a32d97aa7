// Real programs and a real browser: what every end-to-end test begins with.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { Wire } from './wire.mjs';

export const huis = process.env.HUIS ?? new URL('../../bin/huis', import.meta.url).pathname;
export const out = new URL('out/', import.meta.url).pathname;
export const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export const browserPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

export const flags = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--ignore-certificate-errors',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
];

export function assert(ok, what) {
  if (!ok) throw new Error(what);
}

/** One run: a folder, processes and contexts that end with it. */
export class World {
  dir = mkdtempSync(join(tmpdir(), 'huis-e2e-'));
  program = huis; // what serves
  #processes = [];
  browser;
  wire; // what the browser sends, if begin was asked to keep it
  asked = new Set(); // origins that pages asked for something
  #serving;

  /** @param {{ wire?: boolean, flags?: string[] }} how */
  static async begin(how = {}) {
    const w = new World();
    assert(existsSync(huis), `there is no ${huis}: run make build`);
    assert(browserPath, 'there is no Chromium: apt-get install chromium');
    mkdirSync(out, { recursive: true });
    if (how.wire) w.wire = await Wire.begin();
    w.browser = await chromium.launch({
      executablePath: browserPath,
      args: [...(w.wire?.flags ?? []), ...(how.flags ?? []), ...flags],
    });
    return w;
  }

  /** Starts the program and waits for an object for which want gives something. */
  start(args, want) {
    const p = spawn(args[0] === 'serve' ? this.program : huis, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.dir,
    });
    this.#processes.push(p);
    if (args[0] === 'serve') this.#serving = p;
    let errors = '';
    p.stderr.on('data', (d) => (errors += d));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`huis ${args[0]} says nothing\n${errors}`)), 60_000);
      p.on('exit', (code) => reject(new Error(`huis ${args[0]} ended with ${code}\n${errors}`)));
      createInterface({ input: p.stdout }).on('line', (line) => {
        const found = want(JSON.parse(line));
        if (!found) return;
        clearTimeout(timer);
        resolve(found);
      });
    });
  }

  /** The server; started again it has the ports of before. web is the address for browsers of this computer. */
  async server() {
    const seen = {};
    return this.start(
      ['serve', '--json', '--listen', '127.0.0.1:0', '--data', join(this.dir, 'data')],
      (o) => {
        Object.assign(seen, o);
        return seen.event === 'ready' ? { url: seen.url, invite: seen.invite, web: seen.web } : null;
      },
    );
  }

  /** Ends the server as a power cut does. */
  async killServer() {
    const p = this.#serving;
    p.removeAllListeners('exit');
    const gone = new Promise((done) => p.once('exit', done));
    p.kill('SIGKILL');
    await gone;
  }

  /** huis app for a profile; gives the address to open once. */
  app(profile) {
    return this.start(
      ['app', '--json', '--profile', join(this.dir, profile)],
      (o) => o.url ?? o.link ?? null,
    );
  }

  /** A command of the CLI; gives its objects. */
  cli(profile, ...args) {
    const r = spawnSync(huis, [...args, '--json', '--profile', join(this.dir, profile)], {
      encoding: 'utf8',
      timeout: 90_000,
    });
    assert(r.status === 0, `huis ${args.join(' ')}: ${r.status}\n${r.stderr}`);
    return r.stdout
      .split('\n')
      .filter(Boolean)
      .map((l) => JSON.parse(l));
  }

  /** A browser profile of its own. Whatever the page complains of is kept. */
  async page(over = {}) {
    const context = await this.browser.newContext({
      viewport: sizes.desktop,
      locale: 'en',
      ignoreHTTPSErrors: true,
      acceptDownloads: true,
      ...over,
    });
    context.on('request', (q) => /^(http|ws)/.test(q.url()) && this.asked.add(new URL(q.url()).origin));
    return watch(await context.newPage());
  }

  /** What there is to see when a run failed: pictures, and what the pages said meanwhile. */
  async failed(name, pages) {
    for (const [who, page] of Object.entries(pages)) {
      if (!page) continue;
      await page.screenshot({ path: out + `${name}-${who}.png`, timeout: 5000 }).catch(() => undefined);
      console.error(`${who} at ${page.url()}`, page.complaints ?? '', page.notices ?? '');
    }
  }

  async end() {
    await this.browser?.close();
    await this.wire?.end();
    for (const p of this.#processes) p.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Keeps what a page complains of, and the notices that pass. */
export async function watch(page) {
  page.complaints = [];
  page.notices = [];
  page.on('pageerror', (e) => page.complaints.push(`error: ${e.message}`));
  page.on('console', (m) => {
    if (m.type() === 'error') page.complaints.push(m.text());
    if (m.text().startsWith('notice: ')) page.notices.push(m.text().slice(8));
  });
  page.setDefaultTimeout(45_000);
  await page.addInitScript(() => {
    new MutationObserver((all) => {
      for (const { addedNodes } of all)
        for (const n of addedNodes)
          if (n instanceof Element && n.matches('.toast')) console.info('notice: ' + n.textContent.trim());
    }).observe(document, { childList: true, subtree: true });
  });
  return page;
}

/** Joins in a page that stands at the name: name, recovery key, check of two groups. */
export async function join_(page, handle) {
  await page.getByLabel('Choose your name').fill(handle);
  await page.getByRole('button', { name: 'Join', exact: true }).click();
  await page.getByRole('heading', { name: 'Your recovery key' }).waitFor();
  const groups = await page.getByRole('list', { name: 'Recovery key' }).getByRole('listitem').allInnerTexts();
  await page.getByRole('button', { name: 'I wrote it down' }).click();
  for (const box of await page.getByRole('textbox').all()) {
    const label = await box.evaluate((b) => b.closest('label').innerText);
    await box.fill(groups[Number(/\d+/.exec(label)[0]) - 1].trim());
  }
  await page.getByRole('button', { name: 'Check' }).click();
  await page.getByRole('heading', { name: 'Chats', level: 1 }).waitFor();
  return groups;
}

/** Runs named steps and says how long each took. */
export async function steps(title, list) {
  const begun = performance.now();
  for (const [name, run] of list) {
    const at = performance.now();
    await run();
    console.log(`  ok ${((performance.now() - at) / 1000).toFixed(1)} s  ${name}`);
  }
  console.log(`${title}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}
