import { messageOf, parseServerCard } from '@thv/core'
import type { Supervision } from './supervision.ts'

/**
 * Reads the server card of a remote server once, beside its probes, and notes what it says in the status. Nothing waits for
 * it, and nothing depends on it.
 */
export class CardReading {
  readonly #supervision: Pick<Supervision, 'deps' | 'proxy' | 'reporter'>
  readonly #end = new AbortController()
  #reading: Promise<void> | undefined

  constructor(supervision: Pick<Supervision, 'deps' | 'proxy' | 'reporter'>) {
    this.#supervision = supervision
  }

  /** The server answers. Only the first time counts. */
  begin(): void {
    this.#reading ??= this.#read(this.#end.signal)
  }

  /** Ends the reading. Bounded; never rejects. */
  async close(): Promise<void> {
    this.#end.abort()
    await this.#reading
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { deps, proxy, reporter } = this.#supervision
    try {
      const text = await proxy.card(signal)
      const card = text === undefined ? undefined : parseServerCard(text)
      if (card !== undefined && !signal.aborted) await reporter.recordCard(card, signal)
    } catch (error) {
      deps.log('debug', 'the server card could not be noted', { error: messageOf(error) })
    }
  }
}
