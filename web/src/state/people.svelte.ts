// The people this person knows, and what is known of their keys.
import { again } from './again';
import { app } from './app.svelte';
import type { Person, PersonDetail } from './core';

class People {
  all = $state.raw<Person[]>([]);
  loaded = $state(false);
  detail = $state.raw<PersonDetail | null>(null);
  #open = '';

  watch(): void {
    app.core.on('people', () => void this.read());
    app.whenReady(() => void this.read());
  }

  /** What is known of one person, also by a name they left. */
  of(handle: string): PersonDetail | null {
    return this.detail && this.#open === handle ? this.detail : null;
  }

  get(handle: string): Person | undefined {
    return this.all.find((p) => p.handle === handle);
  }

  read = again(async () => {
    try {
      this.all = (await app.core.call('people', {})).people;
      this.loaded = true;
      if (this.#open) await this.open(this.#open);
    } catch {
      // it comes when the core does
    }
  });

  /** Loads what is known of one person. */
  async open(handle: string): Promise<void> {
    if (this.#open !== handle) this.detail = null;
    this.#open = handle;
    if (!handle) return;
    const d = await app.core.call('person', { handle });
    if (this.#open === handle) this.detail = d;
  }

  async verify(handle: string, yes: boolean): Promise<boolean> {
    return app.try(async () => {
      const d = await app.core.call('person.verify', { handle, yes, said: '' });
      if (this.#open === handle) this.detail = d;
      await this.read();
    });
  }
}

export const people = new People();
