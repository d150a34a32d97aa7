// What has to be known before anything is drawn: language, theme, and whether the
// page was opened with an invitation.
import { speak } from './i18n';
import { app } from './state/app.svelte';
import { chats } from './state/chats.svelte';
import { people } from './state/people.svelte';
import { prefs } from './state/prefs.svelte';
import { router } from './state/router.svelte';
import { timeline } from './state/timeline.svelte';

/** An invitation as it stands in an address: /join#…, not one of our own paths. */
export const invitationIn = (l: Pick<Location, 'origin' | 'pathname' | 'hash' | 'href'>): string =>
  l.pathname.endsWith('/join') && l.hash.length > 1 && !l.hash.startsWith('#/') ? l.href : '';

export async function start(): Promise<void> {
  prefs.apply();
  await speak(prefs.language);
  app.invitation = invitationIn(location);
  // The secret of an invitation does not stay in the address nor in the history.
  if (app.invitation) {
    history.replaceState(null, '', location.pathname.replace(/join$/, ''));
    router.go('join', '', '', true);
  }
  app.onCore(() => {
    chats.watch();
    people.watch();
    timeline.watch();
  });
}
