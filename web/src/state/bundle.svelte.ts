// Which build of the application runs here, and whether another may follow. The
// service worker (sw.ts) keeps to one; this asks it to look for others and lets the
// core, which is of the one that runs, judge them by the server's public log.
import { app } from './app.svelte';
import { CoreError, type BundleState, type Core } from './core';
import { failure } from './failure';

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

/** What there is to say of another build; 'guard': the service worker was replaced without one. */
export type Offer = 'ready' | 'unlogged' | 'older' | 'unvouched' | 'stopped' | 'guard';

/** What the service worker says while it looks. */
type Word = { check: string; used: string } | { found: 'same' | 'ready' | 'refused' } | { failed: string };

const lookAgain = 3_600_000; // ms
const lookSoon = 60_000; // ms, after one that told nothing
const patience = 300_000; // ms; a service worker that has not answered by then was ended

class Bundle {
  offer = $state<Offer | null>(null);
  /** 'stopped': why, in words. */
  reason = $state('');
  /** A service worker keeps this page to one build. */
  guarded = $state(false);
  #workers = navigator.serviceWorker as ServiceWorkerContainer | undefined;
  #registration: ServiceWorkerRegistration | undefined;
  #core: Core | undefined;
  #replaced = false;
  #looking = false;
  #due = false;

  /** Registers sw.js. Only pages of a server have one, not those of huis app. */
  async begin(): Promise<void> {
    const workers = this.#workers;
    if (!workers || location.protocol !== 'https:') return;
    this.guarded = workers.controller !== null;
    workers.addEventListener('controllerchange', () => (this.guarded = true));
    workers.addEventListener('message', (e: MessageEvent<{ open?: string; turned?: true }>) => {
      if (e.data.open?.startsWith('#/')) location.hash = e.data.open;
      if (e.data.turned) this.#anew();
    });
    app.onCore(() => {
      this.#core = app.core;
      app.core.on('sync', (s) => s.online && void this.look());
      setInterval(() => void this.look(), lookAgain);
      void this.look();
    });
    const rules = { createScriptURL: (s: string) => (s === '/sw.js' ? s : '') };
    const policy = window.trustedTypes?.createPolicy('huis-sw', rules) ?? rules;
    try {
      const options = { scope: '/', type: 'module' } as const;
      const r = (this.#registration = await workers.register(policy.createScriptURL('/sw.js'), options));
      if (r.waiting || r.installing) this.#found();
      r.addEventListener('updatefound', () => this.#found());
    } catch {
      // no service worker here: the page is as the server gives it, each time
    }
  }

  /** Another service worker came. It may only with another build that may follow. */
  #found(): void {
    if (!this.#workers?.controller) return;
    this.#replaced = true;
    void this.look();
  }

  /** Looks what the server offers, one look at a time; asked for meanwhile, once more after it. */
  async look(): Promise<void> {
    this.#due = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#due) {
      this.#due = false;
      await this.#look();
    }
    this.#looking = false;
  }

  async #look(): Promise<void> {
    const worker = this.#workers?.controller;
    if (!worker || !this.#core || this.offer === 'guard') return;
    const { port1, port2 } = new MessageChannel();
    let verdict: BundleState | undefined;
    const found = await new Promise<'same' | 'ready' | 'refused' | 'failed'>((done) => {
      port1.onmessage = async (m: MessageEvent<Word>) => {
        if ('found' in m.data) return done(m.data.found);
        if ('failed' in m.data) return done('failed');
        verdict = await this.#judge(m.data.check, m.data.used);
        port1.postMessage({ take: verdict === 'good' || verdict === 'unknown' });
      };
      worker.postMessage({ look: true }, [port2]);
      setTimeout(() => done('failed'), patience);
    });
    port1.close();
    this.#tell(found, verdict);
  }

  /** What the core says of a build; undefined if it could not find out now. */
  async #judge(offered: string, used: string): Promise<BundleState | undefined> {
    this.reason = '';
    try {
      return (await this.#core!.call('bundle.check', { offered, used })).state;
    } catch (e) {
      if (e instanceof CoreError && e.code === 'safety') this.reason = failure(e);
      return undefined;
    }
  }

  #tell(found: 'same' | 'ready' | 'refused' | 'failed', verdict: BundleState | undefined): void {
    if (found === 'ready') this.offer = 'ready';
    else if (found === 'same') this.offer = this.#replaced ? 'guard' : null;
    else if (this.reason) this.offer = 'stopped';
    else if (verdict === 'unlogged' || verdict === 'older') this.offer = this.#replaced ? 'guard' : verdict;
    else if (verdict === 'unvouched') this.offer = 'unvouched';
    else setTimeout(() => void this.look(), lookSoon); // nothing is known
  }

  /** Has every page of this browser go on with the build that waits. */
  turn(): void {
    this.#workers?.controller?.postMessage({ turn: true });
  }

  #anew(): void {
    this.#registration?.waiting?.postMessage('take over');
    location.reload();
  }
}

export const bundle = new Bundle();
