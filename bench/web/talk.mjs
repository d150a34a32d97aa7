// What the core does in a browser, measured inside the real core by its meter: a
// program built by bench/web/build, a browser, and real clients as the other people.
// Prints JSON.
//
//	HUIS=out/huis STAGE=out/stage node bench/web/talk.mjs PEOPLE MESSAGES
import { World, join_ } from '../../web/e2e/lib.mjs';
import { Inside, Stage, at, load, sleep, sum, tab } from './lib.mjs';
import { scroll } from './scroll.mjs';

const [people, messages] = process.argv.slice(2).map(Number);
const live = 300; // messages that come one by one
const steady = 2000; // messages of the loop in which memory must stay
const world = await World.begin();
const stage = new Stage(process.env.STAGE);
const result = { people, messages, live, steady, load: [load()], memory: {} };
const say = (text) => console.error(`  ${new Date().toISOString().slice(11, 19)} ${text}`);

/** What steps that kept messages took, each message by itself where steps were of one. */
function receiving(steps) {
  const some = steps.filter((s) => s.put?.msg);
  const one = some.filter((s) => s.put.msg === 1);
  const count = sum(some.map((s) => s.put.msg));
  const of = (f) => (one.length ? { median: at(one.map(f), 0.5), p99: at(one.map(f), 0.99) } : null);
  return {
    messages: count,
    single: one.length,
    computed: of((s) => s.computed),
    whole: of((s) => s.computed + s.stored),
    meanComputed: sum(some.map((s) => s.computed)) / count,
    meanWhole: sum(some.map((s) => s.computed + s.stored)) / count,
    longest: Math.max(...some.map((s) => s.computed)),
  };
}

/** The step that joined a group, from the inbox's answer on. */
function joining({ steps, calls }) {
  const step = steps.findLast((s) => s.put?.chat && s.put?.mem && s.put?.mls);
  if (!step) return null;
  const from = calls.findLast((c) => c.method === 'inbox_fetch' && c.at < step.at);
  const within = steps.filter((s) => s.at > from.at && s.at <= step.at);
  return {
    whole: step.at - from.at,
    computed: sum(within.map((s) => s.computed)),
    stored: sum(within.map((s) => s.stored)),
    records: sum(Object.values(step.put)),
  };
}

try {
  const server = await world.server();
  say(`${people - 1} people join`);
  const crowd = await stage.order('join', server.invite, people - 1);
  say(`which took ${crowd.seconds.toFixed(0)} s`);
  const home = new URL(server.web).origin + '/';
  const page = await world.page();
  const { invite } = await stage.order('invite');
  await page.goto(invite.replace(new URL(invite).origin + '/', home));
  await join_(page, 'me');
  let inside = await Inside.of(page);
  await page.evaluate(tab);
  const call = (method, payload) =>
    page.evaluate(([m, p]) => globalThis.benchTab.call(m, p), [method, payload]);
  const chatOf = async (name) => {
    for (;;) {
      const c = (await call('chats', {})).chats.find((x) => x.name === name);
      if (c) return c;
      await sleep(200);
    }
  };
  const meter = { steps: [], calls: [] };
  const drain = async () => {
    const m = await inside.meter();
    meter.steps = m.steps ?? [];
    meter.calls = m.calls ?? [];
    return m;
  };
  const remember = async (name) => {
    result.memory[name] = await inside.memory();
    say(
      `${name}: ${(result.memory[name] / 1e6).toFixed(1)} MB, live ${((await inside.heap()).live / 1e6).toFixed(1)} MB`,
    );
  };
  await remember('joined');

  say('messages one by one');
  await stage.order('few', 'quick', 'me');
  const quick = await chatOf('quick');
  await stage.order('watch', 'quick');
  await sleep(3000);
  await drain();
  await stage.order('meter');
  await stage.order('say', 'quick', live, 60);
  await sleep(3000);
  result.decrypt = receiving((await drain()).steps);
  result.decryptNative = receiving((await stage.order('meter')).meter.steps);
  say(JSON.stringify(result.decrypt));
  await remember('quick');

  say(`a group of ${people}`);
  await drain();
  const made = await stage.order('group', 'crowd', 'me');
  say(`which was made in ${made.seconds.toFixed(0)} s`);
  await chatOf('crowd');
  await sleep(2000);
  result.join = joining(await drain());
  say(JSON.stringify(result.join));
  await remember('group');
  await stage.order('watch', 'crowd');
  result.joinNative = joining((await stage.order('meter')).meter);
  await stage.order('say', 'crowd', 40, 200);
  const heard = [];
  for (const until = performance.now() + 300_000; performance.now() < until;) {
    await sleep(1000);
    heard.push(...((await drain()).steps ?? []));
    if (sum(heard.map((s) => s.put?.msg ?? 0)) >= 40) break;
  }
  result.inGroup = receiving(heard);
  // What a new member still has to do for a day: the log's word on everybody's keys.
  result.settling = { longest: Math.max(...heard.map((s) => s.computed)) };
  say(JSON.stringify(result.inGroup));
  await remember('group in use');

  say(`${messages} messages in one conversation`);
  await stage.order('few', 'archive', 'me');
  await chatOf('archive');
  await drain();
  await page.evaluate(() => (globalThis.benchProbe = globalThis.benchTab.probe('settings', {}, 50)));
  const begun = performance.now();
  const all = [];
  let filled = false;
  const filling = stage.order('fill', 'archive', messages).then(() => (filled = true));
  let last = { got: 0, at: performance.now() };
  let peak = 0;
  for (;;) {
    await sleep(2000);
    const m = await drain();
    all.push(...(m.steps ?? []));
    peak = Math.max(peak, await inside.memory());
    const got = sum(all.map((s) => s.put?.msg ?? 0));
    say(`${got} came, ${filled ? 'all' : 'not all'} sent, ${m.lost} records lost, load ${load()}`);
    if (got >= messages) break;
    if (got > last.got) last = { got, at: performance.now() };
    if (filled && performance.now() - last.at > 300_000)
      throw new Error(`${got} of ${messages} messages came`);
  }
  await filling;
  result.fill = { ...receiving(all), seconds: (performance.now() - begun) / 1000 };
  result.answered = await page.evaluate(() => globalThis.benchProbe.stop());
  result.answered = {
    calls: result.answered.length,
    median: at(result.answered, 0.5),
    p99: at(result.answered, 0.99),
    worst: Math.max(...result.answered),
  };
  say(JSON.stringify({ fill: result.fill, answered: result.answered }));
  await remember('history received');

  say('the page is opened again');
  await page.goto('about:blank');
  await page.goto(home + '#/chats');
  await page.locator('.conv').first().waitFor();
  inside = await Inside.of(page);
  await page.evaluate(tab);
  await chatOf('archive');
  await remember('opened again');
  result.scroll = await scroll(page, 'archive', say);
  say(JSON.stringify(result.scroll));
  await remember('history scrolled');

  say('search');
  const searched = await page.evaluate(async () => {
    const probe = globalThis.benchTab.probe('settings', {}, 10);
    const took = [];
    for (const text of ['kitchen beside', 'Message 4711.', 'nothing of this']) {
      const begun = performance.now();
      const { hits } = await globalThis.benchTab.call('search', { text, limit: 50 });
      took.push({ text, hits: hits.length, ms: performance.now() - begun });
    }
    return { took, answered: await probe.stop() };
  });
  result.search = {
    took: searched.took,
    answered: { worst: Math.max(...searched.answered), median: at(searched.answered, 0.5) },
  };
  say(JSON.stringify(result.search));
  await remember('searched');

  say(`${steady} messages, looking at memory`);
  result.loop = [];
  for (let i = 0; i < 10; i++) {
    await stage.order('fill', 'quick', steady / 10);
    await sleep(1500);
    result.loop.push({ linear: await inside.memory(), live: (await inside.heap()).live });
  }
  await remember('steady loop');
  result.quick = (await call('chat', { chat: quick.id })).unread;
  result.load.push(load());
  console.log(JSON.stringify(result));
} finally {
  stage.end();
  await world.end();
}
