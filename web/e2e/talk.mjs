// Three people in one conversation: one in a browser with the core in a Worker, one
// in a browser with the program on this computer, one on the command line. Then a
// group with roles, replies, reactions, edits, files, drafts, search, revoking.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { World, assert, join_, sizes, steps } from './lib.mjs';

const w = await World.begin();
let failed = null;
const alice = await w.page();
const carol = await w.page({ viewport: sizes.phone, hasTouch: true });
const composer = (p) => p.locator('#composer');
const say = async (p, text) => {
  await composer(p).fill(text);
  await composer(p).press('Enter');
  await p.locator('.bub', { hasText: text }).last().waitFor();
};
let server;

/** Waits until a message has come to somebody on the command line: sending goes on by itself. */
async function heard(profile, chat, begin) {
  for (let i = 0; i < 20; i++) {
    if (w.cli(profile, 'read', chat).some((m) => m.body.startsWith(begin))) return;
    await new Promise((r) => setTimeout(r, 500));
  }
  throw new Error(`${profile} never read "${begin}" in ${chat}`);
}

async function inviteFrom(page) {
  await page.goto(page.url().split('#')[0] + '#/settings/invitations');
  await page.getByRole('button', { name: 'Make a link' }).click();
  return page.locator('p.link').first().innerText();
}

async function openChat(page, name) {
  await page.locator('.conv', { hasText: name }).first().click();
  await composer(page).waitFor();
}

async function act(page, text, label) {
  const row = page.locator('.msg', { hasText: text }).last();
  await row.hover();
  await row.getByRole('button', { name: label, exact: true }).click();
}

try {
  await steps('three people', [
    ['a server begins', async () => (server = await w.server())],
    [
      'alice opens the link and joins',
      async () => {
        await alice.goto(server.invite);
        await join_(alice, 'alice');
        assert(!alice.url().includes(server.invite.split('#')[1]), 'the invitation stays in the address');
      },
    ],
    [
      'bob joins on the command line and writes',
      async () => {
        w.cli('bob', 'join', await inviteFrom(alice), '--handle', 'bob');
        w.cli('bob', 'send', '@alice', 'hello **from** the command line');
        await alice.goto(alice.url().split('#')[0] + '#/chats');
        await openChat(alice, 'bob');
        await alice.locator('.bub strong', { hasText: 'from' }).waitFor();
        await say(alice, 'hello from the browser');
        await heard('bob', '@alice', 'hello from the browser');
      },
    ],
    [
      'carol joins with huis app, on a phone',
      async () => {
        const link = await inviteFrom(alice);
        await carol.goto(await w.app('carol'));
        await carol.getByRole('link', { name: 'I have an invitation' }).click();
        await carol.getByLabel('Invitation link').fill(link);
        await carol.getByRole('button', { name: 'Next' }).click();
        await join_(carol, 'carol');
      },
    ],
    [
      'alice makes a group of three',
      async () => {
        await alice.goto(alice.url().split('#')[0] + '#/chats');
        await alice.keyboard.press('Alt+n');
        const dialog = alice.getByRole('dialog');
        for (const name of ['bob', 'carol']) {
          await dialog.getByLabel('People', { exact: true }).fill(name);
          await dialog.getByLabel('People', { exact: true }).press('Enter');
        }
        await dialog.getByLabel('Group name').fill('Kitchen');
        await dialog.getByRole('button', { name: 'Make the group' }).click();
        await composer(alice).waitFor();
        await say(alice, 'who has the key? @bob');
        await carol.locator('.conv', { hasText: 'Kitchen' }).waitFor();
        await openChat(carol, 'Kitchen');
        await carol.locator('.bub', { hasText: 'who has the key' }).waitFor();
        await heard('bob', 'Kitchen', 'who has');
      },
    ],
    [
      'carol replies and reacts; alice edits and takes back',
      async () => {
        await carol.locator('.bub', { hasText: 'who has the key' }).tap();
        await act(carol, 'who has the key', 'Reply');
        await say(carol, 'I have it');
        await alice.locator('.q', { hasText: 'who has the key' }).waitFor();
        await act(alice, 'I have it', 'React');
        await alice.getByRole('dialog').getByRole('button', { name: '👍' }).first().click();
        await carol.locator('.rx', { hasText: '👍' }).waitFor();
        await composer(alice).press('ArrowUp');
        await composer(alice).fill('who has the spare key? @bob');
        await composer(alice).press('Enter');
        await carol.locator('.bub', { hasText: 'spare key' }).waitFor();
        await say(alice, 'never mind');
        await act(alice, 'never mind', 'More');
        await alice.getByRole('menuitem', { name: 'Delete for everybody' }).click();
        await alice.getByRole('dialog').getByRole('button', { name: 'Delete for everybody' }).click();
        await carol.locator('.bub', { hasText: 'Message deleted' }).waitFor();
      },
    ],
    [
      'a file goes from carol to alice, byte for byte, and is not opened as a page',
      async () => {
        const text = '<script>document.title = "taken"</script>\n'.repeat(2000);
        const file = join(w.dir, 'plan <b>.html');
        writeFileSync(file, text);
        await carol.locator('input[type=file]').setInputFiles(file);
        await carol.getByRole('button', { name: 'Send', exact: true }).click();
        const save = alice.getByRole('button', { name: /^Save plan/ });
        await save.waitFor();
        const [download] = await Promise.all([alice.waitForEvent('download'), save.click()]);
        const got = await (await import('node:fs/promises')).readFile(await download.path(), 'utf8');
        assert(got === text, 'the file differs');
        assert((await alice.title()) !== 'taken', 'a file ran');
      },
    ],
    [
      'script in every text stays text',
      async () => {
        const bad =
          '<img src=x onerror="document.title=1"> [x](javascript:alert(1)) **<script>alert(1)</script>**';
        w.cli('bob', 'send', 'Kitchen', bad);
        await alice.locator('.bub', { hasText: 'onerror' }).waitFor();
        assert(
          (await alice.locator('.bub img, .bub script, .bub a[href^=javascript]').count()) === 0,
          'a text became elements',
        );
      },
    ],
    [
      'alice finds a message by part of a word',
      async () => {
        await alice.keyboard.press('Control+k');
        await alice.getByLabel('Search all messages').fill('spar');
        await alice.locator('.hit', { hasText: 'spare key' }).click();
        await alice.locator('.msg.lit, .bub', { hasText: 'spare key' }).first().waitFor();
      },
    ],
    [
      'a reload keeps everything, a draft too',
      async () => {
        await alice.goto(alice.url().split('#')[0] + '#/chats');
        await openChat(alice, 'Kitchen');
        await composer(alice).fill('half a thought');
        await alice.waitForTimeout(1800);
        await alice.reload();
        await alice
          .locator('.conv', { hasText: 'half a thought' })
          .or(alice.locator('#composer'))
          .first()
          .waitFor();
        await alice.goto(alice.url().split('#')[0] + '#/chats');
        await alice.locator('.conv', { hasText: 'half a thought' }).waitFor();
      },
    ],
    [
      'a second tab of alice works through the first',
      async () => {
        const tab = await alice.context().newPage();
        await tab.goto(server.url + '/#/chats');
        await tab.locator('.conv', { hasText: 'Kitchen' }).waitFor();
        await openChat(tab, 'bob');
        await say(tab, 'from the second tab');
        await heard('bob', '@alice', 'from the second tab');
        await tab.close();
      },
    ],
    [
      'alice removes bob, who hears nothing more',
      async () => {
        await openChat(alice, 'Kitchen');
        await alice.getByRole('button', { name: 'More about bob' }).click();
        await alice.getByRole('menuitem', { name: 'Remove from group' }).click();
        await alice.getByRole('dialog').getByRole('button', { name: 'Remove from group' }).click();
        await alice.locator('.head', { hasText: '2 people' }).waitFor();
        await composer(alice).fill('');
        await say(alice, 'now without bob');
        await carol.locator('.bub', { hasText: 'now without bob' }).waitFor();
        assert(!w.cli('bob', 'read', 'Kitchen').some((m) => m.body === 'now without bob'), 'bob reads on');
      },
    ],
  ]);
  for (const [who, page] of Object.entries({ alice, carol })) {
    const bad = page.complaints.filter((c) => !/ERR_INTERNET_DISCONNECTED|net::ERR_FAILED/.test(c));
    assert(bad.length === 0, `${who}'s page complained: ${bad.join('\n')}`);
  }
} catch (e) {
  failed = e;
  await w.failed('talk', { alice, carol });
} finally {
  await w.end();
}
if (failed) throw failed;
