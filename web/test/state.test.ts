import { beforeAll, describe, expect, it } from 'vitest';
import { speak } from '../src/i18n';
import { filterChats, merge } from '../src/state/chats.svelte';
import { CoreError } from '../src/state/core';
import { failure } from '../src/state/failure';
import type { Sentence } from '../src/state/core';
import { say } from '../src/state/say';
import { fold } from '../src/state/fold';
import { eventText, fileKind, isPicture, whyText } from '../src/state/lines';
import { readChoices } from '../src/state/prefs.svelte';
import { sameGroup, twoOf } from '../src/state/recovery';
import { parseRoute, path } from '../src/state/router.svelte';
import { excerpt } from '../src/state/search.svelte';
import { shortcut } from '../src/state/shortcuts.svelte';
import { firstUnread, patch, rowsOf } from '../src/state/timeline.svelte';
import { invitationIn } from '../src/start';
import { chat, message } from './fake';

beforeAll(() => speak('en'));
const noon = new Date(2026, 10, 22, 12).getTime();
const msg = (seq: number, from: string, minutes: number, over = {}) =>
  message('c', from, 'x', { seq, time: noon + minutes * 60_000, ...over });

describe('timeline', () => {
  it('groups what one person writes within five minutes', () => {
    const rows = rowsOf([msg(1, 'a', 0), msg(2, 'a', 4), msg(3, 'a', 20), msg(4, 'b', 21)], '');
    expect(
      rows.map((r) =>
        r.type === 'message' ? `${r.first ? '(' : ''}${r.message.seq}${r.last ? ')' : ''}` : r.type,
      ),
    ).toEqual(['day', '(1', '2)', '(3)', '(4)']);
  });

  it('begins what is new, and each day, with a line', () => {
    const list = [msg(1, 'a', 0), msg(2, 'b', 1, { own: true }), msg(3, 'a', 2), msg(4, 'a', 24 * 60)];
    expect(firstUnread(list, 1)).toBe(`${list[2]!.id} a`);
    expect(rowsOf(list, firstUnread(list, 1)).map((r) => r.type)).toEqual([
      'day',
      'message',
      'message',
      'new',
      'message',
      'day',
      'message',
    ]);
  });

  it('tells two authors of one id apart', () => {
    const rows = rowsOf([msg(1, 'a', 0, { id: 'same' }), msg(2, 'b', 0, { id: 'same' })], '');
    expect(new Set(rows.map((r) => r.key)).size).toBe(rows.length);
  });

  it('takes changes over by seq, waiting ones last', () => {
    const [a, b, w] = [msg(1, 'a', 0), msg(2, 'a', 1), msg(0, 'a', 0, { state: 'waiting' })];
    const c = { ...b, body: 'edited' };
    expect(patch([a, b, w], [2], [c])).toEqual([a, c, w]);
    expect(patch([a, b, w], [2], [])).toEqual([a, w]);
    expect(patch([a, w], [3, 2], [msg(3, 'b', 2), b]).map((m) => m.seq)).toEqual([1, 2, 3, 0]);
  });
});

describe('chats', () => {
  it('come newest first and without those that are gone', () => {
    const [a, b, c] = [chat('a', { time: 1 }), chat('b', { time: 2 }), chat('c', { time: 3 })];
    expect(merge([c, b, a], [{ ...a, time: 9 }], ['b']).map((x) => x.id)).toEqual(['a', 'c']);
  });
  it('are found without accents, by parts of words', () => {
    const all = [chat('Comité éthique'), chat('Bauausschuß')];
    expect(filterChats(all, 'ETHI comite').map((x) => x.id)).toEqual(['Comité éthique']);
    expect(filterChats(all, 'schuss').map((x) => x.id)).toEqual(['Bauausschuß']);
    expect(fold('Œuvre ÆON Straße')).toBe('oeuvre aeon strasse');
  });
});

describe('addresses', () => {
  it('carry any name', () => {
    for (const id of ['@jonas', 'a/b', 'Comité #4 ?x', '%', '../..', 'ü'])
      expect(parseRoute(path('chats', id, 'info'))).toEqual({ section: 'chats', item: id, sub: 'info' });
  });
  it('that are none lead home', () => {
    for (const bad of ['', '#', '#/nowhere', '#token=x', '#/chats/%zz'])
      expect(parseRoute(bad)).toEqual({ section: 'chats', item: '', sub: '' });
  });
  it('tell an invitation from a page', () => {
    const at = (pathname: string, hash: string) =>
      invitationIn({ origin: 'o', pathname, hash, href: 'o' + pathname + hash });
    expect(at('/join', '#abc')).toBe('o/join#abc');
    expect([at('/join', '#/join'), at('/', '#token=x'), at('/join', '')]).toEqual(['', '', '']);
  });
});

describe('words', () => {
  it('never show the name of an error', () => {
    for (const code of ['internal', 'bad-request', 'refused', 'no-profile'] as const) {
      const said = failure(new CoreError(code, 'mls: commit updates its own sender', 'x'));
      expect(said).not.toMatch(/mls|internal|bad-request|updates/);
    }
    expect(failure(new TypeError('undefined is not a function'))).not.toMatch(/undefined/);
    const reason = { code: 'keys-less', with: ['bob'], text: 'x' } as const;
    const fix = { code: 'fix-operator', with: [], text: 'y' } as const;
    expect(
      failure(new CoreError('safety', 'x', 'y', { ...reason, with: ['bob'] }, { ...fix, with: [] })),
    ).toBe('The server shows less of bob than its public log has. Tell the server’s operator.');
    expect(say(undefined)).toBe('');
  });
  it('say of a message that is not shown why, never what went wrong inside', () => {
    const all = (['waiting', 'unproven', 'damaged', 'foreign', 'late'] as const).map((why) =>
      whyText(message('c', 'jonas', '', { kind: 'unreadable', why })),
    );
    expect(new Set(all).size).toBe(5);
    expect(all[0]).toMatch(/^Waiting for jonas/);
    for (const s of all) expect(s).toMatch(/\.$/);
  });
  it('put dates into sentences as the language writes them', async () => {
    const s: Sentence = { code: 'own-reset', with: ['bob', '2026-03-12'], text: 'x' };
    await speak('de');
    expect(say(s)).toContain('12. März 2026');
    await speak('en');
    expect(say(s)).toContain('12 March 2026');
  });
  it('say what happened', () => {
    expect(eventText({ kind: 'expiry', by: 'ada', people: [], text: '', number: 3600 })).toBe(
      'ada lets messages disappear after 1 hour.',
    );
    expect(eventText({ kind: 'roles', by: 'ada', people: ['bob'], text: 'admin', number: 0 })).toBe(
      'ada made bob an admin.',
    );
    expect(eventText({ kind: 'added', by: 'ada', people: ['bob', 'cy'], text: '', number: 0 })).toBe(
      'ada added bob and cy.',
    );
  });
});

describe('files', () => {
  it('are drawn only if they cannot hold script', () => {
    const file = (mediaType: string) => ({ name: 'x', mediaType, size: 1, sha256: '', duration: 0 });
    expect(['image/png', 'image/webp'].every((m) => isPicture(file(m)))).toBe(true);
    expect(
      ['image/svg+xml', 'text/html', 'application/pdf', 'image/PNG ', ''].some((m) => isPicture(file(m))),
    ).toBe(false);
  });
  it('have letters on their glyph', () => {
    expect([
      fileKind('a.PDF'),
      fileKind('b'),
      fileKind('.hid'),
      fileKind('x.toolong'),
      fileKind('x.<b>'),
    ]).toEqual(['PDF', '', '', '', '']);
  });
});

it('choices that make no sense are defaults', () => {
  expect(readChoices({ language: 'xx', theme: 'blue', text: '9', notify: 'yes' }, ['fr-BE'])).toEqual({
    language: 'fr',
    theme: 'system',
    text: 'normal',
    notify: false,
    notifyText: false,
    enterSends: true,
  });
});

it('two places of the recovery key differ and are in order', () => {
  for (let i = 0; i < 200; i++) {
    const [a, b] = twoOf(6);
    expect(a).toBeLessThan(b);
    expect(a).toBeGreaterThanOrEqual(0);
    expect(b).toBeLessThan(6);
  }
  expect(sameGroup(' k0l1 ', 'KOI1')).toBe(true);
  expect([sameGroup('', ''), sameGroup('K7Q2', 'K7Q3')]).toEqual([false, false]);
});

it('an excerpt marks what was found and cuts around it', () => {
  const body = 'a'.repeat(100) + ' clause ' + 'b'.repeat(300);
  const parts = excerpt(body, [[101, 107]]);
  expect(parts.find((p) => p.found)?.text).toBe('clause');
  expect(parts[0]?.text).toBe('…');
  expect(parts.map((p) => p.text).join('').length).toBeLessThan(180);
});

it('keys have their commands', () => {
  const key = (k: string, over: Partial<KeyboardEvent> = {}) =>
    shortcut(new KeyboardEvent('keydown', { key: k, ...over }));
  expect(key('k', { ctrlKey: true })).toBe('search');
  expect(key('k', { metaKey: true })).toBe('search');
  expect(key('k')).toBe(null);
  expect(key('k', { ctrlKey: true, shiftKey: true })).toBe(null);
  expect(key('ArrowDown', { altKey: true })).toBe('next');
  expect(key('ñ', { altKey: true, code: 'KeyN' })).toBe('new');
});
