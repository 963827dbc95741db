import type { ProxyLimits } from '../limits.ts'
import type { ProxyLog } from '../proxy-config.ts'

/** Logs what a server writes that is no message: the first lines of a minute, then their number. */
export class NoiseLog {
  readonly #limits: ProxyLimits
  readonly #log: ProxyLog
  #lines = 0
  #timer: NodeJS.Timeout | undefined

  constructor(limits: ProxyLimits, log: ProxyLog) {
    this.#limits = limits
    this.#log = log
  }

  /** Takes one line. */
  skip(text: string, problem: string): void {
    this.#timer ??= setTimeout(() => this.flush(), this.#limits.noiseWindowMs).unref()
    this.#lines += 1
    if (this.#lines > this.#limits.noiseLines) return
    const line = text.slice(0, this.#limits.loggedLineLength)
    this.#log('warn', 'skipped a line of the server that is not an MCP message', { line, problem })
  }

  /** Ends the minute. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const more = this.#lines - this.#limits.noiseLines
    this.#lines = 0
    if (more > 0) this.#log('warn', 'skipped more lines of the server that are not MCP messages', { lines: more })
  }
}
