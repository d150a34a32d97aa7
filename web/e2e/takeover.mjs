// node e2e/takeover.mjs ADDRESS: two tabs of one browser, of which the first, which
// has the core, is closed while the second is used; then the browser ends and
// is begun again on the same folder. The account has to be there each time.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const address = process.argv[2];
const origin = new URL(address).origin;
const folder = mkdtempSync(join(tmpdir(), 'huis-takeover'));

/** tab opens one more tab, with a way to call the core whoever has it. */
async function tab(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate(() => {
    const me = 'test-' + Math.random();
    const channel = new BroadcastChannel('huis-core');
    let next = 1;
    const waiting = new Map();
    void navigator.locks.request('huis-tab-' + me, () => new Promise(() => {}));
    let welcome;
    channel.onmessage = ({ data }) => {
      if (data.to !== me) return;
      if (data.kind === 'welcome') welcome?.();
      if (data.kind !== 'down') return;
      const f = JSON.parse(data.head);
      if (f.kind === 'ok' || f.kind === 'err') waiting.get(f.id)?.(f);
    };
    window.ask = async (method, payload) => {
      await new Promise((resolve) => {
        welcome = resolve;
        const greet = () => {
          if (welcome !== resolve) return;
          channel.postMessage({ kind: 'hello', from: me });
          setTimeout(greet, 200);
        };
        greet();
      });
      welcome = undefined;
      const id = next++;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        channel.postMessage({
          kind: 'up',
          from: me,
          head: JSON.stringify({ id, kind: 'call', method, payload }),
        });
      });
    };
  });
  return {
    page,
    ask: (method, payload = {}) => page.evaluate(([m, p]) => window.ask(m, p), [method, payload]),
  };
}

function want(what, ok, got) {
  if (!ok) throw new Error(`${what}: ${JSON.stringify(got)}`);
  console.log(what);
}

async function launch() {
  return chromium.launchPersistentContext(folder, { executablePath, args: flags });
}

let context = await launch();
try {
  const first = await tab(context, address);
  const joined = await first.ask('join', { invite: address, handle: 'ada' });
  want('joined', joined.kind === 'ok', joined);
  const second = await tab(context, origin + '/');
  want('a second tab sees it', (await second.ask('state')).payload.handle === 'ada');
  const chat = await second.ask('chat.new', { name: 'notes', people: [] });
  want('and makes a group', chat.kind === 'ok', chat);
  await second.ask('message.send', { chat: chat.payload.id, body: 'before' });
  await first.page.close();
  const sent = await second.ask('message.send', { chat: chat.payload.id, body: 'after' });
  want('the first is closed, the second goes on', sent.kind === 'ok', sent);
  await context.close();
  context = await launch();
  const third = await tab(context, origin + '/');
  const page = await third.ask('messages', { chat: chat.payload.id });
  const bodies = page.payload?.messages?.map((m) => m.body) ?? [];
  want(
    'the browser is begun again, both are there',
    bodies.includes('before') && bodies.includes('after'),
    page,
  );
} finally {
  await context.close();
  rmSync(folder, { recursive: true, force: true });
}
