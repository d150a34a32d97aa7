// The interface with a core of memory, to be looked at: ?scene=NAME chooses the data.
import { mount } from 'svelte';
import '../../src/tokens.css';
import '../../src/base.css';
import App from '../../src/pages/App.svelte';
import { start } from '../../src/start';
import { app } from '../../src/state/app.svelte';
import { alarm, long, takeover, world } from '../scenes';
import { FakeCore, message } from '../fake';
import { timeline } from '../../src/state/timeline.svelte';

const scene = new URLSearchParams(location.search).get('scene') ?? 'world';
const core = scene === 'empty' || scene === 'new' ? new FakeCore() : world();
if (scene === 'alarm') alarm(core);
if (scene === 'takeover') takeover(core);
if (scene === 'long') long(core, 100_000);
if (scene === 'new') core.state = { ...core.state, phase: 'new' };
if (scene === 'offline') core.status = { ...core.status, online: false, outbox: 2 };
// For the test of scrolling: everything at once, and one message more.
const loadAll = () => {
  timeline.messages = core.messages['Archive'] ?? [];
  timeline.earlier = false;
};
const arrive = () => core.arrive(message('Archive', 'ines', 'one more', { seq: 200_001 }));
Object.assign(globalThis, { core, app, loadAll, arrive });

await start();
mount(App, { target: document.getElementById('app')! });
await app.begin(() => Promise.resolve(core.client()));
