// The real list over the real store: a conversation scrolled from its end to its
// beginning, which loads all of it, and thrown from end to end. Frames are watched
// all the while.

function watchFrames() {
  const f = (globalThis.benchFrames = { gaps: [], tasks: [] });
  let before = performance.now();
  const next = (now) => {
    f.gaps.push(now - before);
    before = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame((now) => {
    before = now;
    requestAnimationFrame(next);
  });
  new PerformanceObserver((l) => l.getEntries().forEach((e) => f.tasks.push(e.duration))).observe({
    type: 'longtask',
  });
}

/** What was seen of the frames since the last time. */
const frames = (page) =>
  page.evaluate(() => {
    const { gaps, tasks } = globalThis.benchFrames;
    globalThis.benchFrames.gaps = [];
    globalThis.benchFrames.tasks = [];
    const sorted = [...gaps].sort((a, b) => a - b);
    return {
      frames: gaps.length,
      median: sorted[sorted.length >> 1],
      p99: sorted[Math.floor(sorted.length * 0.99)],
      longest: sorted.at(-1),
      second: gaps.filter((g) => g >= 1000).length,
      longTasks: tasks.length,
      longestTask: Math.max(0, ...tasks),
    };
  });

export async function scroll(page, name, say) {
  await page.locator('.conv', { hasText: name }).first().click();
  await page.locator('.bub', { hasText: `Message ` }).first().waitFor();
  await page.waitForTimeout(1000);
  await page.evaluate(watchFrames);
  const begun = performance.now();
  // Upwards until the first message is there: each piece is loaded as it comes near.
  for (;;) {
    const done = await page.evaluate(async () => {
      const view = document.querySelector('.log .view');
      const until = performance.now() + 5000;
      while (performance.now() < until) {
        view.scrollTop = Math.max(0, view.scrollTop - 2000);
        await new Promise(requestAnimationFrame);
        const first = [...view.querySelectorAll('.bub')].some((b) => /Message 1\. /.test(b.textContent));
        if (view.scrollTop === 0 && first) return true;
      }
      return false;
    });
    if (done) break;
    if (performance.now() - begun > 1_800_000)
      throw new Error('the beginning was not reached in half an hour');
  }
  const seconds = (performance.now() - begun) / 1000;
  const loading = { ...(await frames(page)), seconds };
  say(`loaded: ${JSON.stringify(loading)}`);
  const thrown = await page.evaluate(async () => {
    const view = document.querySelector('.log .view');
    let most = 0;
    let blank = 0;
    for (let i = 0; i <= 240; i++) {
      view.scrollTop = (i <= 120 ? i / 120 : 2 - i / 120) * (view.scrollHeight - view.clientHeight);
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      const box = view.getBoundingClientRect();
      const cells = [...view.querySelectorAll('.cell')].map((c) => c.getBoundingClientRect());
      most = Math.max(most, cells.length);
      if (!cells.some((c) => c.bottom > box.top && c.top < box.bottom)) blank++;
    }
    return { most, blank, height: view.scrollHeight };
  });
  return { loading, throwing: { ...(await frames(page)), ...thrown } };
}
