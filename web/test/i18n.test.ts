import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import de from '../src/i18n/de.json';
import en from '../src/i18n/en.json';
import fr from '../src/i18n/fr.json';
import { languages, preferred, speak, t } from '../src/i18n';
import { day, duration, moment, playtime, short, size } from '../src/i18n/dates';

type Catalogue = Record<string, string | Record<string, string>>;
const all: Record<string, Catalogue> = { en, fr, de };
const root = join(import.meta.dirname, '../src');

function sources(dir: string): string {
  return readdirSync(dir)
    .map((n) => join(dir, n))
    .filter((f) => !f.includes('i18n/gen') && !f.endsWith('.json'))
    .map((f) => (statSync(f).isDirectory() ? sources(f) : readFileSync(f, 'utf8')))
    .join('\n');
}

/** Room of labels that cannot wrap, in letters: in every language, and English at 140 %. */
const room: [RegExp, number][] = [
  [/^nav_(chats|search|people|settings)$/, 14],
  [/^role_/, 12],
  [
    /^do_(add|back|cancel|change|check|close|edit|join|leave|next|refuse|rename|reply|revoke|save|send|write|approve)$/,
    20,
  ],
  [/^do_/, 40],
  [/^set_[a-z]+$/, 28],
  [/^(draft|edited|read|sent|muted)$/, 16],
  [/_title$/, 64],
];

describe('catalogues', () => {
  it('use every word, and have every word that is used', () => {
    const used = new Set([...sources(root).matchAll(/\bt\.([a-z][A-Za-z0-9_]*)\(/g)].map((m) => m[1]!));
    const have = new Set(Object.keys(en));
    expect([...have].filter((k) => !used.has(k) && !k.startsWith('say_'))).toEqual([]); // these follow types.ts, see scripts/i18n.mjs
    expect([...used].filter((k) => !have.has(k))).toEqual([]);
  });

  it('keep labels short enough', () => {
    const long: string[] = [];
    for (const [language, words] of Object.entries(all))
      for (const [key, value] of Object.entries(words)) {
        const limit = room.find(([form]) => form.test(key))?.[1];
        if (limit === undefined || typeof value !== 'string') continue;
        const length = value.replace(/\u00ad|\{\w+\}/g, '').length * (language === 'en' ? 1.4 : 1);
        if (length > limit) long.push(`${language} ${key}: ${Math.ceil(length)} > ${limit}`);
      }
    expect(long).toEqual([]);
  });

  it('speak as the direction asks', () => {
    for (const [language, words] of Object.entries(all))
      for (const [key, value] of Object.entries(words))
        for (const text of typeof value === 'string' ? [value] : Object.values(value)) {
          expect(text, `${language} ${key}`).not.toMatch(/!|oops|error|erreur|Fehler\b/i);
          if (language === 'fr') expect(text, key).not.toMatch(/ [:;?»]|« /); // such signs stand after a fixed space
          expect(text.trim(), `${language} ${key}`).toBe(text);
        }
  });

  it('count as the language does', async () => {
    await speak('fr');
    expect([0, 1, 2].map((n) => t.unread({ n }))).toEqual([
      '0 message non lu',
      '1 message non lu',
      '2 messages non lus',
    ]);
    await speak('de');
    expect(t.outbox({ n: 1 })).toBe('1 Nachricht wartet auf diesem Gerät.');
    await speak('en');
    expect(t.days({ n: 7 })).toBe('7 days');
  });

  it('are chosen by what the browser asks for', () => {
    expect(preferred(['pt-BR', 'de-AT', 'en'])).toBe('de');
    expect(preferred(['nl'])).toBe('en');
    expect(languages).toEqual(Object.keys(all));
  });
});

describe('dates', () => {
  const now = new Date(2026, 10, 22, 10, 0).getTime();
  const at = (d: number, h: number) => new Date(2026, 10, d, h, 5).getTime();
  it('are short in lists and long where there is room', async () => {
    await speak('en');
    expect([short(at(22, 9), now), short(at(20, 9), now), short(at(2, 9), now)]).toEqual([
      '09:05',
      'Fri',
      '2 Nov',
    ]);
    expect([day(at(22, 9), now), day(at(21, 23), now), day(at(18, 9), now), day(at(1, 9), now)]).toEqual([
      'Today',
      'Yesterday',
      'Wednesday',
      '1 November 2026',
    ]);
    expect(moment(at(21, 18), now)).toBe('Yesterday 18:05');
    await speak('de');
    expect(day(at(1, 9), now)).toBe('1. November 2026');
  });
  it('have sizes and durations', async () => {
    await speak('en');
    expect([size(812), size(84_000), size(1_840_000), size(2e9)]).toEqual([
      '812 bytes',
      '84 kB',
      '1.8 MB',
      '2 GB',
    ]);
    expect([duration(3600), duration(604_800), duration(86_400), duration(90)]).toEqual([
      '1 hour',
      '1 week',
      '1 day',
      '90 seconds',
    ]);
    expect(playtime(65.4)).toBe('1:05');
  });
});
