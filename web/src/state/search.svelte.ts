// Search over every message on this device. The core does it; nothing leaves.
import { app } from './app.svelte';
import type { SearchHit } from './core';

const wait = 180; // ms after the last key

class Search {
  text = $state('');
  /** Only in this conversation, '' for all. */
  chat = $state('');
  hits = $state.raw<SearchHit[]>([]);
  cursor = $state('');
  running = $state(false);
  /** The text that hits belong to. */
  done = $state('');
  #stop = new AbortController();
  #timer = 0;

  /** Searches for what stands in text, a moment after the last call. */
  soon(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.run(), wait);
  }

  async run(): Promise<void> {
    this.#stop.abort();
    const stop = (this.#stop = new AbortController());
    const text = this.text.trim();
    this.cursor = '';
    if (!text) {
      this.hits = [];
      this.done = '';
      this.running = false;
      return;
    }
    this.running = true;
    await app.try(async () => {
      const r = await app.core.call('search', this.#request(text, ''), { signal: stop.signal });
      this.hits = r.hits;
      this.cursor = r.cursor;
      this.done = text;
    });
    if (stop === this.#stop) this.running = false;
  }

  async more(): Promise<void> {
    if (!this.cursor || this.running) return;
    const stop = this.#stop;
    this.running = true;
    await app.try(async () => {
      const r = await app.core.call('search', this.#request(this.done, this.cursor), { signal: stop.signal });
      this.hits = [...this.hits, ...r.hits];
      this.cursor = r.cursor;
    });
    if (stop === this.#stop) this.running = false;
  }

  #request(text: string, cursor: string) {
    return { text, limit: 50, ...(this.chat && { chat: this.chat }), ...(cursor && { cursor }) };
  }
}

/** A text cut around what was found, in pieces, found ones marked. */
export function excerpt(
  body: string,
  ranges: readonly [number, number][],
): { text: string; found: boolean }[] {
  const first = ranges[0]?.[0] ?? 0;
  const from = first > 40 ? first - 30 : 0;
  const to = Math.min(body.length, from + 160);
  const out: { text: string; found: boolean }[] = [];
  let at = from;
  if (from > 0) out.push({ text: '…', found: false });
  for (const [begin, end] of ranges) {
    if (begin < at || end > to) continue;
    if (begin > at) out.push({ text: body.slice(at, begin), found: false });
    out.push({ text: body.slice(begin, end), found: true });
    at = end;
  }
  if (at < to) out.push({ text: body.slice(at, to), found: false });
  if (to < body.length) out.push({ text: '…', found: false });
  return out;
}

export const search = new Search();
