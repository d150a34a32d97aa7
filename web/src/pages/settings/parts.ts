import { t } from '../../i18n';
import type { IconName } from '../../ui/icons';

export type Part =
  'account' | 'devices' | 'invitations' | 'look' | 'notifications' | 'keyboard' | 'safety' | 'witnesses';

/** The parts of the settings, in the order of the list. */
export const parts = (): { part: Part; icon: IconName; name: string; about: string }[] => [
  { part: 'account', icon: 'person', name: t.set_account(), about: t.set_accountAbout() },
  { part: 'devices', icon: 'laptop', name: t.set_devices(), about: t.set_devicesAbout() },
  { part: 'invitations', icon: 'invite', name: t.set_invitations(), about: t.set_invitationsAbout() },
  { part: 'look', icon: 'globe', name: t.set_look(), about: t.set_lookAbout() },
  { part: 'notifications', icon: 'bell', name: t.set_notifications(), about: t.set_notificationsAbout() },
  { part: 'keyboard', icon: 'keyboard', name: t.set_keyboard(), about: t.set_keyboardAbout() },
  { part: 'safety', icon: 'seal', name: t.set_safety(), about: t.set_safetyAbout() },
  { part: 'witnesses', icon: 'people', name: t.set_witnesses(), about: t.set_witnessesAbout() },
];
