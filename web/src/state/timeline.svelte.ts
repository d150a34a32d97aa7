// The open conversation: the piece of it that is loaded, and what a person does there.
import { SvelteMap } from 'svelte/reactivity';
import { daysBetween } from '../i18n/dates';
import { Changes } from './again';
import { app } from './app.svelte';
import { chats } from './chats.svelte';
import type { ChatEvent, EventKind, Message, PersonEventKind, Progress } from './core';

const pageSize = 100; // messages: several screens, a few milliseconds of the core
const maxPage = 200; // what the core gives at most
const groupWithin = 5 * 60_000; // ms between messages that stand together

/** One row of the timeline. */
export type Row =
  | { key: string; type: 'day'; time: number }
  | { key: string; type: 'new' }
  | { key: string; type: 'event'; events: ChatEvent[] }
  | { key: string; type: 'message'; message: Message; first: boolean; last: boolean };

/** What happened to somebody's keys while a conversation went on. */
export interface Note {
  time: number;
  event: ChatEvent;
}

/** The rows of messages in order: day lines, the line before what is new, groups, notes between. */
export function rowsOf(messages: readonly Message[], firstNew: string, notes: readonly Note[] = []): Row[] {
  const rows: Row[] = [];
  const due = notes.filter((n) => n.time >= (messages[0]?.time ?? Infinity));
  const note = (n: Note) =>
    rows.push({
      key: `note ${n.time} ${n.event.kind} ${n.event.people.join()}`,
      type: 'event',
      events: [n.event],
    });
  let told = 0;
  for (let i = 0; i < messages.length; i++) {
    const m = messages[i]!;
    const before = messages[i - 1];
    const next = messages[i + 1];
    const from = told;
    while (told < due.length && due[told]!.time < m.time) note(due[told++]!);
    const apart = told > from;
    const newDay = !before || daysBetween(before.time, m.time) !== 0;
    if (newDay) rows.push({ key: `day ${m.time} ${m.id}`, type: 'day', time: m.time });
    if (keyOf(m) === firstNew) rows.push({ key: 'new', type: 'new' });
    if (m.kind === 'event') {
      if (m.events.length > 0) rows.push({ key: keyOf(m), type: 'event', events: m.events });
      continue;
    }
    const first = newDay || apart || keyOf(m) === firstNew || !together(before, m);
    const parted = next !== undefined && told < due.length && due[told]!.time < next.time;
    const last = !next || parted || keyOf(next) === firstNew || !together(m, next);
    rows.push({ key: keyOf(m), type: 'message', message: m, first, last });
  }
  for (; told < due.length; told++) note(due[told]!);
  return rows;
}

const noted: Partial<Record<PersonEventKind, EventKind>> = {
  reset: 'changed',
  verified: 'verified',
  renamed: 'called',
};
const notedPeople = 50; // of how many members the keys' history is looked at

/** Two authors may use one id: a row is told by both. */
export const keyOf = (m: Message): string => `${m.id} ${m.from}`;

const together = (a: Message | undefined, b: Message): boolean =>
  a !== undefined &&
  a.kind !== 'event' &&
  b.kind !== 'event' &&
  a.from === b.from &&
  b.time - a.time < groupWithin &&
  daysBetween(a.time, b.time) === 0;

/** The first of the others' messages after what was read. */
export function firstUnread(messages: readonly Message[], read: number): string {
  const m = messages.find((x) => x.seq > read && !x.own && x.kind !== 'event');
  return m ? keyOf(m) : '';
}

/** Loaded messages with some of them as they are now, and some (by seq) gone. */
export function patch(
  loaded: readonly Message[],
  asked: readonly number[],
  got: readonly Message[],
): Message[] {
  const out = new Set(asked);
  return [...loaded.filter((m) => m.seq === 0 || !out.has(m.seq)), ...got].sort(inOrder);
}

const inOrder = (a: Message, b: Message): number => {
  if (a.seq === 0 || b.seq === 0) return a.seq === b.seq ? a.time - b.time : a.seq === 0 ? 1 : -1;
  return a.seq - b.seq;
};

class Timeline {
  chat = $state('');
  messages = $state.raw<Message[]>([]);
  earlier = $state(false);
  later = $state(false);
  loading = $state(true);
  failed = $state(false);
  firstNew = $state('');
  replyTo = $state.raw<Message | null>(null);
  editing = $state.raw<Message | null>(null);
  /** Uploads that run, by a number of their own. */
  uploads = new SvelteMap<number, Progress & { names: string[]; chat: string; stop: AbortController }>();
  notes = $state.raw<Note[]>([]);
  rows = $derived(rowsOf(this.messages, this.firstNew, this.later ? [] : this.notes));
  #run = 0;
  #upload = 0;
  #changes = new Changes();
  #patching = false;

  watch(): void {
    app.core.on('messages', ({ chat, seqs }) => {
      if (chat === this.chat) this.#changed(seqs);
    });
    app.core.on('people', () => {
      void this.#readNotes().catch(() => undefined);
      this.#changed([]); // a key that became known may vouch for messages
    });
    document.addEventListener('visibilitychange', () => this.seen());
    app.whenReady(() => {
      if (this.chat) void this.newest();
    });
  }

  async open(chat: string, seq = 0): Promise<void> {
    if (chat === this.chat && seq === 0) return;
    this.chat = chat;
    this.messages = [];
    this.replyTo = null;
    this.editing = null;
    this.firstNew = '';
    this.notes = [];
    void this.#readNotes().catch(() => undefined);
    if (chat) await (seq > 0 ? this.around(seq) : this.newest(true));
  }

  /** Nobody looks at this conversation any more. */
  leave(chat: string): void {
    if (chat === this.chat) void this.open('');
  }

  /** Loads the newest piece; on opening, down from the first unread message. */
  newest(opening = false): Promise<void> {
    return this.#load(async (run) => {
      const unread = chats.get(this.chat)?.unread ?? 0;
      const limit = Math.min(maxPage, Math.max(pageSize, opening ? unread + 30 : 0));
      const page = await app.core.call('messages', { chat: this.chat, limit });
      if (run !== this.#run) return;
      this.#set(page.messages, page.earlier, page.later);
      if (opening) this.firstNew = firstUnread(page.messages, page.read);
    });
  }

  around(seq: number): Promise<void> {
    return this.#load(async (run) => {
      const page = await app.core.call('messages', { chat: this.chat, around: seq, limit: pageSize });
      if (run === this.#run) this.#set(page.messages, page.earlier, page.later);
    });
  }

  /** What the log says of the keys of those who are here. */
  async #readNotes(): Promise<void> {
    const id = this.chat;
    if (!id) return;
    const c = chats.get(id) ?? (await app.core.call('chat', { chat: id }));
    const handles =
      c.kind === 'direct'
        ? [c.person]
        : (await app.core.call('members', { chat: id })).members.filter((m) => !m.self).map((m) => m.handle);
    const notes: Note[] = [];
    for (const handle of handles.slice(0, notedPeople)) {
      const { history } = await app.core.call('person', { handle });
      for (const e of history) {
        const kind = noted[e.kind];
        if (kind && e.time > 0)
          notes.push({
            time: e.time,
            event: { kind, by: handle, people: [e.from || handle], text: e.to || handle, number: 0 },
          });
      }
    }
    if (id === this.chat) this.notes = notes.sort((a, b) => a.time - b.time);
  }

  async older(): Promise<void> {
    const first = this.messages.find((m) => m.seq > 0);
    if (!this.earlier || this.loading || !first) return;
    await this.#load(async (run) => {
      const page = await app.core.call('messages', { chat: this.chat, before: first.seq, limit: pageSize });
      if (run === this.#run) this.#set([...page.messages, ...this.messages], page.earlier, this.later);
    }, false);
  }

  async younger(): Promise<void> {
    const last = this.messages.findLast((m) => m.seq > 0);
    if (!this.later || this.loading || !last) return;
    await this.#load(async (run) => {
      const page = await app.core.call('messages', { chat: this.chat, after: last.seq, limit: pageSize });
      if (run === this.#run) this.#set([...this.messages, ...page.messages], this.earlier, page.later);
    }, false);
  }

  async #load(what: (run: number) => Promise<void>, anew = true): Promise<void> {
    const run = anew ? ++this.#run : this.#run;
    if (anew) this.#changes.clear(); // the answer will have them
    this.loading = true;
    this.failed = false;
    try {
      await what(run);
    } catch {
      if (run === this.#run) this.failed = true;
    } finally {
      if (run === this.#run) this.loading = false;
    }
    this.seen();
    void this.#catchUp();
  }

  #set(messages: Message[], earlier: boolean, later: boolean): void {
    this.messages = messages;
    this.earlier = earlier;
    this.later = later;
  }

  #changed(seqs: number[]): void {
    if (!this.chat) return;
    this.#changes.add(seqs);
    void this.#catchUp();
  }

  /** Reads what changed, once no other answer is on its way that would undo it. */
  async #catchUp(): Promise<void> {
    if (this.#patching) return;
    this.#patching = true;
    try {
      while (!this.loading && !this.#changes.none) {
        const { all, seqs } = this.#changes.take();
        if (!(await this.#patch(seqs)) || all) await this.#renew();
      }
    } catch {
      // the core went away: all is read when it is back
    } finally {
      this.#patching = false;
    }
    this.seen();
  }

  /** Takes in lines by seq; false if more came at the end than are read at once. */
  async #patch(seqs: number[]): Promise<boolean> {
    const run = this.#run;
    const top = this.messages.find((m) => m.seq > 0)?.seq ?? 0;
    const end = this.messages.findLast((m) => m.seq > 0)?.seq ?? 0;
    // History of another device comes before what is here: it is loaded as all that is earlier.
    if (seqs.some((s) => s < top) && !this.earlier) {
      this.earlier = true;
      if (this.messages.length < pageSize) await this.older();
      else this.messages = [...this.messages]; // who looks at the beginning asks for more
    }
    const wanted = seqs.filter((s) => s >= top && (s <= end || !this.later)).sort((a, b) => a - b);
    const whole = wanted.filter((s) => s > end).length <= maxPage;
    const some = whole ? wanted : wanted.filter((s) => s <= end);
    for (let i = 0; i < some.length && run === this.#run; i += maxPage) {
      const part = some.slice(i, i + maxPage);
      const { messages } = await app.core.call('messages.get', { chat: this.chat, seqs: part });
      if (run !== this.#run) break;
      const sent = new Set(messages.map((m) => m.id));
      const kept = this.messages.filter((m) => m.seq > 0 || !sent.has(m.id));
      this.messages = patch(kept, part, messages);
    }
    return whole;
  }

  /** Reads the newest piece again; what is before it stays if nothing can be between. */
  async #renew(): Promise<void> {
    const run = this.#run;
    const page = await app.core.call('messages', { chat: this.chat, limit: maxPage });
    if (run !== this.#run || this.later) return;
    const from = page.earlier ? (page.messages.find((m) => m.seq > 0)?.seq ?? Infinity) : 0;
    const loaded = this.messages.filter((m) => m.seq > 0);
    const joined = (loaded.at(-1)?.seq ?? 0) >= from;
    const kept = joined ? loaded.filter((m) => m.seq < from) : [];
    this.messages = [...kept, ...page.messages];
    if (kept.length === 0) this.earlier = page.earlier;
  }

  /** Marks as read what is loaded, if a person can see it. */
  seen(): void {
    if (document.visibilityState !== 'visible' || !this.chat || this.later) return;
    const c = chats.get(this.chat);
    const seq = this.messages.findLast((m) => m.seq > 0)?.seq ?? 0;
    if (c && seq > c.read) void app.core.call('chat.read', { chat: this.chat, seq }).catch(() => undefined);
  }

  /** Sends into the open conversation; voice is the length of the one file in ms, 0 if it is none. */
  async send(body: string, files: File[], voice = 0): Promise<boolean> {
    const chat = this.chat;
    const reply = this.replyTo;
    this.replyTo = null;
    this.firstNew = '';
    const id = ++this.#upload;
    const stop = new AbortController();
    const names = files.map((f) => f.name);
    const total = files.reduce((n, f) => n + f.size, 0);
    if (total > 0) this.uploads.set(id, { done: 0, total, names, chat, stop });
    const done = await app.try(async () => {
      const request = { chat, body, ...(reply && { reply: reply.id }), ...(voice > 0 && { voice }) };
      const m = await app.core.send(request, files, (p) => this.#progress(id, p), stop.signal);
      if (chat === this.chat && !this.later && !this.messages.some((x) => x.id === m.id))
        this.messages = [...this.messages, m].sort(inOrder);
    });
    this.uploads.delete(id);
    if (!done && chat === this.chat) this.replyTo ??= reply;
    if (done && this.later && chat === this.chat) await this.newest();
    return done;
  }

  #progress(id: number, p: Progress): void {
    const u = this.uploads.get(id);
    if (u) this.uploads.set(id, { ...u, ...p });
  }

  react(m: Message, emoji: string): Promise<boolean> {
    const mine = m.reactions.find((r) => r.own);
    const next = mine?.emoji === emoji ? '' : emoji;
    return app.try(() => app.core.call('message.react', { chat: m.chat, message: m.id, emoji: next }));
  }

  edit(m: Message, body: string): Promise<boolean> {
    return app.try(() => app.core.call('message.edit', { chat: m.chat, message: m.id, body }));
  }

  remove(m: Message): Promise<boolean> {
    return app.try(() => app.core.call('message.delete', { chat: m.chat, message: m.id }));
  }
}

export const timeline = new Timeline();
