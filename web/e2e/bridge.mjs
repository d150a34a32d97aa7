// Carries frames between a program and the core of a browser:
//
//   node e2e/bridge.mjs ADDRESS
//
// opens the address in Chromium and becomes one more tab of it. Each line of
// standard input is a frame for the core, each line of standard output one from
// it: JSON [head, bytes in base64 or null]. internal/e2e runs the same calls here
// and against `huis app`.
import { createInterface } from 'node:readline';
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
const browser = await chromium.launch({ executablePath, args: flags });
const page = await (await browser.newContext()).newPage();
page.on('pageerror', (e) => console.error(e.message));
page.on('console', (m) => m.type() === 'error' && console.error(m.text()));
await page.exposeFunction('frameOut', (head, bytes) => {
  process.stdout.write(JSON.stringify([head, bytes]) + '\n');
});
await page.goto(process.argv[2]);
await page.evaluate(async () => {
  const me = 'bridge-' + Math.random();
  const channel = new BroadcastChannel('huis-core');
  const text = (b) => {
    let s = '';
    for (let i = 0; i < b.length; i += 32768) s += String.fromCharCode(...b.subarray(i, i + 32768));
    return btoa(s);
  };
  void navigator.locks.request('huis-tab-' + me, () => new Promise(() => {}));
  await new Promise((resolve) => {
    channel.onmessage = ({ data }) => {
      if (data.to !== me) return;
      if (data.kind === 'welcome') resolve();
      if (data.kind === 'down') window.frameOut(data.head, data.bytes ? text(data.bytes) : null);
    };
    const greet = () => {
      channel.postMessage({ kind: 'hello', from: me });
      setTimeout(greet, 200);
    };
    greet();
  });
  window.frameIn = (head, bytes) => {
    const raw = bytes === null ? undefined : Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    channel.postMessage({ kind: 'up', from: me, head, ...(raw && { bytes: raw }) });
  };
});
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const [head, bytes] = JSON.parse(line);
  await page.evaluate(([h, b]) => window.frameIn(h, b), [head, bytes]);
}
await browser.close();
