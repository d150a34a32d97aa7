// A core of memory: the whole interface of core/types.ts without keys or network.
// Only tests and the pages made for looking at use it; nothing in src knows it.
import { Client, type Port } from '../src/core/client';
import type { Frame } from '../src/core/frame';
import type * as T from '../src/core/types';

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

type Handlers = {
  [M in keyof T.Methods]?: (q: T.Methods[M]['call']) => T.Methods[M]['ok'] | Promise<T.Methods[M]['ok']>;
};

export class Refused extends Error {
  constructor(readonly code: T.ErrorCode) {
    super(code);
  }
}

export const hex = (seed: string, n = 32): string => {
  let h = 2166136261;
  let out = '';
  for (let i = 0; out.length < n; i++) {
    for (const c of seed + i) h = Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0;
    out += h.toString(16).padStart(8, '0');
  }
  return out.slice(0, n);
};

let count = 0;

export const message = (
  chat: string,
  from: string,
  body: string,
  over: Partial<T.Message> = {},
): T.Message => ({
  id: hex('m' + ++count),
  chat,
  seq: count,
  time: Date.now(),
  from,
  device: hex(from),
  own: false,
  kind: 'text',
  state: 'sent',
  body,
  edited: 0,
  mention: false,
  attachments: [],
  events: [],
  why: '',
  reactions: [],
  readBy: [],
  expires: 0,
  ...over,
});

export const chat = (id: string, over: Partial<T.Chat> = {}): T.Chat => ({
  id,
  name: id,
  kind: id.startsWith('@') ? 'direct' : 'group',
  state: '',
  person: id.startsWith('@') ? id.slice(1) : '',
  trust: 'checked',
  people: 2,
  role: 'admin',
  unread: 0,
  mentioned: false,
  draft: '',
  expiry: 0,
  time: Date.now(),
  read: 0,
  muted: false,
  ...over,
});

export const person = (handle: string, over: Partial<T.Person> = {}): T.Person => ({
  handle,
  account: hex(handle, 64),
  self: false,
  trust: 'checked',
  devices: 1,
  verified: 0,
  chat: '@' + handle,
  ...over,
});

const words = 'lantern orchard copper river winter bridge saffron harbour meadow anchor violet timber'.split(
  ' ',
);

/** A core whose data tests may change; fire() tells the interface. */
export class FakeCore implements Port {
  onframe: (f: Frame) => void = () => undefined;
  onlost: (lost: boolean) => void = () => undefined;
  state: T.State = {
    phase: 'ready',
    where: 'browser',
    version: '1.4.0',
    handle: 'amelie',
    account: hex('amelie', 64),
    device: hex('this device'),
    server: 'https://chat.example#q7XnU8p2',
    recoveryUnconfirmed: false,
  };
  status: T.Status = {
    online: true,
    syncing: false,
    lastSync: Date.now(),
    outbox: 0,
    log: {
      size: 48_211,
      root: hex('root', 64),
      policy: '2 of 3',
      witnesses: ['Uni Gent', 'Ville de Lyon', 'Digitalcourage'].map((name) => ({
        name,
        time: Date.now() - hour,
      })),
      witnessed: true,
    },
    warnings: [],
  };
  alarms: T.Alarm[] = [];
  strict = false;
  policies: T.Policy[] = [];
  evidence: T.Evidence[] = [];
  chats: T.Chat[] = [];
  people: T.Person[] = [];
  history: Record<string, T.PersonEvent[]> = {};
  messages: Record<string, T.Message[]> = {};
  members: Record<string, T.Member[]> = {};
  devices: T.Device[] = [];
  files: Record<string, Uint8Array<ArrayBuffer>> = {};
  settings: Record<string, string> = {};
  /** Every call, in order. */
  calls: { method: string; request: unknown }[] = [];
  recoveryKey = 'K7Q2-9MXW-4TRD-8HNB-2VCP-6JYF';
  handlers: Handlers = this.#handlers();
  #answers = new Map<string, (f: Frame) => void>();

  client(): Client {
    return new Client(this);
  }

  fire<E extends keyof T.Events>(event: E, payload: T.Events[E]): void {
    this.onframe({ id: 0, kind: 'event', method: event, payload });
  }

  send(f: Frame): void {
    if (f.kind === 'event') this.#answers.get(`${f.id} ${f.method}`)?.(f);
    if (f.kind === 'call') void this.#run(f);
  }

  async #run(f: Frame): Promise<void> {
    const method = f.method as keyof T.Methods;
    this.calls.push({ method, request: f.payload });
    await Promise.resolve();
    try {
      if (method === 'attachment.read') await this.#chunks(f);
      if (method === 'link')
        this.onframe({ id: f.id, kind: 'event', method: 'link.code', payload: { code: linkCode } });
      if (method === 'link') return; // until it is approved
      if (method === 'link.approve')
        await this.#ask(f, 'approve.confirm', { device: hex('new'), code: linkCode });
      const h = this.handlers[method] as ((q: unknown) => unknown) | undefined;
      if (!h) throw new Refused('unsupported');
      this.onframe({ id: f.id, kind: 'ok', payload: structuredClone(await h(f.payload)) });
    } catch (e) {
      const code = e instanceof Refused ? e.code : 'internal';
      this.onframe({ id: f.id, kind: 'err', payload: { code, text: String(e), hint: '' } });
    }
  }

  #ask(f: Frame, method: string, payload: unknown, bytes?: Uint8Array<ArrayBuffer>): Promise<Frame> {
    return new Promise((resolve) => {
      this.#answers.set(`${f.id} ${method}`, resolve);
      this.onframe({ id: f.id, kind: 'event', method, payload, ...(bytes && { bytes }) });
    });
  }

  async #chunks(f: Frame): Promise<void> {
    const q = f.payload as T.AttachmentRequest;
    const m = this.messages[q.chat]?.find((x) => x.id === q.message);
    const bytes = this.files[m?.attachments[q.index]?.name ?? ''];
    if (!bytes) throw new Refused('gone');
    await this.#ask(f, 'file.chunk', { offset: 0, total: bytes.length }, bytes);
  }

  #chat(id: string): T.Chat {
    const c = this.chats.find((x) => x.id === id);
    if (!c) throw new Refused('unknown-chat');
    return c;
  }

  #change(id: string, over: Partial<T.Chat>): T.Chat {
    const c = Object.assign(this.#chat(id), over);
    this.fire('chats', { chats: [{ ...c }], gone: [] });
    return c;
  }

  #message(q: { chat: string; message: string }): T.Message {
    const m = this.messages[q.chat]?.find((x) => x.id === q.message);
    if (!m) throw new Refused('unknown-message');
    return m;
  }

  #touched(m: T.Message): Record<string, never> {
    this.fire('messages', { chat: m.chat, seqs: [m.seq] });
    return {};
  }

  #members(id: string): T.MemberList {
    this.#chat(id);
    return { members: this.members[id] ?? [], mayAdd: true, mayRemove: true, mayChange: true };
  }

  #detail(handle: string): T.PersonDetail {
    const p = this.people.find((x) => x.handle === handle);
    if (!p) throw new Refused('unknown-person');
    return {
      person: p,
      words,
      digits: '',
      checked: Date.now() - hour,
      history: this.history[handle] ?? [],
    };
  }

  /** Another name, unless somebody has it. */
  #rename(handle: string): T.State {
    if (!/^[a-z0-9.-]{2,32}$/.test(handle)) throw new Refused('bad-name');
    if (this.people.some((p) => p.handle === handle)) throw new Refused('name-left');
    this.state = { ...this.state, handle };
    this.fire('state', this.state);
    return this.state;
  }

  #page(q: T.MessagesRequest): T.MessagesPage {
    const all = this.messages[q.chat] ?? [];
    const limit = q.limit || 50;
    let from = Math.max(0, all.length - limit);
    if (q.before) from = Math.max(0, all.findIndex((m) => m.seq >= q.before!) - limit);
    if (q.after) from = all.findIndex((m) => m.seq > q.after!);
    if (q.around) from = Math.max(0, all.findIndex((m) => m.seq >= q.around!) - Math.floor(limit / 2));
    const end = q.before ? all.findIndex((m) => m.seq >= q.before!) : from + limit;
    return {
      messages: from < 0 ? [] : all.slice(from, end),
      earlier: from > 0,
      later: end < all.length,
      read: this.#chat(q.chat).read,
    };
  }

  /** A message from somebody else arrives. */
  arrive(m: T.Message): void {
    (this.messages[m.chat] ??= []).push(m);
    const c = this.#change(m.chat, { unread: this.#chat(m.chat).unread + 1, time: m.time, last: last(m) });
    this.fire('message', { message: m, chat: { ...c } });
    this.fire('messages', { chat: m.chat, seqs: [m.seq] });
  }

  #handlers(): Handlers {
    return {
      state: () => this.state,
      status: () => this.status,
      sync: () => this.status,
      alarms: () => ({ alarms: this.alarms }),
      veto: () => ({ alarms: (this.alarms = this.alarms.filter((a) => !a.veto)) }),
      strict: () => ({ strict: this.strict }),
      'strict.set': (q) => ({ strict: (this.strict = q.strict) }),
      policies: () => ({ policies: this.policies }),
      'policies.accept': (q) => {
        const p = this.policies.find((x) => !x.counts && x.hash.startsWith(q.hash));
        if (!p) throw new Refused('safety');
        this.policies = this.policies.map((x) => ({ ...x, counts: true, inForce: x === p }));
        return { policies: this.policies };
      },
      evidence: () => ({ files: this.evidence }),
      'evidence.read': (q) => this.evidence.find((f) => f.name === q.name)!,
      settings: () => ({ values: this.settings }),
      'settings.set': (q) => ({ values: Object.assign(this.settings, q.values) }),
      'invite.inspect': (q) => {
        if (!q.invite.includes('/join#')) throw new Refused('bad-invite');
        return {
          server: 'https://chat.example',
          expires: Date.now() + 7 * day,
          expired: false,
          otherServer: false,
        };
      },
      'invite.make': () => ({
        link: `https://chat.example/join#${hex('invite', 88)}`,
        expires: Date.now() + 7 * day,
      }),
      join: (q) => {
        if (q.handle === 'taken') throw new Refused('name-taken');
        this.state = { ...this.state, phase: 'ready', handle: q.handle, recoveryUnconfirmed: true };
        return { state: this.state, recoveryKey: this.recoveryKey };
      },
      recover: () => ({
        state: (this.state = { ...this.state, phase: 'ready' }),
        backup: Date.now() - day,
        others: [],
      }),
      'recovery.show': () => ({ key: this.recoveryKey }),
      'recovery.new': () => ({ key: this.recoveryKey }),
      'account.rename': (q) => this.#rename(q.handle),
      'chat.notes': () => ({ notes: [] }),
      'recovery.confirm': (q) => {
        const right = q.key === this.recoveryKey;
        if (right) this.state = { ...this.state, recoveryUnconfirmed: false };
        return { right };
      },
      'link.approve': () => ({ id: hex('new'), own: false, added: Date.now(), revoked: false }),
      chats: () => ({ chats: this.chats }),
      chat: (q) => this.#chat(q.chat),
      'chat.new': (q) => {
        this.chats.push(chat(q.name, { people: q.people.length + 1 }));
        return this.#chat(q.name);
      },
      'chat.open': (q) => {
        const id = '@' + q.person;
        if (!this.chats.some((c) => c.id === id))
          this.chats.push(chat(id, { state: 'planned', time: Date.now() }));
        return this.#chat(id);
      },
      'chat.leave': (q) => this.#change(q.chat, { state: 'left' }),
      'chat.rename': (q) => this.#change(q.chat, { name: q.name }),
      'chat.expiry': (q) => this.#change(q.chat, { expiry: q.seconds }),
      'chat.mute': (q) => this.#change(q.chat, { muted: q.muted }),
      'chat.draft': (q) => (this.#change(q.chat, { draft: q.text }), {}),
      'chat.read': (q) => (this.#change(q.chat, { unread: 0, read: q.seq, mentioned: false }), {}),
      members: (q) => this.#members(q.chat),
      'members.add': (q) => {
        (this.members[q.chat] ??= []).push(...q.people.map((h) => member(h)));
        return this.#members(q.chat);
      },
      'members.remove': (q) => {
        this.members[q.chat] = (this.members[q.chat] ?? []).filter((m) => !q.people.includes(m.handle));
        return this.#members(q.chat);
      },
      'members.role': (q) => {
        const m = this.members[q.chat]?.find((x) => x.handle === q.person);
        if (m) m.role = q.role;
        return this.#members(q.chat);
      },
      messages: (q) => this.#page(q),
      'messages.get': (q) => ({
        messages: (this.messages[q.chat] ?? []).filter((m) => q.seqs.includes(m.seq)),
      }),
      'message.send': (q) => {
        const answered = this.messages[q.chat]?.find((m) => m.id === q.reply);
        const m = message(q.chat, this.state.handle, q.body, {
          own: true,
          kind: q.voice ? 'voice' : 'text',
          attachments: (q.files ?? []).map((f) => ({ ...f, sha256: '', duration: q.voice ?? 0 })),
          ...(answered && { reply: quote(answered) }),
        });
        (this.messages[q.chat] ??= []).push(m);
        this.#change(q.chat, { last: last(m), time: m.time, draft: '', state: '' });
        this.fire('messages', { chat: q.chat, seqs: [m.seq] });
        return { message: m };
      },
      'message.react': (q) => {
        const m = this.#message(q);
        m.reactions = m.reactions.filter((r) => !r.own);
        if (q.emoji) m.reactions.push({ emoji: q.emoji, by: [this.state.handle], own: true });
        return this.#touched(m);
      },
      'message.edit': (q) =>
        this.#touched(Object.assign(this.#message(q), { body: q.body, edited: Date.now() })),
      'message.delete': (q) =>
        this.#touched(
          Object.assign(this.#message(q), { kind: 'gone', body: '', attachments: [], reactions: [] }),
        ),
      'attachment.read': (q) => this.#message(q).attachments[q.index]!,
      search: (q) => {
        const hits = Object.values(this.messages)
          .flat()
          .filter(
            (m) => (!q.chat || m.chat === q.chat) && m.body.toLowerCase().includes(q.text.toLowerCase()),
          )
          .sort((a, b) => b.time - a.time)
          .slice(0, q.limit ?? 30)
          .map((m): T.SearchHit => {
            const at = m.body.toLowerCase().indexOf(q.text.toLowerCase());
            return { message: m, ranges: [[at, at + q.text.length]] };
          });
        return { hits, cursor: '' };
      },
      people: () => ({ people: this.people }),
      person: (q) => this.#detail(q.handle),
      'person.verify': (q) => {
        const p = this.#detail(q.handle).person;
        Object.assign(p, { trust: q.yes ? 'verified' : 'checked', verified: q.yes ? Date.now() : 0 });
        return this.#detail(q.handle);
      },
      devices: () => ({ devices: this.devices }),
      'devices.revoke': (q) => {
        for (const d of this.devices) if (d.id === q.id) d.revoked = true;
        return { devices: this.devices };
      },
    };
  }
}

export const linkCode = '7F3A-91C4-K2QW-8HNB-2VCP-6JYF';

export const member = (handle: string, over: Partial<T.Member> = {}): T.Member => ({
  handle,
  account: hex(handle, 64),
  self: false,
  role: 'member',
  trust: 'checked',
  since: Date.now() - 40 * day,
  devices: [{ id: hex(handle), since: Date.now() - 40 * day }],
  ...over,
});

export const last = (m: T.Message): T.Last => ({
  from: m.from,
  own: m.own,
  kind: m.kind,
  body: m.body.slice(0, 200),
  file: m.attachments[0]?.name ?? '',
  time: m.time,
  state: m.state,
  events: m.events,
});

export const quote = (m: T.Message): T.Quote => ({
  id: m.id,
  seq: m.seq,
  from: m.from,
  kind: m.kind,
  body: m.body.slice(0, 200),
  file: m.attachments[0]?.name ?? '',
});
