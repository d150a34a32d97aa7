// Two people in browsers and one at the command line, against a real server: invited
// by the printed link, joined, talking within two minutes; then everything that can
// be done to a message, in both directions, and what is hostile shown as text. At the
// end everything the browsers sent is searched for what only people may read.
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { World, assert, join_, out, steps } from './lib.mjs';
import { leaks } from './wire.mjs';

const world = await World.begin({ wire: true });
const secret = (what) =>
  `${what}-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;
const words = Object.fromEntries(
  [
    'group',
    'first',
    'answer',
    'terminal',
    'reply',
    'edited',
    'file',
    'inside',
    'draft',
    'direct',
    'upload',
  ].map((w) => [w, secret(w)]),
);
const hostile =
  '<img src=x onerror="window.owned=1"><script>window.owned=1</script>{{7*7}}[a](javascript:window.owned=1)';
// What Chromium itself looks up, whatever page is open; no page asks for it, and it is not let through.
const ofTheBrowser = new Set([
  'accounts.google.com',
  'content-autofill.googleapis.com',
  'update.googleapis.com',
]);
let server, ada, bob, contextAda;

/** The address of an invitation, as a browser of this computer opens it. */
function here(invite) {
  const u = new URL(invite);
  return new URL(server.web).origin + u.pathname + u.hash;
}

const made = new Set();
async function invite(page) {
  await page.goto(new URL('#/settings/invitations', new URL(server.web).origin + '/').href);
  await page.getByRole('button', { name: 'Make a link' }).click();
  for (;;) {
    const link = (await page.locator('.link').first().innerText()).trim();
    if (!made.has(link)) {
      made.add(link);
      return link;
    }
    await page.waitForTimeout(50);
  }
}

const message = (page, text) => page.locator('article', { hasText: text }).first();
async function say(page, text) {
  await page.locator('#composer').fill(text);
  await page.keyboard.press('Enter');
  await message(page, text).waitFor();
}
async function open(page, name) {
  await page.getByRole('navigation').getByRole('link', { name: 'Chats' }).first().click();
  await page.locator('a.conv', { hasText: name }).first().click();
  await page.locator('#composer').waitFor();
}
async function menu(page, text, item) {
  const m = message(page, text);
  await m.hover();
  await m.getByRole('button', { name: 'More' }).click();
  await page.getByRole('menuitem', { name: item, exact: true }).press('Enter');
}
const read = () => world.cli('carl', 'read', words.group);

const begun = performance.now();
try {
  await steps('two people in browsers and one at the command line', [
    [
      'a server, and its printed link opened in a browser',
      async () => {
        server = await world.server();
        assert(server.web, 'the server prints no address for browsers');
        ada = await world.page();
        contextAda = ada.context();
        await contextAda.tracing.start({ screenshots: true, snapshots: false });
        await ada.goto(server.web);
        await join_(ada, 'ada');
      },
    ],
    [
      'another browser joins by a link of the first',
      async () => {
        const link = await invite(ada);
        bob = await world.page();
        await bob.goto(here(link));
        await join_(bob, 'bob');
      },
    ],
    [
      'the command line joins by another',
      async () => {
        world.cli('carl', 'join', await invite(ada), '--handle', 'carl');
      },
    ],
    [
      'a group of three, and the first words each way',
      async () => {
        await ada.goto(new URL('#/chats', new URL(server.web).origin + '/').href);
        await ada.getByRole('button', { name: 'New chat' }).first().click();
        const dialog = ada.getByRole('dialog');
        for (const name of ['bob', 'carl']) {
          await dialog.getByPlaceholder('Name', { exact: true }).fill(name);
          await ada.keyboard.press('Enter');
        }
        await dialog.getByLabel('Group name').fill(words.group);
        await dialog.getByRole('button', { name: 'Make the group' }).click();
        const toast = ada.locator('.toast').first();
        await ada.locator('#composer').or(toast).first().waitFor();
        if (await toast.count()) throw new Error(`making the group: ${await toast.innerText()}`);
        await say(ada, words.first);
        await open(bob, words.group);
        await message(bob, words.first).waitFor();
        await say(bob, words.answer);
        await message(ada, words.answer).waitFor();
        world.cli('carl', 'send', words.group, words.terminal);
        for (const page of [ada, bob]) await message(page, words.terminal).waitFor();
        const all = JSON.stringify(read());
        assert(all.includes(words.first) && all.includes(words.answer), `the command line reads ${all}`);
        const taken = (performance.now() - begun) / 1000;
        console.log(`  from an empty folder to a conversation of three: ${taken.toFixed(1)} s`);
        assert(taken < 120, `that took ${taken} s, at most 120 are allowed`);
        await contextAda.tracing.stop({ path: join(out, 'people.zip') });
      },
    ],
    [
      'a reply and a reaction, seen by all',
      async () => {
        const m = message(bob, words.first);
        await m.hover();
        await m.getByRole('button', { name: 'Reply' }).click();
        await say(bob, words.reply);
        await message(ada, words.reply).locator('.q', { hasText: words.first }).waitFor();
        const own = message(ada, words.answer);
        await own.hover();
        await own.getByRole('button', { name: 'React' }).click();
        await ada.getByRole('dialog').getByRole('button', { name: '👍' }).first().click();
        await message(bob, words.answer).locator('.rx button', { hasText: '👍' }).waitFor();
      },
    ],
    [
      'an edit, and a message taken back',
      async () => {
        await menu(ada, words.first, 'Edit');
        await ada.locator('#composer').fill(words.edited);
        await ada.keyboard.press('Enter');
        await message(bob, words.edited).waitFor();
        await say(bob, 'to be taken back');
        await message(ada, 'to be taken back').waitFor();
        await menu(bob, 'to be taken back', 'Delete for everybody');
        await bob.getByRole('dialog').getByRole('button', { name: 'Delete for everybody' }).click();
        await message(ada, 'Message deleted').waitFor();
      },
    ],
    [
      'a file from a browser to the command line, and back',
      async () => {
        const content = (words.inside + '\n').repeat(9000);
        await ada
          .locator('input[type=file]')
          .first()
          .setInputFiles({ name: words.file + '.txt', mimeType: 'text/plain', buffer: Buffer.from(content) });
        await ada.getByRole('button', { name: 'Send', exact: true }).click();
        await message(bob, words.file).waitFor();
        const download = bob.waitForEvent('download');
        await bob.getByRole('button', { name: `Save ${words.file}.txt` }).click();
        assert(
          readFileSync(await (await download).path(), 'utf8') === content,
          'another file came to the other browser',
        );
        await message(ada, words.file).getByLabel('Waiting to be sent').waitFor({ state: 'detached' });
        mkdirSync(join(world.dir, 'saved'));
        world.cli('carl', 'read', words.group, '--save', join(world.dir, 'saved'));
        assert(
          readFileSync(join(world.dir, 'saved', words.file + '.txt'), 'utf8') === content,
          'another file came to the command line',
        );
        const up = join(world.dir, words.upload + '.txt');
        writeFileSync(up, content);
        world.cli('carl', 'send', words.group, '', '--file', up);
        await message(ada, words.upload).waitFor();
        const back = ada.waitForEvent('download');
        await ada.getByRole('button', { name: `Save ${words.upload}.txt` }).click();
        assert(
          readFileSync(await (await back).path(), 'utf8') === content,
          'another file came from the command line',
        );
      },
    ],
    [
      'script in texts, names and files is shown as text',
      async () => {
        await say(ada, hostile);
        await message(bob, 'onerror').waitFor();
        for (const name of ['<img src=x onerror=window.owned=1>.html', 'picture.svg']) {
          const active =
            '<svg xmlns="http://www.w3.org/2000/svg" onload="window.owned=1"><script>window.owned=1</script></svg>';
          await ada
            .locator('input[type=file]')
            .first()
            .setInputFiles({
              name,
              mimeType: name.endsWith('svg') ? 'image/svg+xml' : 'text/html',
              buffer: Buffer.from(active),
            });
          await ada.getByRole('button', { name: 'Send', exact: true }).click();
          await message(bob, name).waitFor();
          // Opened, it is a file on the disk, and never a page of the application.
          const saved = bob.waitForEvent('download');
          await bob.getByRole('button', { name: `Save ${name}` }).click();
          assert(readFileSync(await (await saved).path(), 'utf8') === active, `${name} is another file`);
        }
        assert(bob.context().pages().length === 1, 'a file was opened as a page');
        await menu(ada, 'onerror', 'Edit');
        await ada.locator('#composer').fill(hostile + ' edited');
        await ada.keyboard.press('Enter');
        await message(bob, 'edited').waitFor();
        await message(bob, 'edited').hover();
        await message(bob, 'edited').getByRole('button', { name: 'Reply' }).click();
        await say(bob, hostile + ' answered');
        await message(ada, 'answered').waitFor();
        await ada.locator('#composer').fill(words.draft); // drafts go to a person's other devices
        await ada.locator('#composer').blur();
        await bob.goto(new URL('#/search', new URL(server.web).origin + '/').href);
        await bob.locator('.side input').fill('onerror');
        await bob.locator('.hit').first().waitFor();
        await bob.goto(new URL('#/chats', new URL(server.web).origin + '/').href);
        await bob.getByRole('button', { name: 'New chat' }).first().click();
        await bob.getByRole('dialog').getByLabel('Group name').fill(hostile.slice(0, 80));
        await bob.getByRole('dialog').getByRole('button', { name: 'Make the group' }).click();
        await bob.locator('#composer').waitFor();
        for (const page of [ada, bob]) {
          const found = await page.evaluate(() => ({
            owned: window.owned,
            active: document.querySelectorAll(
              '#app script, #app iframe, #app img[src="x"], #app [onerror], #app a[href^="javascript:"]',
            ).length,
          }));
          assert(found.owned === undefined && found.active === 0, `active content: ${JSON.stringify(found)}`);
        }
      },
    ],
    [
      'no page complained',
      async () => {
        const said = [ada, bob].flatMap((p) => p.complaints);
        assert(said.length === 0, said.join('\n'));
      },
    ],
    [
      'nothing a person wrote left a browser, and nothing went elsewhere',
      async () => {
        const own = new URL(server.web).host;
        const elsewhere = world.wire
          .hosts()
          .filter((h) => h !== own && !ofTheBrowser.has(h.replace(/:443$/, '')));
        assert(elsewhere.length === 0, `the browsers spoke with ${elsewhere.join(', ')}`);
        const asked = [...world.asked].filter((a) => a !== `http://${own}`);
        assert(asked.length === 0, `pages asked ${asked.join(', ')}`);
        const found = leaks(world.wire.sent, Object.values(words));
        assert(found.length === 0, found.join('\n'));
        assert(
          world.wire.bytes > 200_000,
          `only ${world.wire.bytes} bytes were seen, less than the files have`,
        );
        // The search finds what is planted: in an address, in a body, in a frame of a WebSocket.
        const planted = ['address', 'body', 'frame'].map((w) => secret('planted-' + w));
        await ada.evaluate(async ([a, b, c]) => {
          await fetch('/config.json?' + btoa(a)).catch(() => 0);
          await fetch('/config.json', { method: 'POST', body: b }).catch(() => 0);
          const s = new WebSocket(new URL('/v1/push', location.href.replace('http', 'ws')).href);
          await new Promise((done) => {
            s.onopen = () => {
              s.send(c);
              setTimeout(done, 300);
            };
            s.onerror = s.onclose = done;
            setTimeout(done, 3000);
          });
        }, planted);
        const seen = planted.filter((p) => leaks(world.wire.sent, [p]).length > 0);
        assert(seen.length === 3, `of what was planted only ${seen.join(', ') || 'nothing'} was found`);
        console.log(`  ${world.wire.bytes} bytes to ${own} searched; what was planted was found`);
      },
    ],
  ]);
} catch (e) {
  await world.failed('people', { ada, bob });
  throw e;
} finally {
  await world.end();
}
