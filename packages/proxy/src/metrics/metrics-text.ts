import type { Histogram } from './histogram.ts'
import type { LabelledCounter } from './labelled-counter.ts'

/** Writes the Prometheus text exposition format, version 0.0.4. */
export class MetricsText {
  readonly #common: Readonly<Record<string, string>>
  #text = ''

  /** `common` labels stand on every sample. */
  constructor(common: Readonly<Record<string, string>>) {
    this.#common = common
  }

  /** One number that goes up and down. */
  gauge(name: string, help: string, value: number): void {
    this.#head(name, help, 'gauge')
    this.#sample(name, {}, value)
  }

  /** One number that only grows. */
  total(name: string, help: string, value: number): void {
    this.#head(name, help, 'counter')
    this.#sample(name, {}, value)
  }

  /** Numbers that only grow, by labels. */
  counter(name: string, help: string, counter: LabelledCounter): void {
    this.#head(name, help, 'counter')
    for (const { values, count } of counter.samples()) {
      this.#sample(name, Object.fromEntries(counter.labels.map((label, index) => [label, values[index] ?? ''])), count)
    }
  }

  /** A distribution. */
  histogram(name: string, help: string, histogram: Histogram): void {
    this.#head(name, help, 'histogram')
    const counts = histogram.cumulative()
    for (const [index, bound] of histogram.bounds.entries()) {
      this.#sample(`${name}_bucket`, { le: String(bound) }, counts[index] ?? 0)
    }
    this.#sample(`${name}_bucket`, { le: '+Inf' }, histogram.count)
    this.#sample(`${name}_sum`, {}, histogram.sum)
    this.#sample(`${name}_count`, {}, histogram.count)
  }

  toString(): string {
    return this.#text
  }

  #head(name: string, help: string, type: string): void {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
  }

  #sample(name: string, labels: Readonly<Record<string, string>>, value: number): void {
    const pairs = Object.entries({ ...this.#common, ...labels }).map(
      ([label, text]) => `${label}="${escapeLabel(text)}"`,
    )
    this.#text += `${name}{${pairs.join(',')}} ${value}\n`
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
