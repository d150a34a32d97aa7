// The application as people keep it: a phone is linked through the camera, two tabs
// and the phone stay in step; without a server the installed application opens, shows
// what it has and keeps what is written; notifications say no more than is wanted;
// and after everything is lost the recovery key brings it all back.
import { join } from 'node:path';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { World, assert, join_, sizes, steps, watch } from './lib.mjs';
import { film, readCode } from './qr.mjs';

const folder = mkdtempSync(join(tmpdir(), 'huis-e2e-camera-'));
const camera = join(folder, 'camera.y4m');
film(camera, 'nothing yet');
const w = await World.begin({ flags: [`--use-file-for-fake-video-capture=${camera}`] });
let server, origin, key, tab, again;
const alice = await w.page({ permissions: ['notifications', 'camera'] });
const phone = await w.page({ viewport: sizes.phone, hasTouch: true });
const at = (hash) => `${origin}/${hash}`;
const row = (page, name) => page.locator('a.conv', { hasText: name }).first();
const bubble = (page, text) => page.locator('article', { hasText: text });
const unsent = (page, text) => bubble(page, text).getByLabel('Waiting to be sent');
const open = async (page, name) => {
  await page.goto(at('#/chats'));
  await row(page, name).click();
  await page.locator('#composer').waitFor();
};
const say = async (page, text) => {
  await page.locator('#composer').fill(text);
  await page.locator('#composer').press('Enter');
  await bubble(page, text).waitFor();
};
/** Asks until the answer suits: for what happens in another process. */
const until = async (what, ask) => {
  for (let i = 0; i < 90; i++) {
    const got = await ask();
    if (got) return got;
    await new Promise((r) => setTimeout(r, 500));
  }
  throw new Error(what);
};
const heard = (text) =>
  until(`bob never read “${text}”`, () => {
    const n = w.cli('bob', 'read', '@alice').filter((m) => m.body === text).length;
    assert(n < 2, `bob has “${text}” ${n} times`);
    return n === 1;
  });

/** The notifications that stand, once there are some or a moment has passed. */
const notices = (page) =>
  page.evaluate(async () => {
    const worker = await navigator.serviceWorker.getRegistration();
    return (await worker.getNotifications()).map((n) => ({ title: n.title, body: n.body, data: n.data }));
  });
const clear = (page) =>
  page.evaluate(async () => {
    const worker = await navigator.serviceWorker.getRegistration();
    for (const n of await worker.getNotifications()) n.close();
  });

try {
  await steps('kept, lost and found again', [
    [
      'alice joins, bob writes to her',
      async () => {
        server = await w.server();
        origin = server.url;
        await alice.goto(server.invite);
        key = (await join_(alice, 'alice')).join('-');
        await alice.goto(at('#/settings/invitations'));
        await alice.getByRole('button', { name: 'Make a link' }).click();
        w.cli('bob', 'join', await alice.locator('p.link').first().innerText(), '--handle', 'bob');
        w.cli('bob', 'send', '@alice', 'before everything');
        await open(alice, 'bob');
        await bubble(alice, 'before everything').waitFor();
      },
    ],
    [
      'her phone draws a code, which her camera reads',
      async () => {
        await phone.goto(at('#/link'));
        await phone.getByLabel('Your name').fill('alice');
        await phone.getByRole('button', { name: 'Show a code' }).click();
        const code = await phone.locator('p.code').innerText();
        const drawn = await readCode(phone, phone.getByRole('img', { name: 'Code for your other device' }));
        assert(drawn === code, `the drawn code says “${drawn}”, beside it stands ${code}`);
        film(camera, code);
        await alice.goto(at('#/settings/devices'));
        await alice.getByRole('button', { name: 'Add a device' }).click();
        await alice.getByRole('dialog').getByRole('button', { name: 'Scan' }).click();
        await alice.getByRole('button', { name: 'Approve' }).waitFor();
        const asked = await alice.getByRole('dialog').locator('.code').innerText();
        assert(asked === code, `she is asked about ${asked}, the phone shows ${code}`);
        await alice.getByRole('button', { name: 'Approve' }).click();
        await alice.getByText('The new device is in.').waitFor();
        await alice.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
        await row(phone, 'bob').click();
        await bubble(phone, 'before everything').waitFor();
      },
    ],
    [
      'two tabs and the phone stay in step: unread, read, draft, order',
      async () => {
        tab = await watch(await alice.context().newPage());
        for (const page of [tab, phone, alice]) await page.goto(at('#/chats'));
        const all = [alice, tab, phone];
        for (const text of ['first of two', 'second of two']) w.cli('bob', 'send', '@alice', text);
        for (const page of all) await row(page, 'bob').locator('.cnt', { hasText: '2' }).waitFor();
        // Tabs share a core: what one reads the other has read. A phone hears of it in a minute.
        await open(tab, 'bob');
        await bubble(tab, 'second of two').waitFor();
        await row(alice, 'bob').locator('.cnt').waitFor({ state: 'detached' });
        await open(phone, 'bob');
        await bubble(phone, 'second of two').waitFor();
        await tab.locator('#composer').fill('half a thought');
        await row(alice, 'bob').getByText('half a thought').waitFor();
        await tab.locator('#composer').fill('');
        await row(alice, 'bob').getByText('half a thought').waitFor({ state: 'detached' });
        await say(tab, 'from the second tab');
        await bubble(phone, 'from the second tab').waitFor();
        await alice.close();
        const text = 'after the first tab went'; // it had the core: the second takes over
        await tab.locator('#composer').fill(text);
        await until('the second tab does not take over', async () => {
          if ((await bubble(tab, text).count()) > 0) return true;
          // What was typed while nobody had the core is back in the field: it was not accepted.
          if ((await tab.locator('#composer').inputValue()) === text)
            await tab.locator('#composer').press('Enter');
          return false;
        });
        await bubble(phone, text).waitFor();
        await heard(text);
        const texts = (page) => page.locator('article .bub').allInnerTexts();
        await until('tab and phone differ', async () => {
          const [a, b] = [await texts(tab), await texts(phone)];
          return a.length >= 5 && a.join() === b.join();
        });
      },
    ],
    [
      'without a server it opens, shows what it has, and keeps what is written',
      async () => {
        await tab.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
        await tab.reload(); // from now on the worker serves it
        await tab.waitForFunction(() => navigator.serviceWorker.controller !== null);
        await bubble(tab, 'before everything').waitFor();
        await w.killServer();
        await tab.reload();
        await bubble(tab, 'before everything').waitFor();
        await say(tab, 'written on the train');
        await unsent(tab, 'written on the train').waitFor();
        const next = await watch(await tab.context().newPage());
        await tab.close();
        tab = next;
        await open(tab, 'bob');
        await unsent(tab, 'written on the train').waitFor();
        server = await w.server();
        await unsent(tab, 'written on the train').waitFor({ state: 'detached' });
        await heard('written on the train');
        await bubble(phone, 'written on the train').waitFor();
      },
    ],
    [
      'a notification tells that there is something, and what only if that is wanted',
      async () => {
        await tab.goto(at('#/settings/notifications'));
        const [on, texts] = await tab.getByRole('checkbox').all();
        await on.check();
        await clear(tab);
        w.cli('bob', 'send', '@alice', 'a word for you alone');
        const [plain] = await until('nothing is shown', async () => {
          const all = await notices(tab);
          return all.length > 0 && all;
        });
        const told = `${plain.title}: ${plain.body}`;
        assert(told === 'huis: New message', `it tells “${told}”`);
        await texts.check();
        await clear(tab);
        w.cli('bob', 'send', '@alice', 'a word for everybody');
        await until('the text is not shown', async () =>
          (await notices(tab)).some((n) => n.body.includes('a word for everybody')),
        );
        // Who looks at the conversation is not told of it.
        await open(tab, 'bob');
        await tab.bringToFront();
        await clear(tab);
        w.cli('bob', 'send', '@alice', 'seen at once');
        await bubble(tab, 'seen at once').waitFor();
        assert((await notices(tab)).length === 0, 'what is looked at is notified');
      },
    ],
    [
      'all is lost but the recovery key, which brings it back',
      async () => {
        // Something new to be lost: a backup is due, with all that was said so far.
        await tab.goto(at('#/chats'));
        await tab.getByRole('button', { name: 'New chat' }).first().click();
        await tab.getByRole('dialog').getByLabel('Group name').fill('notes');
        await tab.getByRole('dialog').getByRole('button', { name: 'Make the group' }).click();
        await tab.locator('#composer').waitFor();
        await say(tab, 'to myself');
        again = await w.page();
        await again.goto(at('#/recover'));
        await again.getByLabel('Your name').fill('alice');
        await again.getByLabel('Recovery key').fill(key.toLowerCase().replaceAll('-', '  '));
        await again.getByRole('button', { name: 'Recover', exact: true }).click();
        await again.getByRole('heading', { name: 'Chats', level: 1 }).waitFor();
        await row(again, 'bob').waitFor();
        for (const page of [tab, phone])
          await page.getByRole('heading', { name: 'This device was revoked' }).waitFor();
        await open(again, 'bob');
        await bubble(again, 'before everything').waitFor();
        await bubble(again, 'written on the train').waitFor();
        await until('bob does not let her in again', async () => {
          w.cli('bob', 'read', '@alice');
          return (await again.locator('#composer:enabled').count()) > 0;
        });
        await say(again, 'here again');
        await heard('here again');
      },
    ],
  ]);
} catch (e) {
  await w.failed('installed', { alice: alice.isClosed() ? null : alice, tab, phone, again });
  throw e;
} finally {
  await w.end();
  rmSync(folder, { recursive: true, force: true });
}
