// Reading anew what the core says has changed.

/**
 * Makes of a reading, which does not fail, one that may be asked for at any time and
 * runs once at a time: of two at once the older answer might come last and stay. What
 * is asked for while it runs is read once more; the promise ends with the last.
 */
export function again(read: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let wanted = false;
  const run = async () => {
    while (wanted) {
      wanted = false;
      await read();
    }
    running = null;
  };
  return () => {
    wanted = true;
    return (running ??= run());
  };
}

/** What changed, by number, until somebody takes it; too much to name is everything. */
export class Changes {
  all = false;
  #seqs = new Set<number>();

  get none(): boolean {
    return !this.all && this.#seqs.size === 0;
  }

  /** No numbers: anything may have changed. */
  add(seqs: readonly number[]): void {
    if (seqs.length === 0) this.all = true;
    for (const s of seqs) this.#seqs.add(s);
  }

  take(): { all: boolean; seqs: number[] } {
    const out = { all: this.all, seqs: [...this.#seqs] };
    this.clear();
    return out;
  }

  clear(): void {
    this.all = false;
    this.#seqs.clear();
  }
}
