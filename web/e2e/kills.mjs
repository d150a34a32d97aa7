// Tab, browser and server are killed at random moments while somebody writes. A model
// of what was accepted and acknowledged says what has to be there afterwards, once.
// SEED=n plays a run again.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { World, assert, browserPath, flags, join_, sizes, watch } from './lib.mjs';

const world = await World.begin();
const folder = join(world.dir, 'ada');
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
const rounds = Number(process.env.ROUNDS ?? 9);
let state = seed;
/** A number below n (mulberry32). */
const below = (n) => {
  state = (state + 0x6d2b79f5) | 0;
  let x = Math.imul(state ^ (state >>> 15), 1 | state);
  x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
  return ((x ^ (x >>> 14)) >>> 0) % n;
};
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
let server, origin, context, page;

const must = new Set(); // shown by the core, sent or waiting: never lost
const may = new Set(); // typed, and cut off before that: there once or not at all
const bubble = (text) => page.locator('article', { hasText: new RegExp(`\\b${text}\\b`) });

async function open() {
  page = await watch(await context.newPage());
  for (const other of context.pages()) if (other !== page) await other.close();
  await page.goto(origin + '/#/chats');
  await page.locator('a.conv', { hasText: 'bob' }).first().click();
  await page.locator('#composer').waitFor();
}

async function launch() {
  context = await chromium.launchPersistentContext(folder, {
    executablePath: browserPath,
    args: flags,
    viewport: sizes.desktop,
    locale: 'en',
  });
}

const kills = {
  async tab() {
    const cdp = await context.newCDPSession(page);
    void cdp.send('Page.crash').catch(() => undefined); // its process ends as if killed
    await open();
  },
  async browser() {
    const { stdout } = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
    const mine = stdout
      .split('\n')
      .filter((l) => l.includes(`--user-data-dir=${folder}`) && !l.includes('--type='))
      .map((l) => Number(l.trim().split(' ')[0]));
    assert(mine.length > 0, 'the browser is not to be found');
    for (const pid of mine) process.kill(pid, 'SIGKILL');
    await context.close().catch(() => undefined);
    await launch();
    await open();
  },
  async server() {
    await world.killServer();
    await sleep(below(800));
    server = await world.server();
  },
};

/** Types, and lets some time pass: from then on, or from when the core has it. */
async function write(text) {
  may.add(text);
  await page.locator('#composer').fill(text);
  await page.locator('#composer').press('Enter');
  if (below(3) > 0) {
    await bubble(text).first().waitFor();
    must.add(text);
  }
  await sleep(below(500));
  if ((await bubble(text).count()) > 0) must.add(text);
}

try {
  console.log(`seed ${seed}`);
  server = await world.server();
  origin = new URL(server.web).origin;
  await launch();
  page = await watch(context.pages()[0] ?? (await context.newPage()));
  await page.goto(server.web);
  await join_(page, 'ada');
  await page.goto(origin + '/#/settings/invitations');
  await page.getByRole('button', { name: 'Make a link' }).click();
  world.cli('bob', 'join', (await page.locator('p.link').first().innerText()).trim(), '--handle', 'bob');
  world.cli('bob', 'send', '@ada', 'hello');
  await open();
  const names = Object.keys(kills);
  for (let i = 0; i < rounds; i++) {
    const name = i < names.length ? names[i] : names[below(names.length)];
    for (let n = below(3); n >= 0; n--) await write(`w${i}x${n}`);
    await kills[name]();
    console.log(`  ${i + 1} of ${rounds}: the ${name}, ${must.size} accepted of ${may.size}`);
  }
  // What is back in the field was not accepted; what waits goes out.
  await open();
  for (const text of must) await bubble(text).first().waitFor();
  await page.getByLabel('Waiting to be sent').first().waitFor({ state: 'detached' });
  const heard = world.cli('bob', 'read', '@ada').map((m) => m.body);
  for (const text of may) {
    const [here, there] = [await bubble(text).count(), heard.filter((b) => b === text).length];
    assert(here === there, `${text} is there ${here} times, for bob ${there}`);
    assert(here <= 1, `${text} is there ${here} times`);
    assert(here === 1 || !must.has(text), `${text} was accepted and is lost`);
  }
  assert(must.size > rounds / 2, `only ${must.size} were accepted: the kills come too soon to show anything`);
} catch (e) {
  console.error(`SEED=${seed}`);
  await world.failed('kills', { ada: page });
  throw e;
} finally {
  await context?.close().catch(() => undefined);
  await world.end();
}
