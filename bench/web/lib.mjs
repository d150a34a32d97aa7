// What the measurements of bench/web share.
import { readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

/** How busy the machine is: above the number of processors, expect figures too high. */
export const load = () => Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);

/** The value below which a share of all lies. */
export function at(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const sum = (values) => values.reduce((a, b) => a + b, 0);

/** The people of bench/web/stage: order gives the answer to one line. */
export class Stage {
  #waiting = [];
  constructor(program) {
    this.process = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.process.stdout }).on('line', (l) =>
      this.#waiting.shift()?.resolve(JSON.parse(l)),
    );
    this.process.on('exit', (code) =>
      this.#waiting.forEach((w) => w.reject(new Error(`the stage ended with ${code}`))),
    );
  }
  order(...words) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.process.stdin.write(words.join(' ') + '\n');
    });
  }
  end() {
    this.process.stdin.end();
  }
}

/**
 * Looks into the Worker of a page from outside, as developer tools do: the core is
 * not changed for it.
 */
export class Inside {
  #answers = new Map();
  #next = 1;
  #worker = '';

  static async of(page) {
    const inside = new Inside();
    inside.page = page;
    const cdp = (inside.cdp = await page.context().newCDPSession(page));
    cdp.on('Target.attachedToTarget', (e) => {
      if (e.targetInfo.url.endsWith('/worker.js')) inside.#worker = e.sessionId;
    });
    cdp.on('Target.receivedMessageFromTarget', (e) => {
      const m = JSON.parse(e.message);
      inside.#answers.get(m.id)?.(m.result);
      inside.#answers.delete(m.id);
    });
    await cdp.send('Target.setAutoAttach', {
      autoAttach: true,
      waitForDebuggerOnStart: false,
      flatten: false,
    });
    while (!inside.#worker) await sleep(50);
    return inside;
  }

  #ask(method, params) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, resolve);
      this.cdp
        .send('Target.sendMessageToTarget', {
          sessionId: this.#worker,
          message: JSON.stringify({ id, method, params }),
        })
        .catch(reject);
    });
  }

  async #evaluate(expression) {
    const r = await this.#ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    return r.result.value;
  }

  /** How large the linear memory of the core is, in bytes; it never shrinks. */
  memory = () => this.#evaluate('huisInstance.exports.mem.buffer.byteLength');

  /** Calls something of Go's, in a task of its own: developer tools may interrupt Go, which it cannot bear. */
  #call = (name) => this.#evaluate(`new Promise((done) => setTimeout(() => done(${name}())))`);

  /** What the meter saw since the last time (a core built with the tag measured). */
  meter = async () => JSON.parse(await this.#call('huisMeter'));

  /** What Go says of its memory. */
  heap = () => this.#call('huisMemory');
}

/**
 * Another tab, without its interface: calls of the core through the tab that owns it,
 * as src/core/tabs.ts makes them. It lives in the page as globalThis.benchTab.
 */
export function tab() {
  const me = `bench-${Math.random()}`;
  const channel = new BroadcastChannel('huis-core');
  const waiting = new Map();
  let next = 1;
  const opened = new Promise((resolve) => {
    channel.onmessage = ({ data: w }) => {
      if (w.to !== me) return;
      if (w.kind === 'welcome') return resolve();
      const f = JSON.parse(w.head);
      const p = waiting.get(f.id);
      if (!p || (f.kind !== 'ok' && f.kind !== 'err')) return;
      waiting.delete(f.id);
      if (f.kind === 'ok') p.resolve(f.payload);
      else p.reject(new Error(f.payload.text));
    };
  });
  void navigator.locks.request(`huis-tab-${me}`, () => {
    channel.postMessage({ kind: 'hello', from: me });
    return new Promise(() => {});
  });
  const call = async (method, payload) => {
    await opened;
    const id = next++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      channel.postMessage({
        kind: 'up',
        from: me,
        head: JSON.stringify({ id, kind: 'call', method, payload }),
      });
    });
  };
  /** Calls one method every so often until stopped; gives how long each took. */
  const probe = (method, payload, every) => {
    const took = [];
    let going = true;
    const run = (async () => {
      while (going) {
        const begun = performance.now();
        await call(method, payload);
        took.push(performance.now() - begun);
        await new Promise((r) => setTimeout(r, every));
      }
    })();
    return { stop: async () => ((going = false), await run, took) };
  };
  globalThis.benchTab = { call, probe };
}
