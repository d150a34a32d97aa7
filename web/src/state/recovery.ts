/** Two different places among n, in order, drawn at random. */
export function twoOf(n: number): [number, number] {
  const draw = (below: number): number => crypto.getRandomValues(new Uint32Array(1))[0]! % below;
  const a = draw(n);
  const b = (a + 1 + draw(n - 1)) % n;
  return a < b ? [a, b] : [b, a];
}

/** Whether a group of the key was typed: case and letters that read like figures do not count. */
export function sameGroup(typed: string, group: string): boolean {
  const clean = (s: string) => s.trim().toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1');
  return clean(typed) !== '' && clean(typed) === clean(group);
}
