// The service worker: the application installed and offline. What it may serve is
// decided in sw.ts.
import { app } from './app.svelte';

declare global {
  interface Window {
    trustedTypes?: {
      createPolicy(
        name: string,
        rules: { createScriptURL(s: string): string },
      ): { createScriptURL(s: string): string };
    };
  }
}

/** Registers sw.js and tells when a new version waits. Only pages of a server have one. */
export function installWorker(): void {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers || location.protocol !== 'https:') return;
  const rules = { createScriptURL: (s: string) => (s === '/sw.js' ? s : '') };
  const policy = window.trustedTypes?.createPolicy('huis-sw', rules) ?? rules;
  workers.addEventListener('message', (e: MessageEvent<{ open?: string }>) => {
    if (e.data.open?.startsWith('#/')) location.hash = e.data.open;
  });
  void workers
    .register(policy.createScriptURL('/sw.js'), { scope: '/', type: 'module' })
    .then((r) => {
      const offer = (w: ServiceWorker | null) => {
        if (!w || !workers.controller) return;
        app.update = () => {
          workers.addEventListener('controllerchange', () => location.reload(), { once: true });
          w.postMessage('take over');
        };
      };
      offer(r.waiting);
      r.addEventListener('updatefound', () => {
        const w = r.installing;
        w?.addEventListener('statechange', () => w.state === 'installed' && offer(w));
      });
    })
    .catch(() => undefined);
}
