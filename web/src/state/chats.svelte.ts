// The list of conversations, kept in step by the core's events.
import { again } from './again';
import { app } from './app.svelte';
import type { Chat } from './core';
import { fold } from './fold';
import { notify } from './notify';

class Chats {
  all = $state.raw<Chat[]>([]);
  loaded = $state(false);
  unread = $derived(this.all.reduce((n, c) => n + (c.muted ? 0 : c.unread), 0));

  get(id: string): Chat | undefined {
    return this.all.find((c) => c.id === id);
  }

  /** What the core told while the list was being read: it is newer than the answer. */
  #since: { chats: Chat[]; gone: string[] }[] | null = null;

  watch(): void {
    app.core.on('chats', ({ chats, gone }) => this.#take(chats, gone));
    app.core.on('message', ({ message, chat }) => {
      this.put(chat);
      notify(message, chat);
    });
    app.whenReady(() => void this.read());
  }

  read = again(async () => {
    const since = (this.#since = [] as { chats: Chat[]; gone: string[] }[]);
    try {
      const { chats } = await app.core.call('chats', {});
      this.all = since.reduce((all, e) => merge(all, e.chats, e.gone), chats).sort(newestFirst);
      this.loaded = true;
    } catch {
      // it comes when the core does
    } finally {
      this.#since = null;
    }
  });

  put(chat: Chat): void {
    this.#take([chat], []);
  }

  #take(chats: Chat[], gone: string[]): void {
    this.#since?.push({ chats, gone });
    this.all = merge(this.all, chats, gone);
  }
}

export const newestFirst = (a: Chat, b: Chat): number => b.time - a.time || a.name.localeCompare(b.name);

/** The list with some conversations as they are now and some gone. */
export function merge(all: readonly Chat[], changed: readonly Chat[], gone: readonly string[]): Chat[] {
  const out = new Set([...changed.map((c) => c.id), ...gone]);
  return [...all.filter((c) => !out.has(c.id)), ...changed].sort(newestFirst);
}

/** The conversations whose name or last line holds every word of the text. */
export function filterChats(all: readonly Chat[], text: string): Chat[] {
  const words = fold(text).split(/\s+/).filter(Boolean);
  return all.filter((c) => {
    const where = fold(`${c.name} ${c.person} ${c.last?.body ?? ''}`);
    return words.every((w) => where.includes(w));
  });
}

/** A conversation's name for reading: people's handles stand without the @. */
export const chatName = (c: Chat): string => (c.kind === 'direct' && c.person ? c.person : c.name);

export const chats = new Chats();
