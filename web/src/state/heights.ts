/** Heights of many rows, with sums by a Fenwick tree: offset and row of a place in O(log n). */
export class Heights {
  #tree: Float64Array;
  #height: Float64Array;

  constructor(heights: ArrayLike<number>) {
    const n = heights.length;
    this.#height = Float64Array.from(heights);
    this.#tree = new Float64Array(n + 1);
    for (let i = 1; i <= n; i++) {
      this.#tree[i]! += this.#height[i - 1]!;
      const up = i + (i & -i);
      if (up <= n) this.#tree[up]! += this.#tree[i]!;
    }
  }

  get count(): number {
    return this.#height.length;
  }

  get total(): number {
    return this.offset(this.count);
  }

  at(i: number): number {
    return this.#height[i] ?? 0;
  }

  set(i: number, h: number): void {
    const d = h - this.at(i);
    this.#height[i] = h;
    for (let k = i + 1; k <= this.count; k += k & -k) this.#tree[k]! += d;
  }

  /** The distance from the beginning to the top of row i. */
  offset(i: number): number {
    let sum = 0;
    for (let k = i; k > 0; k -= k & -k) sum += this.#tree[k]!;
    return sum;
  }

  /** The row at a distance from the beginning, at most the last one. */
  row(y: number): number {
    let i = 0;
    let rest = y;
    for (let step = 1 << Math.floor(Math.log2(Math.max(1, this.count))); step > 0; step >>= 1) {
      if (i + step <= this.count && this.#tree[i + step]! <= rest) {
        i += step;
        rest -= this.#tree[i]!;
      }
    }
    return Math.max(0, Math.min(i, this.count - 1));
  }
}
