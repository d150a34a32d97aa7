// Runs the tests of a Go package in Chromium:
//
//   GOOS=js GOARCH=wasm go test -exec 'node web/e2e/gotest.mjs' ./internal/client/store/idb
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [binary, ...args] = process.argv.slice(2);
const env = { ...process.env };
delete env.GOOS;
delete env.GOARCH;
const root = execFileSync('go', ['env', 'GOROOT'], { env }).toString().trim();
const files = {
  '/': ['text/html', '<!doctype html><title>tests</title><script src="/wasm_exec.js"></script>'],
  '/wasm_exec.js': ['text/javascript', readFileSync(join(root, 'lib', 'wasm', 'wasm_exec.js'))],
  '/test.wasm': ['application/wasm', readFileSync(binary)],
};
const server = createServer((q, a) => {
  const [type, body] = files[q.url] ?? ['text/plain', ''];
  a.writeHead(files[q.url] ? 200 : 404, { 'Content-Type': type }).end(body);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
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
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: flags,
});
const page = await browser.newPage();
page.on('console', (m) => console.log(m.text()));
page.on('pageerror', (e) => console.error(e.message));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const code = await page.evaluate(
  async (argv) => {
    const go = new window.Go();
    go.argv = argv;
    let code = 0;
    go.exit = (c) => (code = c);
    const { instance } = await WebAssembly.instantiateStreaming(fetch('/test.wasm'), go.importObject);
    await go.run(instance);
    return code;
  },
  ['test', ...args],
);
await browser.close();
server.close();
process.exitCode = code;
