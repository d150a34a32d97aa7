// What a person chose for this device: kept by the core once there is a profile,
// and in the browser, for the time before. Nothing here is secret, nothing comes
// from the server.
import { languages, preferred, type Language } from '../i18n';

export type Theme = 'system' | 'light' | 'dark';
export type TextSize = 'normal' | 'large' | 'larger';

export interface Choices {
  language: Language;
  theme: Theme;
  text: TextSize;
  notify: boolean;
  notifyText: boolean;
  enterSends: boolean;
}

const place = 'huis.prefs';
const themes: readonly Theme[] = ['system', 'light', 'dark'];
const sizes: readonly TextSize[] = ['normal', 'large', 'larger'];

/** What of stored values still makes sense; anything else is its default. */
export function readChoices(raw: Readonly<Record<string, unknown>>, wanted: readonly string[]): Choices {
  return {
    language: languages.find((l) => l === raw['language']) ?? preferred(wanted),
    theme: themes.find((x) => x === raw['theme']) ?? 'system',
    text: sizes.find((x) => x === raw['text']) ?? 'normal',
    notify: raw['notify'] === 'true',
    notifyText: raw['notifyText'] === 'true',
    enterSends: raw['enterSends'] !== 'false',
  };
}

const wanted = (): readonly string[] => globalThis.navigator?.languages ?? [];

class Prefs {
  #now = $state<Choices>(readChoices(stored(), wanted()));
  /** Gives the choices to the core, once there is one. */
  keep: (values: Record<string, string>) => void = () => undefined;

  get language(): Language {
    return this.#now.language;
  }
  get theme(): Theme {
    return this.#now.theme;
  }
  get text(): TextSize {
    return this.#now.text;
  }
  get notify(): boolean {
    return this.#now.notify;
  }
  get notifyText(): boolean {
    return this.#now.notifyText;
  }
  get enterSends(): boolean {
    return this.#now.enterSends;
  }

  set<K extends keyof Choices>(key: K, value: Choices[K]): void {
    this.#now[key] = value;
    const values = this.#strings();
    remember(values);
    this.keep(values);
    this.apply();
  }

  /** Takes what the core remembers; what it does not know stays as it is. */
  take(values: Readonly<Record<string, string>>): void {
    this.#now = readChoices({ ...this.#strings(), ...values }, wanted());
    remember(this.#strings());
    this.apply();
  }

  #strings(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.#now).map(([k, v]) => [k, String(v)]));
  }

  /** Puts theme and text size on the page. */
  apply(): void {
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = this.theme;
    if (this.text === 'normal') delete root.dataset['text'];
    else root.dataset['text'] = this.text;
  }
}

function stored(): Record<string, unknown> {
  try {
    const v: unknown = JSON.parse(localStorage.getItem(place) ?? '{}');
    return typeof v === 'object' && v !== null ? (v as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function remember(values: Record<string, string>): void {
  try {
    localStorage.setItem(place, JSON.stringify(values));
  } catch {
    // private windows refuse: the choice then lasts as long as the page
  }
}

export const prefs = new Prefs();
