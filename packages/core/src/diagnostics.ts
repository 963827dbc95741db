import { ThvError, type ErrorCode } from './errors.ts'

/** One problem with an input, and where in it. */
export interface Problem {
  /** What the user would search for: a flag (`--env`) or a key (`env_vars.API_KEY`). */
  path: string
  message: string
}

/**
 * Collects all problems of an input, so that a user mends them in one go.
 */
export class Diagnostics {
  readonly #problems: Problem[] = []

  add(path: string, message: string): void {
    this.#problems.push({ path, message })
  }

  /** Runs a parser; what it throws becomes a problem at `path`. */
  collect<T>(path: string, parse: () => T): T | undefined {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof ThvError)) throw error
      this.add(path, error.hint === undefined ? error.message : `${error.message} (${error.hint})`)
      return undefined
    }
  }

  /** Throws one error that lists every problem, if there is any. */
  throwIfAny(code: ErrorCode, summary: string, hint: string): void {
    if (this.#problems.length === 0) return
    const lines = this.#problems.map((problem) => `${problem.path}: ${problem.message}`)
    if (lines.length === 1) throw new ThvError(code, `${summary}: ${lines[0] ?? ''}`, { hint })
    throw new ThvError(code, `${summary}: ${lines.length} problems`, { hint, detail: lines })
  }
}
