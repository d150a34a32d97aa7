// The service worker: the application offline, installed, and pinned to one build.
// It serves the files of one manifest, each checked against its hash, and nothing
// else: no answer of the server is kept but config.json, which says where the build
// is. Another build is taken only when the person asks for it.
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;

interface Manifest {
  files: Record<string, string>; // name: lower-case hex of SHA-256
}
interface Config {
  base: string; // /a/<hash>/
  manifest: string; // lower-case hex of its SHA-256
}

const pins = 'huis-pin'; // names the build that is served, and the one that waits

async function hash(bytes: ArrayBuffer): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...sum].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** Fetches what has to have a hash; anything else is refused. */
async function fetchExact(url: string, want: string): Promise<Response> {
  const answer = await fetch(url, { credentials: 'same-origin' });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  if ((await hash(await answer.clone().arrayBuffer())) !== want)
    throw new Error(`${url} is not what its hash says`);
  return answer;
}

/** Fetches every file of the server's present build into a store of its own. */
async function take(): Promise<void> {
  const answer = await fetch('/config.json', { cache: 'no-store' });
  const config = (await answer.clone().json()) as Config;
  const base = `/a/${config.manifest}/`;
  if (config.base !== base || !/^[0-9a-f]{64}$/.test(config.manifest))
    throw new Error('config.json is malformed');
  const manifest = await fetchExact(base + 'manifest.json', config.manifest);
  const { files } = (await manifest.json()) as Manifest;
  const store = await caches.open('huis ' + config.manifest);
  await store.put('/config.json', answer);
  await Promise.all(
    Object.entries(files).map(async ([name, want]) => {
      const file = await fetchExact(base + name, want);
      await (name === 'index.html' ? store.put('/', await page(file, base)) : store.put(base + name, file));
    }),
  );
  await (await caches.open(pins)).put('/next', new Response(config.manifest));
}

/** The page as the server gives it: its files named under their hash. The headers, with the policy, stay. */
async function page(file: Response, base: string): Promise<Response> {
  const text = (await file.text()).replaceAll('="./', `="${base}`);
  const headers = new Headers(file.headers);
  for (const name of ['content-encoding', 'content-length', 'cache-control']) headers.delete(name);
  return new Response(text, { headers });
}

const pinned = async (which: '/now' | '/next'): Promise<string> =>
  (await (await (await caches.open(pins)).match(which))?.text()) ?? '';

/** Makes the build that was taken last the one that is served. */
async function turn(): Promise<void> {
  const next = await pinned('/next');
  if (!next) return;
  await (await caches.open(pins)).put('/now', new Response(next));
  for (const key of await caches.keys()) if (key !== 'huis ' + next && key !== pins) await caches.delete(key);
}

async function serve(request: Request, url: URL): Promise<Response> {
  const now = await pinned('/now');
  if (!now) return fetch(request);
  const store = await caches.open('huis ' + now);
  if (request.mode === 'navigate') return (await store.match('/')) ?? fetch(request);
  return (await store.match(url.pathname)) ?? fetch(request);
}

self.addEventListener('install', (e) => e.waitUntil(take()));
self.addEventListener('activate', (e) => e.waitUntil(turn().then(() => self.clients.claim())));
self.addEventListener('message', (e) => {
  if (e.data === 'take over') e.waitUntil(self.skipWaiting());
});
self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url);
  const ours =
    e.request.mode === 'navigate' || url.pathname.startsWith('/a/') || url.pathname === '/config.json';
  if (e.request.method === 'GET' && url.origin === self.location.origin && ours)
    e.respondWith(serve(e.request, url));
});
self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  const open = String(e.notification.data ?? '');
  e.waitUntil(
    self.clients.matchAll({ type: 'window' }).then(async (all) => {
      const client = all[0];
      if (!client) return void (await self.clients.openWindow('/' + open));
      client.postMessage({ open });
      await client.focus();
    }),
  );
});

export {};
