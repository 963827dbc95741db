/** Counts observations by upper bounds, as Prometheus histograms do. */
export class Histogram {
  /** Ascending. */
  readonly bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  /** Sum of all observations. */
  get sum(): number {
    return this.#sum
  }

  /** Number of all observations. */
  get count(): number {
    return this.#count
  }

  /** Adds one. */
  observe(value: number): void {
    this.#sum += value
    this.#count += 1
    const index = this.bounds.findIndex((bound) => value <= bound)
    if (index !== -1) this.#counts[index] = (this.#counts[index] ?? 0) + 1
  }

  /** For each bound, how many observations were not above it. */
  cumulative(): number[] {
    let total = 0
    return this.#counts.map((count) => (total += count))
  }
}
