// The core in a Worker: of all tabs one owns it, which a Web Lock decides, since
// two cores on one state would use keys twice. The others talk to it through that
// tab. When the owner goes the next one takes over.

import type { Port } from "./client";
import type { PageConfig } from "./connect";
import type { Frame } from "./frame";

const lockName = "huis-core";
const channelName = "huis-core";

/** What tabs tell each other. */
type Word =
  | { kind: "hello"; from: string } // is there an owner?
  | { kind: "welcome"; to: string } // there is, and it knows you
  | { kind: "owner" } // there is a new one
  | { kind: "failed"; code: string; text: string }
  | { kind: "up"; from: string; head: string; bytes?: Uint8Array<ArrayBuffer> }
  | { kind: "down"; to: string; head: string; bytes?: Uint8Array<ArrayBuffer> };

/** openWorker starts the core, or finds the tab that has it. */
export async function openWorker(config: PageConfig): Promise<Port> {
  const tab = new Tab(config);
  await tab.open();
  return tab;
}

class Tab implements Port {
  onframe: (f: Frame) => void = () => {};
  onlost: (lost: boolean) => void = () => {};
  readonly #me = crypto.randomUUID();
  readonly #channel = new BroadcastChannel(channelName);
  #own: MessagePort | undefined; // to the core, if this tab owns it
  #ready = false;
  #waiting: Frame[] = [];
  #settle: ((error?: Error) => void) | undefined;

  constructor(readonly config: PageConfig) {}

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
      this.#channel.onmessage = (m: MessageEvent<Word>) => this.#hear(m.data);
      // Held as long as the tab lives: others see by it that the tab is gone. Before it
      // is held nobody may hear of this tab, or they would take it for gone.
      void navigator.locks.request(`huis-tab-${this.#me}`, () => {
        void navigator.locks.request(lockName, () => this.#take());
        this.#greet();
        return new Promise<never>(() => {});
      });
    });
  }

  send(f: Frame): void {
    if (!this.#ready) {
      this.#waiting.push(f);
      return;
    }
    const { bytes, ...head } = f;
    const text = JSON.stringify(head);
    if (this.#own) this.#own.postMessage([text, bytes ?? null]);
    else this.#say({ kind: "up", from: this.#me, head: text, ...(bytes && { bytes }) });
  }

  #say(word: Word): void {
    this.#channel.postMessage(word);
  }

  /** greet looks for an owner until there is one. */
  #greet(): void {
    if (this.#ready) return;
    this.#say({ kind: "hello", from: this.#me });
    setTimeout(() => this.#greet(), 200);
  }

  #hear(word: Word): void {
    switch (word.kind) {
      case "welcome":
        if (word.to === this.#me && !this.#own) this.#up();
        break;
      case "owner":
        if (!this.#own) {
          this.#down();
          this.#greet();
        }
        break;
      case "failed":
        if (!this.#own) this.#settle?.(new Error(word.code));
        break;
      case "down":
        if (word.to === this.#me) this.onframe(frame(word.head, word.bytes));
        break;
      case "hello":
      case "up":
        this.#serve(word);
    }
  }

  #up(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#settle?.();
    for (const f of this.#waiting.splice(0)) this.send(f);
    this.onlost(false);
  }

  #down(): void {
    if (!this.#ready) return;
    this.#ready = false;
    this.#waiting = [];
    this.onlost(true);
  }

  // What the owner does.

  #worker: Worker | undefined;
  #others = new Map<string, MessagePort>();

  /** take makes this tab the owner; it is called while it holds the lock. */
  #take(): Promise<never> {
    this.#down();
    const worker = new Worker(trusted(`${this.config.base}worker.js`) as string, { type: "module", name: "huis core" });
    worker.onmessage = (m: MessageEvent<{ ready?: true; failed?: string; text?: string }>) => this.#started(m.data);
    worker.onerror = (e) => this.#started({ failed: "internal", text: e.message });
    worker.postMessage({ base: this.config.base, server: this.config.server, origin: location.origin, version: this.config.version });
    this.#worker = worker;
    return new Promise<never>(() => {});
  }

  #started(m: { ready?: true; failed?: string; text?: string }): void {
    if (m.failed !== undefined) {
      this.#failure = { kind: "failed", code: m.failed, text: m.text ?? "" };
      this.#say(this.#failure);
      this.#settle?.(new Error(m.failed));
      this.#down();
      return;
    }
    this.#own = this.#connect((f) => this.onframe(f));
    this.#say({ kind: "owner" });
    this.#up();
  }

  #failure: Word | undefined;

  /** connect gives a port to the core. */
  #connect(take: (f: Frame) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (m: MessageEvent<[string, Uint8Array<ArrayBuffer> | null]>) => take(frame(m.data[0], m.data[1] ?? undefined));
    this.#worker?.postMessage(port2, [port2]);
    return port1;
  }

  /** serve answers the other tabs. */
  #serve(word: Word & { kind: "hello" | "up" }): void {
    if (this.#failure) this.#say(this.#failure);
    if (!this.#own) return;
    let port = this.#others.get(word.from);
    if (word.kind === "up") {
      port?.postMessage([word.head, word.bytes ?? null]);
      return;
    }
    if (!port) {
      port = this.#connect((f) => {
        const { bytes, ...head } = f;
        this.#say({ kind: "down", to: word.from, head: JSON.stringify(head), ...(bytes && { bytes }) });
      });
      this.#others.set(word.from, port);
      void navigator.locks.request(`huis-tab-${word.from}`, () => this.#forget(word.from));
    }
    this.#say({ kind: "welcome", to: word.from });
  }

  #forget(tab: string): void {
    const port = this.#others.get(tab);
    this.#others.delete(tab);
    port?.postMessage(null);
    port?.close();
  }
}

function frame(head: string, bytes?: Uint8Array<ArrayBuffer>): Frame {
  const f = JSON.parse(head) as Frame;
  if (bytes) f.bytes = bytes;
  return f;
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown };
}

let policy: { createScriptURL(url: string): unknown } | undefined;

/** trusted lets the one script be started that is a Worker of ours. */
export function trusted(url: string): unknown {
  const types = (globalThis as { trustedTypes?: Policies }).trustedTypes;
  if (!types) return url;
  policy ??= types.createPolicy("huis-worker", {
    createScriptURL(u) {
      if (/^\/a\/[0-9a-f]{64}\/worker\.js$/.test(u) || u === "/sw.js") return u;
      throw new TypeError(`not a script of this page: ${u}`);
    },
  });
  return policy.createScriptURL(url);
}
