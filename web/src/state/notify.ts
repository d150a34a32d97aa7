// Notifications of this browser, made on this device: no push service is asked.
import { t } from '../i18n';
import { chatName } from './chats.svelte';
import type { Chat, Message } from './core';
import { messageText } from './lines';
import { prefs } from './prefs.svelte';
import { path, router } from './router.svelte';

export const canNotify = (): boolean => 'Notification' in globalThis;

/** Asks the browser's permission and keeps the choice. */
export async function allowNotifications(): Promise<boolean> {
  if (!canNotify()) return false;
  const ok = (await Notification.requestPermission()) === 'granted';
  prefs.set('notify', ok);
  return ok;
}

export function notify(m: Message, c: Chat): void {
  if (!prefs.notify || c.muted || m.own || !canNotify() || Notification.permission !== 'granted') return;
  if (document.visibilityState === 'visible' && document.hasFocus() && router.route.item === c.id) return;
  // Whoever looks at a locked screen learns neither what nor from whom, unless that is wanted.
  if (prefs.notifyText) void show(c, chatName(c), `${m.from}: ${messageText(m)}`.slice(0, 200));
  else void show(c, 'huis', t.notify_new());
}

async function show(c: Chat, title: string, body: string): Promise<void> {
  const icon = document.querySelector<HTMLLinkElement>('link[rel="apple-touch-icon"]')?.href ?? '';
  const options = { body, tag: c.id, icon, data: path('chats', c.id) };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) return worker.showNotification(title, options);
  const n = new Notification(title, options);
  n.onclick = () => {
    window.focus();
    router.go('chats', c.id);
    n.close();
  };
}

/** The count of unread messages on the icon of the installed app and in the tab's title. */
export function badge(unread: number, page: string): void {
  document.title = (unread > 0 ? `(${unread}) ` : '') + (page ? `${page} — huis` : 'huis');
  const nav = navigator as Navigator & { setAppBadge?: (n: number) => Promise<void> };
  void nav.setAppBadge?.(unread).catch(() => undefined);
}
