// The address: everything after #/ is a path within the application, so that one
// page serves all of it, online, offline and on loopback.

export type Section = 'chats' | 'search' | 'people' | 'settings' | 'join' | 'link' | 'recover';
const sections: readonly string[] = ['chats', 'search', 'people', 'settings', 'join', 'link', 'recover'];

export interface Route {
  section: Section;
  /** The conversation, the person's handle or the part of the settings; '' for the list. */
  item: string;
  /** A further step, such as `trust` or `members`, or a message to show. */
  sub: string;
}

export function parseRoute(hash: string): Route {
  const [section = '', item = '', ...sub] = hash.replace(/^#\/?/, '').split('/').map(decode);
  if (!hash.startsWith('#/') || !sections.includes(section)) return { section: 'chats', item: '', sub: '' };
  return { section: section as Section, item, sub: sub.join('/') };
}

function decode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return '';
  }
}

export const path = (section: Section, item = '', sub = ''): string =>
  '#/' +
  [section, item, sub]
    .filter((p) => p !== '')
    .map(encodeURIComponent)
    .join('/');

class Router {
  route = $state<Route>(parseRoute(globalThis.location?.hash ?? ''));

  constructor() {
    globalThis.addEventListener?.('hashchange', () => {
      if (location.hash.startsWith('#/') || location.hash === '') this.route = parseRoute(location.hash);
    });
  }

  go(section: Section, item = '', sub = '', replace = false): void {
    const to = path(section, item, sub);
    if (replace) history.replaceState(null, '', location.pathname + location.search + to);
    else history.pushState(null, '', location.pathname + location.search + to);
    this.route = parseRoute(to);
  }
}

export const router = new Router();
