// Data to look at: the conversations of the visual direction, in one core of memory.
import { chat, day, FakeCore, hex, hour, last, member, message, minute, person, quote } from './fake';
import type { Chat, Message } from '../src/core/types';

/** Any time of today, so that pictures do not change with the hour. */
export const at = (daysAgo: number, clock: string): number => {
  const [h, m] = clock.split(':').map(Number);
  return new Date(Date.now() - daysAgo * day).setHours(h!, m, 0, 0);
};

export const picture =
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAJCAIAAAC0SDtlAAAAKUlEQVR42mN4/fIlSYiBVA0M5Gh48fw5SYjhOQgQr+EVCJCkgYFUDQAFqZ+zT7HkqwAAAABJRU5ErkJggg==';

const bytes = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

export function world(): FakeCore {
  const core = new FakeCore();
  core.files['Plan Erdgeschoss.png'] = bytes(picture);
  core.people = [
    person('amelie', { self: true, trust: 'verified', devices: 2 }),
    person('jonas.weber', { trust: 'verified', verified: at(255, '10:00'), devices: 2 }),
    person('lotte.de-vries', { trust: 'verified', verified: at(200, '10:00') }),
    person('ines'),
    person('marek', { trust: 'changed', devices: 3 }),
    person('siobhan.byrne'),
    person('matteo.ricci', { trust: 'verified', verified: at(90, '10:00') }),
    person('elin.sjoberg'),
  ];
  core.history['jonas.weber'] = [
    { kind: 'added', time: at(1, '18:20'), device: hex('phone'), signed: true, text: '' },
    { kind: 'verified', time: at(255, '10:00'), device: '', signed: true, text: '' },
    { kind: 'began', time: at(291, '10:00'), device: hex('laptop'), signed: true, text: '' },
  ];
  core.devices = [
    { id: hex('this device'), own: true, added: at(200, '10:00'), revoked: false },
    { id: hex('phone of amelie'), own: false, added: at(30, '10:00'), revoked: false },
    { id: hex('old laptop'), own: false, added: at(400, '10:00'), revoked: true },
  ];
  const jonas = direct(core, 'jonas.weber');
  const rows: [string, number, string, string?, Partial<Chat>?][] = [
    ['Comité éthique', 0, '09:30', 'ines: le procès-verbal est dans Fichiers', { unread: 3, people: 6 }],
    ['@lotte.de-vries', 0, '08:55', 'amelie: Merci, à demain !', { trust: 'verified' }],
    ['Achats — lot 4', 0, '08:12', 'marek: 3 offers received, opening at 14:00', { unread: 1, people: 4 }],
    ['@siobhan.byrne', 2, '16:00', 'siobhan.byrne: ', {}],
    ['Bauausschuss', 2, '15:00', 'jonas.weber: Protokoll folgt am Montag', { people: 9, muted: true }],
    ['@matteo.ricci', 3, '11:00', 'matteo.ricci: Va bene, grazie', { trust: 'verified' }],
    [
      'Support informatique',
      3,
      '10:00',
      'amelie: resolved, thank you',
      { people: 3, draft: 'One more thing about the printer' },
    ],
    ['@elin.sjoberg', 4, '09:00', 'elin.sjoberg: Signed. Sending the copy back.', {}],
    ['Rédaction du rapport', 10, '12:00', 'amelie: v7 est en ligne', { people: 5 }],
  ];
  core.chats = [jonas];
  for (const [id, days, clock, line = '', over = {}] of rows) {
    const [from = '', body = ''] = line.split(/: (.*)/s);
    const c = chat(id, { time: at(days, clock), ...over });
    const m = message(id, from, body, { time: c.time, own: from === 'amelie' });
    if (id === '@siobhan.byrne')
      Object.assign(m, {
        kind: 'voice',
        attachments: [
          { name: 'voice.webm', mediaType: 'audio/webm', size: 52_000, sha256: '', duration: 42_000 },
        ],
      });
    core.messages[id] = [m];
    c.last = last(m);
    if (c.unread === 0) c.read = m.seq;
    core.chats.push(c);
  }
  group(core, 'Comité éthique');
  return core;
}

function direct(core: FakeCore, handle: string): Chat {
  const id = '@' + handle;
  const m: Message[] = [];
  const put = (from: string, days: number, clock: string, body: string, over: Partial<Message> = {}) => {
    const x = message(id, from, body, { time: at(days, clock), own: from === 'amelie', ...over });
    m.push(x);
    return x;
  };
  put(handle, 1, '17:58', 'Der Vermieter hat den Plan geschickt. Passt die Fläche für den Empfang?');
  put(handle, 1, '17:58', '', {
    kind: 'attachment',
    attachments: [
      { name: 'Plan Erdgeschoss.png', mediaType: 'image/png', size: 84_000, sha256: '', duration: 0 },
    ],
  });
  put(
    'amelie',
    0,
    '09:36',
    'Bonjour Jonas ! Oui, 31 m² à l’accueil, c’est suffisant. La commission est d’accord.',
  );
  const mine = put(
    'amelie',
    0,
    '09:36',
    'Je dépose le contrat relu dans **Siège**, il reste la clause 9 à confirmer.',
    {
      readBy: [handle],
      reactions: [{ emoji: '👍', by: [handle], own: false }],
    },
  );
  put(handle, 0, '09:41', 'Klausel 9 ist geprüft: Kündigungsfrist sechs Monate, beidseitig.', {
    reply: quote(mine),
  });
  const end = put(handle, 0, '09:41', 'Perfekt, dann unterschreibe ich heute.');
  core.messages[id] = m;
  return chat(id, {
    trust: 'verified',
    expiry: 7 * 86_400,
    time: end.time,
    last: last(end),
    read: end.seq,
  });
}

function group(core: FakeCore, id: string): void {
  core.members[id] = [
    member('amelie', { self: true, role: 'admin', trust: 'verified' }),
    member('ines'),
    member('jonas.weber', { trust: 'verified', role: 'admin' }),
    member('lotte.de-vries', { trust: 'verified' }),
    member('marek', { trust: 'changed' }),
    member('siobhan.byrne', {
      devices: [
        {
          id: hex('x'),
          since: Date.now() - hour,
          warning: { code: 'device-unproven', with: [], text: "its account's keys do not vouch for it" },
        },
      ],
    }),
  ];
  const all = core.messages[id]!;
  const time = all[0]!.time;
  const put = (from: string, minutes: number, body: string, over: Partial<Message> = {}) =>
    message(id, from, body, { time: time - minutes * minute, own: from === 'amelie', ...over });
  const before = [
    put('amelie', 900, '', {
      kind: 'event',
      events: [{ kind: 'created', by: 'amelie', people: [], text: '', number: 0 }],
    }),
    put('amelie', 899, '', {
      kind: 'event',
      events: [
        { kind: 'added', by: 'amelie', people: ['ines', 'jonas.weber', 'marek'], text: '', number: 0 },
      ],
    }),
    put(
      'ines',
      60,
      'Ordre du jour :\n\n1. Avis de la commission\n2. Vote\n3. Divers\n\n> La séance est ouverte à 14 h.',
    ),
    put(
      'marek',
      58,
      'I cannot come, @amelie please vote for me. Details: https://chat.example/agenda_(draft).',
    ),
    put('siobhan.byrne', 40, '', { kind: 'unreadable', why: 'waiting' }),
    put('lotte.de-vries', 35, '', { kind: 'unreadable', why: 'damaged' }),
    put('lotte.de-vries', 30, '', { kind: 'gone' }),
    put('marek', 29, '', {
      kind: 'event',
      events: [{ kind: 'device', by: 'marek', people: ['marek'], text: '', number: 0 }],
    }),
    put('ines', 28, '', {
      kind: 'event',
      events: [{ kind: 'roles', by: 'ines', people: ['marek'], text: 'admin', number: 0 }],
    }),
    put('amelie', 20, 'The `quorum` is *four*, we are ~~five~~ **six**.\n```\nvotes = 4\n```', {
      edited: time - 19 * minute,
    }),
    put('jonas.weber', 10, '', {
      kind: 'voice',
      attachments: [
        { name: 'voice.webm', mediaType: 'audio/webm', size: 30_000, sha256: '', duration: 27_000 },
      ],
    }),
    put('jonas.weber', 9, 'Hier der Entwurf.', {
      attachments: [
        {
          name: 'Protokoll 17-11 — Entwurf mit einem sehr langen Namen.docx',
          mediaType: '',
          size: 96_000,
          sha256: '',
          duration: 0,
        },
      ],
    }),
  ];
  core.messages[id] = [...before, ...all].map((m, i) => ({ ...m, seq: 10_000 + i }));
  const c = core.chats.find((x) => x.id === id)!;
  c.read = 10_000 + 6;
}

/** The one loud state. */
export function alarm(core: FakeCore): void {
  const c = core.chats[0]!;
  c.state = 'stopped';
  c.trust = 'stop';
  c.stopped = {
    code: 'keys-not-logged',
    with: ['jonas.weber'],
    text: 'the keys the server shows for @jonas.weber do not stand in its log',
  };
  const p = core.people.find((x) => x.handle === c.person)!;
  p.trust = 'stop';
  p.reason = c.stopped;
  core.alarms = [
    {
      chat: c.id,
      reason: c.stopped,
      fix: {
        code: 'fix-ask-devices',
        with: [],
        text: 'ask the person by another way which devices are theirs',
      },
      evidence: 'evidence/split',
      veto: false,
    },
  ];
  core.history[c.person]!.unshift({
    kind: 'reset',
    time: at(0, '09:44'),
    device: '',
    signed: true,
    text: '',
  });
}

/** Somebody asks for this person's name, and a witness is to be exchanged. */
export function takeover(core: FakeCore): void {
  core.state = { ...core.state, recoveryUnconfirmed: true };
  core.alarms = [
    {
      chat: '',
      reason: { code: 'own-reset', with: [core.state.handle, '2026-11-20'], text: '' },
      fix: { code: 'fix-veto', with: [], text: '' },
      evidence: 'evidence-20261120-094400-1a2b3c4d.huis',
      veto: true,
    },
  ];
  core.evidence = [
    { name: 'evidence-20261120-094400-1a2b3c4d.huis', size: 4211, time: Date.now() - 2 * day },
    { name: 'report-20261121-101500-5e6f7a8b.txt', size: 812, time: Date.now() - day },
  ];
  const now = {
    hash: hex('policy', 64),
    witnesses: ['Uni Gent', 'Ville de Lyon', 'Digitalcourage'],
    fewest: 2,
    signers: ['amelie', 'marek'],
    needed: 1,
    changes: [],
  };
  core.policies = [
    { ...now, n: 0, inForce: true, counts: true },
    {
      ...now,
      n: 1,
      hash: hex('next', 64),
      inForce: false,
      counts: false,
      fewest: 1,
      changes: [
        { code: 'policy-without', with: ['Ville de Lyon'], text: '' },
        { code: 'policy-fewest', with: ['1', '2'], text: '' },
      ],
      waits: { code: 'policy-waits-consent', with: ['fewer witnesses', hex('next', 16)], text: '' },
    },
  ];
}

/** A conversation of many messages. */
export function long(core: FakeCore, n: number): string {
  const id = 'Archive';
  const start = Date.now() - n * minute;
  core.messages[id] = Array.from({ length: n }, (_, i) =>
    message(
      id,
      ['ines', 'marek', 'amelie', 'jonas.weber'][(i >> 2) % 4]!,
      `Message ${i + 1}. ${'word '.repeat((i * 7) % 40)}`,
      {
        seq: i + 1,
        time: start + i * minute,
        own: (i >> 2) % 4 === 2,
      },
    ),
  );
  const end = core.messages[id]!.at(-1)!;
  core.chats.push(chat(id, { time: end.time, last: last(end), read: n, people: 4 }));
  return id;
}
