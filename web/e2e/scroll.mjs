// A conversation of 100,000 messages: all of it loaded, thrown from end to end. No
// frame may take a second, few rows are in the document, and the end stays in view.
import { build, preview } from 'vite';
import { World, assert, out } from './lib.mjs';

const root = new URL('..', import.meta.url).pathname;
const options = {
  root,
  configFile: root + 'vite.config.ts',
  logLevel: 'error',
  build: {
    outDir: out + 'scroll',
    emptyOutDir: true,
    rollupOptions: { input: { look: root + 'test/look/index.html' } },
  },
};
await build(options);
const vite = await preview({ ...options, preview: { port: 0, host: '127.0.0.1' } });
const world = await World.begin();
let failed = null;
try {
  const page = await world.page();
  await page.goto(
    `http://127.0.0.1:${vite.httpServer.address().port}/test/look/index.html?scene=long#/chats/Archive`,
  );
  await page.locator('.bub').first().waitFor();
  await page.evaluate(() => globalThis.loadAll());
  await page.locator('.bub', { hasText: 'Message 100000.' }).waitFor();
  const seen = await page.evaluate(async () => {
    const view = document.querySelector('.log .view');
    const frames = [];
    let before = performance.now();
    const next = () =>
      new Promise((resolve) =>
        requestAnimationFrame((now) => {
          frames.push(now - before);
          before = now;
          resolve();
        }),
      );
    await next();
    frames.length = 0;
    let most = 0;
    let blank = 0;
    const steps = 240;
    for (let i = 0; i <= steps; i++) {
      const at = i <= steps / 2 ? 1 - (2 * i) / steps : (2 * i) / steps - 1;
      view.scrollTop = at * (view.scrollHeight - view.clientHeight);
      await next();
      await next();
      const cells = [...view.querySelectorAll('.cell')];
      most = Math.max(most, cells.length);
      const box = view.getBoundingClientRect();
      if (
        !cells.some(
          (c) => c.getBoundingClientRect().bottom > box.top && c.getBoundingClientRect().top < box.bottom,
        )
      )
        blank++;
    }
    frames.sort((a, b) => a - b);
    return {
      most,
      blank,
      median: frames[frames.length >> 1],
      p99: frames[Math.floor(frames.length * 0.99)],
      worst: frames.at(-1),
    };
  });
  console.log(JSON.stringify(seen));
  assert(seen.most < 200, `${seen.most} rows are in the document`);
  assert(seen.blank === 0, `${seen.blank} frames showed nothing`);
  assert(seen.worst < 1000, `a frame took ${seen.worst} ms`);
  await page.evaluate(() => globalThis.arrive());
  await page.locator('.bub', { hasText: 'one more' }).waitFor();
} catch (e) {
  failed = e;
} finally {
  vite.httpServer.close();
  await world.end();
}
if (failed) throw failed;
