// A question to the person before something that cannot be undone.

export interface Question {
  title: string;
  text: string;
  act: string;
  danger?: boolean;
}

class Asking {
  question = $state.raw<Question | null>(null);
  #answer: (yes: boolean) => void = () => undefined;

  put(q: Question): Promise<boolean> {
    this.#answer(false);
    this.question = q;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  answer(yes: boolean): void {
    this.question = null;
    this.#answer(yes);
  }
}

export const asking = new Asking();

/** Asks, and tells what the person answered. */
export const ask = (q: Question): Promise<boolean> => asking.put(q);
