// What the core says, in the person's language. Its sentences have codes;
// scripts/i18n.mjs fails when a language has no words for one.
import { t } from '../i18n';
import { longDate, moment } from '../i18n/dates';
import type { Sentence, SentenceCode } from './core';

type Words = Record<string, (places: Record<string, string>) => string>;

/** The sentence's words; '' of none. */
export function say(s: Sentence | undefined): string {
  if (!s) return '';
  const word = (t as unknown as Words)[sayKey(s.code)];
  const with_ = s.code === 'other' ? [s.text] : s.with;
  const places = Object.fromEntries(with_.map((w, i) => [String.fromCharCode(97 + i), readable(w)]));
  return word?.(places) ?? s.text;
}

/** The name of a code's words: say_keysLess. */
export const sayKey = (code: SentenceCode): string =>
  'say_' + code.replace(/-(.)/g, (_, c: string) => c.toUpperCase());

/** Two sentences, one after the other. */
export const sayAll = (...all: (Sentence | undefined)[]): string => all.map(say).filter(Boolean).join(' ');

/** The core writes days and moments as 2026-03-12 and 2026-03-12 18:20:00, in UTC; handles with @ or without. */
function readable(w: string): string {
  const date = /^(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d))?(?: UTC)?$/.exec(w);
  if (!date?.[1]) return w.replace(/^@/, '');
  const at = Date.parse(`${date[1]}T${date[2] ?? '12:00:00'}Z`);
  return date[2] ? moment(at) : longDate(at);
}
