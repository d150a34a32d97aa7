// The service worker: the application offline, installed, and pinned to one build.
// It serves the files of one manifest, each checked against its hash, and nothing
// else: no answer of the server is ever kept. Another build is taken only when the
// person asks for it.
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;

interface Manifest {
  files: Record<string, string>; // name: lower-case hex of SHA-256
}

const pins = 'huis-pin'; // holds the manifest that is served
const here = new URL('./', self.location.href);

async function hash(bytes: ArrayBuffer): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...sum].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** Fetches every file of a manifest into a store of its own; one wrong byte refuses all. */
async function take(): Promise<void> {
  const text = await (await fetch(new URL('manifest.json', here), { cache: 'no-store' })).text();
  const name = 'huis ' + (await hash(new TextEncoder().encode(text).buffer));
  const { files } = JSON.parse(text) as Manifest;
  const store = await caches.open(name);
  await Promise.all(
    Object.entries(files).map(async ([file, want]) => {
      const url = new URL(file === 'index.html' ? './' : file, here);
      const answer = await fetch(url, { cache: 'no-store', credentials: 'same-origin' });
      if (!answer.ok) throw new Error(`${file}: ${answer.status}`);
      const bytes = await answer.clone().arrayBuffer();
      if ((await hash(bytes)) !== want) throw new Error(`${file} is not the one of the manifest`);
      await store.put(url, answer);
    }),
  );
  const next = await caches.open(pins);
  await next.put(new URL('next', here), new Response(name));
}

/** Makes the build that was taken last the one that is served. */
async function turn(): Promise<void> {
  const pin = await caches.open(pins);
  const next = await pin.match(new URL('next', here));
  if (!next) return;
  const name = await next.text();
  await pin.put(new URL('now', here), new Response(name));
  for (const key of await caches.keys()) if (key !== name && key !== pins) await caches.delete(key);
}

async function serve(request: Request): Promise<Response> {
  const pin = await caches.open(pins);
  const name = await (await pin.match(new URL('now', here)))?.text();
  if (!name) return fetch(request);
  const store = await caches.open(name);
  const url = new URL(request.url);
  const page = request.mode === 'navigate' ? here : new URL(url.pathname, here);
  return (await store.match(page)) ?? fetch(request);
}

self.addEventListener('install', (e) => e.waitUntil(take()));
self.addEventListener('activate', (e) => e.waitUntil(turn().then(() => self.clients.claim())));
self.addEventListener('message', (e) => {
  if (e.data === 'take over') e.waitUntil(self.skipWaiting());
});
self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url);
  if (e.request.method === 'GET' && url.origin === here.origin) e.respondWith(serve(e.request));
});
self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  const open = String(e.notification.data ?? '');
  e.waitUntil(
    self.clients.matchAll({ type: 'window' }).then(async (all) => {
      const page = all[0];
      if (!page) return void (await self.clients.openWindow('./' + open));
      page.postMessage({ open });
      await page.focus();
    }),
  );
});

export {};
