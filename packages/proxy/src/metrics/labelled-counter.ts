/** One sample: the values of its labels, and the number. */
export interface Sample {
  readonly values: readonly string[]
  readonly count: number
}

/** Counts by labels. What would be one series too many is counted under `other`, because label values come from peers. */
export class LabelledCounter {
  readonly labels: readonly string[]
  readonly #limits: { readonly series: number; readonly valueLength: number }
  readonly #series = new Map<string, { values: readonly string[]; count: number }>()

  constructor(labels: readonly string[], limits: { series: number; valueLength: number }) {
    this.labels = labels
    this.#limits = limits
  }

  /** Adds one. Values that are too long are cut. */
  add(given: readonly string[]): void {
    const { valueLength } = this.#limits
    const values = given.map((value) =>
      asWritten(value.length > valueLength ? `${value.slice(0, valueLength)}...` : value),
    )
    const known = this.#series.get(keyOf(values))
    if (known !== undefined) known.count += 1
    else if (this.#series.size < this.#limits.series) this.#series.set(keyOf(values), { values, count: 1 })
    else this.#addOther()
  }

  /** All series. */
  samples(): Sample[] {
    return [...this.#series.values()]
  }

  #addOther(): void {
    const values = this.labels.map(() => 'other')
    const other = this.#series.get(keyOf(values))
    if (other === undefined) this.#series.set(keyOf(values), { values, count: 1 })
    else other.count += 1
  }
}

/** Half a surrogate pair is written as U+FFFD: two such values would be one series that is there twice. */
function asWritten(value: string): string {
  return Buffer.from(value, 'utf8').toString('utf8')
}

function keyOf(values: readonly string[]): string {
  return values.join('\0')
}
