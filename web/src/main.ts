import { mount } from 'svelte';
import './tokens.css';
import './base.css';
import { connect, pageConfig } from './core/connect';
import { app } from './state/app.svelte';
import { start } from './start';
import { installWorker } from './state/worker';
import App from './pages/App.svelte';

await start();
mount(App, { target: document.getElementById('app')! });
installWorker();
await app.begin(async () => connect(await pageConfig()));
