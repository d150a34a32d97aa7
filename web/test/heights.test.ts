import { expect, it } from 'vitest';
import { Heights } from '../src/state/heights';

it('agrees with adding up', () => {
  const plain = Array.from({ length: 1000 }, (_, i) => 10 + ((i * 7919) % 90));
  const h = new Heights(plain);
  for (let i = 0; i < 300; i++) {
    const at = (i * 617) % 1000;
    plain[at] = 5 + ((i * 31) % 200);
    h.set(at, plain[at]!);
  }
  let sum = 0;
  for (let i = 0; i <= 1000; i++) {
    expect(h.offset(i)).toBe(sum);
    sum += plain[i] ?? 0;
  }
  for (let y = 0; y < h.total; y += 97) {
    const i = h.row(y);
    expect(h.offset(i)).toBeLessThanOrEqual(y);
    expect(h.offset(i + 1)).toBeGreaterThan(y);
  }
});

it('holds at its ends', () => {
  expect(new Heights([]).total).toBe(0);
  expect(new Heights([]).row(10)).toBe(0);
  const h = new Heights([10, 20]);
  expect([h.row(-5), h.row(0), h.row(10), h.row(29), h.row(1e9)]).toEqual([0, 0, 1, 1, 1]);
});

it('finds a row among 100,000 at once', () => {
  const h = new Heights(new Float64Array(100_000).fill(40));
  const begun = performance.now();
  for (let i = 0; i < 10_000; i++) h.row((i * 7919) % 4_000_000);
  expect(performance.now() - begun).toBeLessThan(500);
});
