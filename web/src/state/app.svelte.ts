// What holds for the whole interface: the core behind it, how this device stands,
// and short notices.
import { t } from '../i18n';
import { again } from './again';
import { CoreError, type Alarm, type Core, type Joined, type State, type Status } from './core';
import { failure } from './failure';
import { prefs } from './prefs.svelte';

export interface Toast {
  id: number;
  text: string;
  tone: '' | 'bad';
  action: { label: string; run: () => void } | null;
}

/** How far the page is: before a core answers, with one, or for good without. */
export type Stage = 'starting' | 'on' | 'no-session' | 'not-built' | 'failed';

const toastFor = 6000; // ms; one with an action stays until it is used or closed

class App {
  stage = $state<Stage>('starting');
  state = $state.raw<State | null>(null);
  status = $state.raw<Status | null>(null);
  alarms = $state.raw<Alarm[]>([]);
  /** The core does not answer: the program was ended, or its worker was. */
  lost = $state(false);
  /** An invitation this page was opened with, '' if none. */
  invitation = $state('');
  /** Shown once, between joining and the check that it was written down. */
  recoveryKey = $state('');
  toasts = $state.raw<Toast[]>([]);
  #core: Core | null = null;
  #next = 1;
  #ready = new Set<() => void>();
  #begun: (() => void)[] = [];

  get core(): Core {
    if (!this.#core) throw new Error('the core is used before it began');
    return this.#core;
  }

  get me(): string {
    return this.state?.handle ?? '';
  }

  async begin(connect: () => Promise<Core>): Promise<void> {
    try {
      const core = (this.#core = await connect());
      core.on('state', (s) => this.take(s));
      core.on('sync', () => void this.refresh());
      core.on('alarm', () => void this.refresh());
      core.on('alarms', ({ alarms }) => (this.alarms = alarms));
      core.on('settings', (s) => prefs.take(s.values));
      core.onLost((lost) => {
        this.lost = lost;
        if (!lost) void this.#again();
      });
      for (const f of this.#begun) f();
      this.take(await core.call('state', {}));
      this.stage = 'on';
    } catch (e) {
      const why = e instanceof Error ? e.message : '';
      this.stage = why === 'no-session' || why === 'not-built' ? why : 'failed';
    }
  }

  /** Calls f once there is a core to listen to. */
  onCore(f: () => void): void {
    this.#begun.push(f);
  }

  take(s: State): void {
    const was = this.state?.phase;
    this.state = s;
    if (s.phase === 'ready' && was !== 'ready') void this.#again();
  }

  /** A new account: its recovery key is shown before anything else. */
  joined(j: Joined): void {
    this.recoveryKey = j.recoveryKey;
    this.take(j.state);
  }

  async #again(): Promise<void> {
    if (this.state?.phase !== 'ready') return;
    await this.refresh();
    for (const f of this.#ready) f();
    try {
      prefs.take((await this.core.call('settings', {})).values);
      prefs.keep = (values) => void this.core.call('settings.set', { values }).catch(() => undefined);
    } catch {
      // then they last in this browser
    }
  }

  /** Calls f whenever there is a profile and the core has come (back). */
  whenReady(f: () => void): void {
    this.#ready.add(f);
    if (this.state?.phase === 'ready') f();
  }

  refresh = again(async () => {
    if (this.state?.phase !== 'ready') return;
    try {
      this.status = await this.core.call('status', {});
      this.alarms = (await this.core.call('alarms', {})).alarms;
    } catch {
      // the next event tries again
    }
  });

  /** Refuses the account that is to have this one's name. */
  async veto(): Promise<void> {
    const done = await this.try(async () => (this.alarms = (await this.core.call('veto', {})).alarms));
    if (done) this.say(t.veto_done());
  }

  say(text: string, tone: Toast['tone'] = '', action: Toast['action'] = null): void {
    const toast = { id: this.#next++, text, tone, action };
    this.toasts = [...this.toasts.slice(-2), toast];
    if (!action) setTimeout(() => this.hush(toast.id), toastFor);
  }

  hush(id: number): void {
    this.toasts = this.toasts.filter((x) => x.id !== id);
  }

  /** Runs what a person asked for; a failure is said in words. Tells whether it was done. */
  async try(what: () => Promise<unknown>): Promise<boolean> {
    try {
      await what();
      return true;
    } catch (e) {
      if (!(e instanceof CoreError && e.code === 'cancelled')) this.say(failure(e), 'bad');
      return false;
    }
  }

  /** What was copied, said once it is. */
  async copy(text: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.say(t.copied());
    } catch {
      this.say(t.fail_copy(), 'bad');
    }
  }
}

export const app = new App();
