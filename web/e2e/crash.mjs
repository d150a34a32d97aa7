// The tab, the browser and the server are killed while messages are written: what was
// acknowledged is there afterwards, once, everywhere; two tabs, a phone and the
// command line stay in step.
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { World, assert, browserPath, flags, join_, out, sizes, steps } from './lib.mjs';

const world = await World.begin();
const group = 'kitchen';
let server, origin, ada, adaContext, bob;

/** A browser with a profile on disk, which a kill leaves as a crash does. */
async function launch() {
  const context = await chromium.launchPersistentContext(join(world.dir, 'ada'), {
    executablePath: browserPath,
    args: flags,
    viewport: sizes.desktop,
    locale: 'en',
  });
  context.setDefaultTimeout(45_000);
  return context;
}

const at = (hash) => origin + '/' + hash;
async function open(page) {
  await page.goto(at('#/chats'));
  await page.locator('a.conv', { hasText: group }).first().click();
  await page.locator('#composer').waitFor();
}
const message = (page, text) => page.locator('article', { hasText: new RegExp(`\\b${text}\\b`) });

/** Sends and waits until the server acknowledged, or only until the core has it. */
async function say(page, text, { acknowledged = true } = {}) {
  await page.locator('#composer').fill(text);
  await page.keyboard.press('Enter');
  await message(page, text).waitFor();
  if (acknowledged) await message(page, text).getByLabel('Waiting to be sent').waitFor({ state: 'detached' });
}

/** Each text stands there exactly once, for the page and, once all were sent, for the command line. */
async function once(page, texts) {
  for (const text of texts) {
    await message(page, text).first().waitFor();
    await message(page, text).getByLabel('Waiting to be sent').waitFor({ state: 'detached' });
    assert(
      (await message(page, text).count()) === 1,
      `${text} is there ${await message(page, text).count()} times`,
    );
  }
  const all = JSON.stringify(world.cli('carl', 'read', group));
  for (const text of texts) {
    const n = all.split(`"${text}"`).length - 1;
    assert(n === 1, `the command line has ${text} ${n} times`);
  }
}

/** Pid of the browser that has a profile of this run. */
async function killBrowser(context) {
  const { spawnSync } = await import('node:child_process');
  const { stdout } = spawnSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' });
  const mine = stdout
    .split('\n')
    .filter((l) => l.includes(`--user-data-dir=${join(world.dir, 'ada')}`) && !l.includes('--type='))
    .map((l) => Number(l.trim().split(' ')[0]));
  assert(mine.length > 0, 'the browser is not to be found');
  for (const pid of mine) process.kill(pid, 'SIGKILL');
  await context.close().catch(() => undefined);
}

const texts = [];
const next = (what) => {
  texts.push(`${what}${texts.length + 1}`);
  return texts.at(-1);
};

try {
  await steps('nothing acknowledged is lost', [
    [
      'three people and a group',
      async () => {
        server = await world.server();
        origin = new URL(server.web).origin;
        adaContext = await launch();
        ada = adaContext.pages()[0] ?? (await adaContext.newPage());
        await ada.goto(server.web);
        await join_(ada, 'ada');
        const links = [];
        await ada.goto(at('#/settings/invitations'));
        for (let i = 0; i < 2; i++) {
          await ada.getByRole('button', { name: 'Make a link' }).click();
          await ada.waitForFunction(
            (n) => n !== (document.querySelector('.link')?.textContent ?? n),
            links.at(-1) ?? '',
          );
          links.push((await ada.locator('.link').first().textContent()) ?? '');
        }
        world.cli('carl', 'join', links[0].trim(), '--handle', 'carl');
        bob = await world.page({ viewport: sizes.phone, hasTouch: true });
        await bob.goto(origin + new URL(links[1].trim()).pathname + new URL(links[1].trim()).hash);
        await join_(bob, 'bob');
        await ada.goto(at('#/chats'));
        await ada.getByRole('button', { name: 'New chat' }).first().click();
        const dialog = ada.getByRole('dialog');
        for (const name of ['bob', 'carl']) {
          await dialog.getByPlaceholder('Name', { exact: true }).fill(name);
          await ada.keyboard.press('Enter');
        }
        await dialog.getByLabel('Group name').fill(group);
        await dialog.getByRole('button', { name: 'Make the group' }).click();
        const toast = ada.locator('.toast').first();
        await ada.locator('#composer').or(toast).first().waitFor();
        if (await toast.count()) throw new Error(`making the group: ${await toast.innerText()}`);
        await ada.locator('#composer').waitFor();
        await say(ada, next('begin'));
        await open(bob);
        await message(bob, texts[0]).waitFor();
      },
    ],
    [
      'the tab is killed at once after sending',
      async () => {
        for (let i = 0; i < 3; i++) {
          await say(ada, next('tab'), { acknowledged: i !== 1 });
          await ada.close({ runBeforeUnload: false });
          ada = await adaContext.newPage();
          await open(ada);
          await once(ada, texts);
        }
      },
    ],
    [
      'two tabs: the one with the core goes, the other takes over',
      async () => {
        const second = await adaContext.newPage();
        await open(second);
        await say(second, next('second'));
        await message(ada, texts.at(-1)).waitFor();
        await say(ada, next('first'));
        await message(second, texts.at(-1)).waitFor();
        await ada.close();
        ada = second;
        // What was typed while nobody had the core stays in the field: it was not accepted.
        const text = next('after');
        await ada.locator('#composer').fill(text);
        for (let tries = 0; tries < 40 && (await message(ada, text).count()) === 0; tries++) {
          if ((await ada.locator('#composer').inputValue()) === text) await ada.keyboard.press('Enter');
          await ada.waitForTimeout(500);
        }
        await message(bob, texts.at(-1)).waitFor();
        await once(ada, texts);
      },
    ],
    [
      'the server is killed while messages are written',
      async () => {
        await say(ada, next('before'));
        await world.killServer();
        await say(ada, next('without'), { acknowledged: false });
        await message(ada, texts.at(-1)).getByLabel('Waiting to be sent').waitFor();
        server = await world.server();
        assert(new URL(server.web).origin === origin, 'the server has another address after its restart');
        await message(ada, texts.at(-1)).getByLabel('Waiting to be sent').waitFor({ state: 'detached' });
        await message(bob, texts.at(-1)).waitFor();
        await once(ada, texts);
      },
    ],
    [
      'the browser is killed, with a message acknowledged and one that was not',
      async () => {
        await say(ada, next('safe'));
        await world.killServer();
        await say(ada, next('waits'), { acknowledged: false });
        await ada.waitForTimeout(500);
        await killBrowser(adaContext);
        server = await world.server();
        adaContext = await launch();
        ada = adaContext.pages()[0] ?? (await adaContext.newPage());
        await open(ada);
        await message(bob, texts.at(-1)).waitFor();
        await once(ada, texts);
      },
    ],
    [
      'a phone, a desk and a command line agree',
      async () => {
        await say(bob, next('phone'));
        world.cli('carl', 'send', group, next('terminal'));
        await message(ada, texts.at(-1)).waitFor();
        await message(bob, texts.at(-1)).waitFor();
        await once(ada, texts);
        const order = (page) =>
          page
            .locator('article')
            .evaluateAll((all) => all.map((a) => a.querySelector('.bub')?.textContent?.trim() ?? ''));
        const [a, b] = [await order(ada), await order(bob)];
        const tail = Math.min(a.length, b.length, 5);
        assert(a.slice(-tail).join() === b.slice(-tail).join(), `the order differs:\n${a}\n${b}`);
      },
    ],
  ]);
} catch (e) {
  for (const [name, page] of Object.entries({ ada, bob }))
    await page?.screenshot({ path: join(out, `crash-${name}.png`) }).catch(() => undefined);
  for (const [i, page] of (adaContext?.pages() ?? []).entries()) {
    await page.screenshot({ path: join(out, `crash-tab-${i}.png`) }).catch(() => undefined);
    console.error(page.url());
  }
  throw e;
} finally {
  await adaContext?.close().catch(() => undefined);
  await world.end();
}
