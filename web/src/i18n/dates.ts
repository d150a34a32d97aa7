// Dates, sizes and lists as the language writes them. All times are milliseconds
// since 1970 in the person's own time zone.
import { language, t } from './index';

/** English dates are written so that nobody takes the month for the day. */
const locale = (): string => (language === 'en' ? 'en-GB' : language);

const cache = new Map<string, Intl.DateTimeFormat>();
function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  let f = cache.get(key);
  if (!f) cache.set(key, (f = new Intl.DateTimeFormat(locale(), options)));
  return f;
}

/** Whole days between the calendar days of two times. */
export function daysBetween(a: number, b: number): number {
  const day = (x: number) => new Date(x).setHours(12, 0, 0, 0);
  return Math.round((day(b) - day(a)) / 86_400_000);
}

export const clock = (at: number): string =>
  format({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(at);

/** For a row of the list: the time today, the weekday this week, else the date. */
export function short(at: number, now = Date.now()): string {
  const days = daysBetween(at, now);
  if (days <= 0) return clock(at);
  if (days < 7) return format({ weekday: 'short' }).format(at);
  if (new Date(at).getFullYear() === new Date(now).getFullYear())
    return format({ day: 'numeric', month: 'short' }).format(at);
  return format({ day: 'numeric', month: 'numeric', year: '2-digit' }).format(at);
}

/** For a line between two days of a conversation. */
export function day(at: number, now = Date.now()): string {
  const days = daysBetween(at, now);
  if (days === 0) return t.date_today();
  if (days === 1) return t.date_yesterday();
  if (days > 0 && days < 7) return capital(format({ weekday: 'long' }).format(at));
  return longDate(at);
}

export const longDate = (at: number): string =>
  format({ day: 'numeric', month: 'long', year: 'numeric' }).format(at);
/** A day where there is little room: without the year if it is this one. */
export const briefDate = (at: number, now = Date.now()): string =>
  new Date(at).getFullYear() === new Date(now).getFullYear()
    ? format({ day: 'numeric', month: 'long' }).format(at)
    : longDate(at);
export const fullDate = (at: number): string =>
  capital(format({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }).format(at));

/** A moment of a history: "Today 09:12", "Yesterday 18:20", else the date. */
export function moment(at: number, now = Date.now()): string {
  return daysBetween(at, now) < 2 ? `${day(at, now)} ${clock(at)}` : longDate(at);
}

const capital = (s: string): string => s.charAt(0).toLocaleUpperCase(language) + s.slice(1);

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
export function size(bytes: number): string {
  let n = bytes;
  let u = 0;
  while (n >= 1000 && u < units.length - 1) {
    n /= 1000;
    u++;
  }
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: units[u]!,
    unitDisplay: u === 0 ? 'long' : 'short',
    maximumFractionDigits: n < 10 && u > 0 ? 1 : 0,
  }).format(n);
}

/** Minutes and seconds of a voice note. */
export const playtime = (seconds: number): string =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

export const number = (n: number): string => new Intl.NumberFormat(language).format(n);

export const list = (names: string[]): string =>
  new Intl.ListFormat(language, { type: 'conjunction' }).format(names);

/** A duration of message timers in the largest unit that divides it. */
export function duration(seconds: number): string {
  for (const [unit, s] of [
    ['week', 604_800],
    ['day', 86_400],
    ['hour', 3600],
    ['minute', 60],
  ] as const)
    if (seconds >= s && seconds % s === 0)
      return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(
        seconds / s,
      );
  return new Intl.NumberFormat(language, { style: 'unit', unit: 'second', unitDisplay: 'long' }).format(
    seconds,
  );
}
