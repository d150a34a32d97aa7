// The words of the interface. `t` holds the chosen language's functions; App
// mounts its pages anew when the language changes.
import type { Messages } from './gen/messages';

export type Language = 'en' | 'fr' | 'de';
export const languages: readonly Language[] = ['en', 'fr', 'de'];
/** What each language calls itself. */
export const languageNames: Record<Language, string> = { en: 'English', fr: 'Français', de: 'Deutsch' };

export let t: Messages;
export let language: Language = 'en';

const load: Record<Language, () => Promise<{ default: Messages }>> = {
  en: () => import('./gen/en.js'),
  fr: () => import('./gen/fr.js'),
  de: () => import('./gen/de.js'),
};

/** The language the person's browser asks for, English if none of ours. */
export function preferred(wanted: readonly string[]): Language {
  const codes = wanted.map((w) => w.slice(0, 2).toLowerCase());
  return codes.map((c) => languages.find((l) => l === c)).find((l) => l !== undefined) ?? 'en';
}

export async function speak(l: Language): Promise<void> {
  t = (await load[l]()).default;
  language = l;
  document.documentElement.lang = l;
}

export type { Messages };
