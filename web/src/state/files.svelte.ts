// Attachments: previews in memory, downloads to the person's disk. A file is
// shown only once the core has verified all of it.
import { SvelteMap } from 'svelte/reactivity';
import { app } from './app.svelte';
import type { Attachment, Message } from './core';

const previewUpTo = 24 << 20; // bytes a preview may take
const keptPreviews = 60;

class Files {
  /** Object addresses of verified previews, by file. */
  #shown = new Map<string, Promise<string>>();
  /** Bytes done of downloads that run. */
  running = new SvelteMap<string, { done: number; total: number; stop: AbortController }>();

  canPreview(a: Attachment): boolean {
    return a.size <= previewUpTo;
  }

  /** The address of a verified copy in memory, under a type this code chose. */
  url(m: Message, index: number, type: string): Promise<string> {
    const key = keyOf(m, index);
    let p = this.#shown.get(key);
    if (!p) {
      p = app.core.blob({ chat: m.chat, message: m.id, index }, type).then((b) => URL.createObjectURL(b));
      this.#shown.set(key, p);
      p.catch(() => this.#shown.delete(key));
      this.#forget();
    }
    return p;
  }

  #forget(): void {
    for (const [key, p] of this.#shown) {
      if (this.#shown.size <= keptPreviews) return;
      this.#shown.delete(key);
      void p.then((u) => URL.revokeObjectURL(u)).catch(() => undefined);
    }
  }

  /** Saves a file where the person chooses, or in the folder for downloads. */
  async save(m: Message, index: number, a: Attachment): Promise<void> {
    const key = keyOf(m, index);
    if (this.running.has(key)) return;
    const stop = new AbortController();
    this.running.set(key, { done: 0, total: a.size, stop });
    const progress = (p: { done: number; total: number }) => this.running.set(key, { ...p, stop });
    await app.try(async () => {
      const to = a.size > previewUpTo ? await choose(a.name) : null;
      const request = { chat: m.chat, message: m.id, index };
      if (to) {
        const out = await to.createWritable();
        try {
          await app.core.read(request, (b) => out.write(b), progress, stop.signal);
          await out.close();
        } catch (e) {
          await out.abort();
          throw e;
        }
      } else {
        download(await app.core.blob(request, 'application/octet-stream', progress, stop.signal), a.name);
      }
    });
    this.running.delete(key);
  }
}

export const keyOf = (m: Message, index: number): string => `${m.chat} ${m.id} ${m.from} ${index}`;

interface Picker {
  showSaveFilePicker?: (o: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/** A place on the disk, where the browser can give one; null where it cannot. */
function choose(name: string): Promise<FileSystemFileHandle> | null {
  return (window as Picker).showSaveFilePicker?.({ suggestedName: name }) ?? null;
}

/** Hands bytes to the browser's downloads; they are never opened as a page. */
export function download(b: Blob, name: string): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(b);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
}

export const files = new Files();
