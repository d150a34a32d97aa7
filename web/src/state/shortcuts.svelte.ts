// The keyboard: one table for what is done and for the list a person can open.

export type Command = 'search' | 'new' | 'next' | 'previous' | 'list' | 'settings' | 'people' | 'chats';

/** Keys as they are written; Ctrl stands for ⌘ on Apple's keyboards too. */
export const shortcuts: readonly { command: Command; keys: string }[] = [
  { command: 'search', keys: 'Ctrl K' },
  { command: 'new', keys: 'Alt N' },
  { command: 'next', keys: 'Alt ↓' },
  { command: 'previous', keys: 'Alt ↑' },
  { command: 'chats', keys: 'Alt 1' },
  { command: 'people', keys: 'Alt 2' },
  { command: 'settings', keys: 'Ctrl ,' },
  { command: 'list', keys: 'Ctrl /' },
];

const names: Record<string, string> = { ArrowDown: '↓', ArrowUp: '↑' };

/** The command of a key, null if it has none. */
export function shortcut(e: KeyboardEvent): Command | null {
  if (e.defaultPrevented || e.isComposing) return null;
  const mod = e.ctrlKey || e.metaKey ? 'Ctrl' : e.altKey ? 'Alt' : '';
  if (!mod || e.shiftKey) return null;
  const digit = /^Digit(\d)$/.exec(e.code)?.[1];
  const key = names[e.key] ?? (mod === 'Alt' && digit ? digit : letter(e));
  return shortcuts.find((s) => s.keys === `${mod} ${key}`)?.command ?? null;
}

// With Alt some layouts make another character: the place of the key decides.
const letter = (e: KeyboardEvent): string =>
  e.altKey ? (/^Key([A-Z])$/.exec(e.code)?.[1] ?? e.key.toUpperCase()) : e.key.toUpperCase();
