import { t } from '../i18n';
import { shortcuts, type Command } from './shortcuts.svelte';

/** What each key does, in words: those that work everywhere, and those of a conversation. */
export function keyTable(): { everywhere: [string, string][]; inChat: [string, string][] } {
  const words: Record<Command, string> = {
    search: t.key_search(),
    new: t.key_new(),
    next: t.key_next(),
    previous: t.key_previous(),
    chats: t.key_chats(),
    people: t.key_people(),
    settings: t.key_settings(),
    list: t.key_list(),
  };
  return {
    everywhere: shortcuts.map((s) => [s.keys, words[s.command]]),
    inChat: [
      ['Enter', t.key_send()],
      ['Shift Enter', t.key_line()],
      ['↑', t.key_edit()],
      ['Ctrl ↑', t.key_messages()],
      ['R', t.key_reply()],
      ['E', t.key_react()],
      ['Esc', t.key_escape()],
    ],
  };
}
