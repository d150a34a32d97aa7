// The interface stays in step with the core, in whatever order answers and events come.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { speak } from '../src/i18n';
import { app } from '../src/state/app.svelte';
import { chats } from '../src/state/chats.svelte';
import { people } from '../src/state/people.svelte';
import { timeline } from '../src/state/timeline.svelte';
import { FakeCore, chat, message, person } from './fake';

let core: FakeCore;
const said = (seq: number, over = {}) => message('@bob', 'bob', `said ${seq}`, { seq, ...over });
const upTo = (n: number, from = 1) => Array.from({ length: n - from + 1 }, (_, i) => said(from + i));
const seqs = () => timeline.messages.map((m) => m.seq);
const settled = async () => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

/** Holds back the next answer of a method, as it was when it was asked for, until let go. */
function hold(method: 'messages' | 'messages.get' | 'chats' | 'people' | 'status'): () => Promise<void> {
  const handlers = core.handlers as Record<string, unknown>;
  const real = handlers[method] as (q: never) => unknown;
  let free = () => undefined as void;
  const gate = new Promise<void>((go) => (free = go));
  handlers[method] = async (q: never) => {
    handlers[method] = real;
    const now = structuredClone(real(q));
    await gate;
    return now;
  };
  return async () => {
    free();
    await settled();
  };
}

beforeEach(async () => {
  await speak('en');
  vi.stubGlobal('BroadcastChannel', undefined);
  core = new FakeCore();
  core.chats = [chat('@bob', { read: 10_000 })];
  core.people = [person('bob')];
  core.messages['@bob'] = [];
  await timeline.open('');
  await app.begin(() => Promise.resolve(core.client()));
  chats.watch();
  people.watch();
  timeline.watch();
  await settled();
});

describe('the open conversation', () => {
  it('takes in history that is older than all it shows', async () => {
    core.messages['@bob'] = [said(6, { kind: 'event' })];
    await timeline.open('@bob');
    expect(seqs()).toEqual([6]);
    core.messages['@bob'] = [...upTo(5), ...core.messages['@bob']];
    core.fire('messages', { chat: '@bob', seqs: [1, 2, 3, 4, 5] });
    await settled();
    expect(seqs()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('leaves long history to be loaded when it is scrolled to', async () => {
    core.messages['@bob'] = [said(1001, { kind: 'event' })];
    await timeline.open('@bob');
    core.messages['@bob'] = [...upTo(1000), ...core.messages['@bob']];
    core.fire('messages', { chat: '@bob', seqs: upTo(1000).map((m) => m.seq) });
    await settled();
    for (let i = 0; i < 20 && timeline.earlier; i++) await timeline.older();
    expect(seqs()).toEqual(upTo(1001).map((m) => m.seq));
  });

  it('does not go back to an answer older than what it was told since', async () => {
    const go = hold('messages');
    const opened = timeline.open('@bob');
    await settled();
    core.messages['@bob'] = upTo(2);
    core.fire('messages', { chat: '@bob', seqs: [1] });
    core.fire('messages', { chat: '@bob', seqs: [2] });
    await settled();
    await go();
    await opened;
    await settled();
    expect(seqs()).toEqual([1, 2]);
  });

  it('reads once more what changed while it was read', async () => {
    core.messages['@bob'] = upTo(1);
    await timeline.open('@bob');
    const go = hold('messages.get');
    core.fire('messages', { chat: '@bob', seqs: [1] });
    await settled();
    Object.assign(core.messages['@bob'][0]!, { body: 'edited' });
    core.fire('messages', { chat: '@bob', seqs: [1] });
    await settled();
    await go();
    expect(timeline.messages[0]?.body).toBe('edited');
  });

  it('has no gap after more came than it reads at once', async () => {
    core.messages['@bob'] = upTo(50);
    await timeline.open('@bob');
    core.messages['@bob'] = upTo(900);
    core.fire('messages', { chat: '@bob', seqs: upTo(900, 51).map((m) => m.seq) });
    await settled();
    expect(seqs().at(-1)).toBe(900);
    for (let i = 0; i < 20 && timeline.earlier; i++) await timeline.older();
    expect(seqs()).toEqual(upTo(900).map((m) => m.seq));
  });

  it('has no gap when it is not known what came', async () => {
    core.messages['@bob'] = upTo(50);
    await timeline.open('@bob');
    core.messages['@bob'] = upTo(900);
    core.fire('messages', { chat: '@bob', seqs: [] });
    await settled();
    for (let i = 0; i < 20 && timeline.earlier; i++) await timeline.older();
    expect(seqs()).toEqual(upTo(900).map((m) => m.seq));
  });

  it('keeps what a person scrolled back to when something else changes', async () => {
    core.messages['@bob'] = upTo(500);
    await timeline.open('@bob');
    while (timeline.earlier) await timeline.older();
    core.fire('messages', { chat: '@bob', seqs: [] });
    await settled();
    expect(seqs()).toEqual(upTo(500).map((m) => m.seq));
  });

  it('shows what a key that became known vouches for', async () => {
    await timeline.open('@bob');
    core.messages['@bob'] = upTo(1);
    core.fire('people', {});
    await settled();
    expect(seqs()).toEqual([1]);
  });

  it('marks nothing as read once it is left', async () => {
    core.chats[0]!.read = 0;
    await timeline.open('@bob');
    timeline.leave('@eve'); // another one
    core.arrive(said(1));
    await settled();
    const read = () => core.calls.filter((c) => c.method === 'chat.read').length;
    expect(read()).toBe(1);
    timeline.leave('@bob');
    core.arrive(said(2));
    await settled();
    expect(read()).toBe(1);
    expect(chats.get('@bob')?.unread).toBe(1);
  });

  it('shows another conversation although the one before is still being read', async () => {
    core.chats.push(chat('@eve'));
    core.messages['@eve'] = [message('@eve', 'eve', 'hello', { seq: 1 })];
    core.messages['@bob'] = upTo(3);
    const go = hold('messages');
    const first = timeline.open('@bob');
    const second = timeline.open('@eve');
    await settled();
    await go();
    await Promise.all([first, second]);
    expect(timeline.messages.map((m) => m.body)).toEqual(['hello']);
    expect(timeline.loading).toBe(false);
  });
});

describe('lists', () => {
  it('of conversations: an event is newer than an answer that was asked for before it', async () => {
    const go = hold('chats');
    const read = chats.read();
    await settled();
    core.fire('chats', { chats: [chat('@bob', { unread: 3 }), chat('@new')], gone: [] });
    await settled();
    await go();
    await read;
    expect(chats.get('@bob')?.unread).toBe(3);
    expect(chats.get('@new')).toBeTruthy();
  });

  it('of people: the last change is what stands there', async () => {
    const go = hold('people');
    core.fire('people', {});
    await settled();
    core.people = [person('bob', { trust: 'verified' })];
    core.fire('people', {});
    await settled();
    await go();
    expect(people.get('bob')?.trust).toBe('verified');
  });

  it('of the connection: the last change is what stands there', async () => {
    const go = hold('status');
    core.fire('sync', { online: false, syncing: false, outbox: 0 });
    await settled();
    core.status = { ...core.status, online: false };
    core.fire('sync', { online: false, syncing: false, outbox: 0 });
    await settled();
    await go();
    expect(app.status?.online).toBe(false);
  });
});
