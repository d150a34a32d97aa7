// How long it takes from opening the address until something is drawn, and until the
// core has answered: for the first time with a new browser, and again. Prints JSON.
//
//	HUIS=bin/huis node bench/web/ready.mjs RUNS
import { World, join_ } from '../../web/e2e/lib.mjs';
import { at, load } from './lib.mjs';

const runs = Number(process.argv[2] ?? 7);
const cold = [];
const warm = [];
const stands = [];

/** Notes in the page when the core has answered: the opening page is gone then. */
function watch() {
  const look = () => {
    const root = document.getElementById('app');
    if (root?.firstElementChild && !root.querySelector('main.open') && !globalThis.readyAt) {
      globalThis.readyAt = performance.now();
      return;
    }
    if (!globalThis.readyAt) requestAnimationFrame(look);
  };
  look();
}

async function measure(page, url) {
  await page.goto(url);
  await page.waitForFunction(() => globalThis.readyAt);
  return page.evaluate(() => ({
    drawn: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null,
    ready: globalThis.readyAt,
  }));
}

const begun = load();
for (let i = 0; i < runs; i++) {
  // A world of its own: server, browser and profile have never been used.
  const world = await World.begin();
  try {
    const server = await world.server();
    const page = await world.page();
    await page.addInitScript(watch);
    const home = new URL(server.web ?? server.url).origin + '/';
    cold.push(await measure(page, home));
    await page.waitForTimeout(500);
    warm.push(await measure(page, home));
    if (i === 0) {
      await page.goto(server.invite.replace(new URL(server.invite).origin + '/', home));
      await join_(page, 'alice');
      for (let k = 0; k < runs; k++) {
        await page.goto('about:blank');
        stands.push(await measure(page, home));
      }
    }
  } finally {
    await world.end();
  }
}

const of = (all) => ({
  runs: all.length,
  drawn: at(
    all.map((x) => x.drawn).filter((x) => x !== null),
    0.5,
  ),
  best: Math.min(...all.map((x) => x.ready)),
  ready: at(
    all.map((x) => x.ready),
    0.5,
  ),
  worst: Math.max(...all.map((x) => x.ready)),
});
console.log(JSON.stringify({ load: [begun, load()], cold: of(cold), warm: of(warm), stands: of(stands) }));
