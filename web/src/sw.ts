// The service worker: the application offline, installed, and pinned to one build.
// It serves the files of one manifest, each checked against its hash, and nothing
// else: no answer of the server is kept but config.json, which says where the build
// is. The first build is taken as it comes. Another is taken only after a page of
// the one that is pinned had its core find it in the server's public log; it is
// fetched whole before anything of it is served, and turned to when a person says so.
/// <reference lib="webworker" />
declare const self: ServiceWorkerGlobalScope;

interface Manifest {
  files: Record<string, string>; // name: lower-case hex of SHA-256
}
interface Config {
  base: string; // /a/<hash>/
  manifest: string; // lower-case hex of its SHA-256
}

/** What pages say; the answers go back over the port that comes with it. */
type Word = 'take over' | { look: true } | { take: boolean } | { turn: true };

const pins = 'huis-pin'; // names the build that is served, and the one that waits
const patience = 120_000; // ms; a page that has not answered by then is gone
const storeOf = (manifest: string) => 'huis ' + manifest;

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

/** Asks the server which build it offers now. */
async function offered(): Promise<{ config: Config; answer: Response }> {
  const answer = await fetch('/config.json', { cache: 'no-store' });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  const config = (await answer.clone().json()) as Config;
  if (!/^[0-9a-f]{64}$/.test(config.manifest) || config.base !== `/a/${config.manifest}/`)
    throw new Error('config.json is malformed');
  return { config, answer };
}

/** Fetches every file of a build into a store of its own; if one is missing or wrong, nothing stays. */
async function take({ config, answer }: { config: Config; answer: Response }): Promise<void> {
  const { base, manifest: sum } = config;
  const store = await caches.open(storeOf(sum));
  try {
    const manifest = await fetchExact(base + 'manifest.json', sum);
    const { files } = (await manifest.json()) as Manifest;
    await Promise.all(
      Object.entries(files).map(async ([name, want]) => {
        const file = await fetchExact(base + name, want);
        await (name === 'index.html' ? store.put('/', await page(file, base)) : store.put(base + name, file));
      }),
    );
    await store.put('/config.json', answer);
  } catch (e) {
    await caches.delete(storeOf(sum));
    throw e;
  }
}

/** The page as the server gives it: its files named under their hash. The headers, with the policy, stay. */
async function page(file: Response, base: string): Promise<Response> {
  const text = (await file.text()).replaceAll('="./', `="${base}`);
  const headers = new Headers(file.headers);
  for (const name of ['content-encoding', 'content-length', 'cache-control']) headers.delete(name);
  return new Response(text, { headers });
}

/** The build that is served, or that waits; '' if there is none, or the browser threw its files away. */
async function pinned(which: '/now' | '/next'): Promise<string> {
  const sum = await (await (await caches.open(pins)).match(which))?.text();
  return sum && (await caches.has(storeOf(sum))) ? sum : '';
}

const pin = async (which: '/now' | '/next', sum: string): Promise<void> =>
  (await caches.open(pins)).put(which, new Response(sum));

/** The first build, as the server gives it; what is pinned already stays. */
async function begin(): Promise<void> {
  if (await pinned('/now')) return;
  const offer = await offered();
  await take(offer);
  await pin('/now', offer.config.manifest);
}

/** Looks what the server offers. Only what the page's core finds in the log is fetched. */
async function look(port: MessagePort): Promise<void> {
  try {
    const now = await pinned('/now');
    const offer = await offered();
    const sum = offer.config.manifest;
    if (sum === now) return port.postMessage({ found: 'same' });
    const allowed = new Promise<boolean>((done) => {
      port.onmessage = (m: MessageEvent<Word>) =>
        done(typeof m.data === 'object' && 'take' in m.data && m.data.take);
      setTimeout(() => done(false), patience);
    });
    port.postMessage({ check: sum, used: now });
    if (!(await allowed)) return port.postMessage({ found: 'refused' });
    await navigator.locks.request('huis-take', async () => {
      if ((await pinned('/next')) === sum) return;
      await take(offer);
      await pin('/next', sum);
    });
    port.postMessage({ found: 'ready' });
  } catch (e) {
    port.postMessage({ failed: String(e) });
  }
}

/** Makes the build that waits the one that is served, in one step, and has every page begin anew. */
async function turn(): Promise<void> {
  const next = await pinned('/next');
  if (!next) return;
  const before = await pinned('/now');
  await pin('/now', next);
  await (await caches.open(pins)).delete('/next');
  const keep = [pins, storeOf(next), storeOf(before)]; // pages that are open may still read of the one before
  for (const key of await caches.keys()) if (!keep.includes(key)) await caches.delete(key);
  for (const c of await self.clients.matchAll({ type: 'window' })) c.postMessage({ turned: true });
}

async function serve(request: Request, url: URL): Promise<Response> {
  const now = await pinned('/now');
  const ours =
    request.mode === 'navigate' || url.pathname === '/config.json' || url.pathname.startsWith(`/a/${now}/`);
  if (!now || !ours) return fetch(request);
  const store = await caches.open(storeOf(now));
  return (await store.match(request.mode === 'navigate' ? '/' : url.pathname)) ?? Response.error();
}

self.addEventListener('install', (e) => e.waitUntil(begin()));
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));
self.addEventListener('message', (e) => {
  const word = e.data as Word;
  const port = e.ports[0];
  if (word === 'take over') e.waitUntil(self.skipWaiting());
  else if ('look' in word && port) e.waitUntil(look(port));
  else if ('turn' in word) e.waitUntil(turn());
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
