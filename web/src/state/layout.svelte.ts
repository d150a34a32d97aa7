// How much room there is: a panel beside the conversation, a sheet over it, or one column.
import { router } from './router.svelte';

class Layout {
  wide = $state(matches('(min-width: 1180px)'));
  phone = $state(matches('(max-width: 719.98px)'));
  /** Wide screens keep the panel open until it is closed. */
  #pinned = $state(true);

  constructor() {
    watch('(min-width: 1180px)', (m) => (this.wide = m));
    watch('(max-width: 719.98px)', (m) => (this.phone = m));
  }

  get panel(): boolean {
    return this.wide ? this.#pinned : router.route.sub === 'info';
  }

  openPanel(): void {
    this.#pinned = true;
    const { section, item } = router.route;
    if (!this.wide) router.go(section, item, 'info');
  }

  closePanel(): void {
    this.#pinned = false;
    const { section, item, sub } = router.route;
    if (sub === 'info') router.go(section, item, '', true);
  }

  togglePanel(): void {
    if (this.panel) this.closePanel();
    else this.openPanel();
  }
}

const matches = (query: string): boolean => globalThis.matchMedia?.(query).matches ?? false;

function watch(query: string, f: (matches: boolean) => void): void {
  globalThis.matchMedia?.(query).addEventListener('change', (e) => f(e.matches));
}

export const layout = new Layout();
