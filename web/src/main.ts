import { mount } from 'svelte';
import './tokens.css';
import './base.css';
import { connect, pageConfig } from './core/connect';
import { app } from './state/app.svelte';
import { start } from './start';
import { bundle } from './state/bundle.svelte';
import App from './pages/App.svelte';

await start();
mount(App, { target: document.getElementById('app')! });
void bundle.begin();
await app.begin(async () => connect(await pageConfig()));
