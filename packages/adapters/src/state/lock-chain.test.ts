import { expect, test } from 'vitest'
import { attemptLock, releaseLock, type LockFiles, type LockHolder } from './lock-chain.ts'

test('the chain never has two living holders and never wedges, in 1500 random interleavings with killed holders', async () => {
  const totals = { acquired: 0, killed: 0, inherited: 0 }
  for (let seed = 1; seed <= 1500; seed += 1) {
    const world = new World(seed)
    await world.run(4)
    totals.acquired += world.acquired
    totals.killed += world.killed
    totals.inherited += world.inherited
  }
  // Otherwise the test would prove nothing.
  expect(totals.acquired).toBeGreaterThan(5_000)
  expect(totals.killed).toBeGreaterThan(1_000)
  expect(totals.inherited).toBeGreaterThan(500)
})

/**
 * A file system and a process list in memory. Every operation waits until the
 * scheduler picks it; a process that is killed never gets another answer, whether or
 * not its last operation still took place.
 */
class World {
  readonly #random: () => number
  readonly #disk = new Map<string, LockHolder>()
  readonly #dead = new Set<number>()
  readonly #pending: { pid: number; perform: () => void }[] = []
  #inside: number | undefined
  #tokens = 0
  #finished = 0
  acquired = 0
  killed = 0
  inherited = 0

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  async run(actors: number): Promise<void> {
    const failures: unknown[] = []
    for (let pid = 1; pid <= actors; pid += 1) {
      void this.#act(pid).catch((error: unknown) => failures.push(error))
    }
    for (let step = 0; this.#finished + this.#dead.size < actors; step += 1) {
      if (failures.length > 0) throw failures[0]
      if (step > 5_000) throw new Error('wedged')
      await settle()
      this.#step(actors)
    }
  }

  #step(actors: number): void {
    const index = Math.floor(this.#random() * this.#pending.length)
    const next = this.#pending.splice(index, 1)[0]
    if (next === undefined) return
    const dies = this.#random() < 0.03 && this.#dead.size < actors - 1
    if (!dies || this.#random() < 0.5) next.perform()
    if (!dies) return
    this.killed += 1
    this.#dead.add(next.pid)
    if (this.#inside === next.pid) this.#inside = undefined
    const others = this.#pending.filter((one) => one.pid !== next.pid)
    this.#pending.splice(0, this.#pending.length, ...others)
  }

  async #act(pid: number): Promise<void> {
    const files = this.#filesOf(pid)
    for (let turn = 0; turn < 3; turn += 1) {
      const held = await this.#take(files, pid)
      if (held.files.length > 1) this.inherited += 1
      if (this.#inside !== undefined) throw new Error(`${pid} entered while ${this.#inside} was inside`)
      this.#inside = pid
      this.acquired += 1
      for (let work = 0; work < 2; work += 1) await this.#turn(pid, () => undefined)
      if (this.#inside !== pid) throw new Error(`${pid} was not alone`)
      this.#inside = undefined
      await releaseLock(files, held)
    }
    this.#finished += 1
  }

  async #take(files: LockFiles, pid: number): Promise<{ files: readonly string[]; base: LockHolder }> {
    for (;;) {
      this.#tokens += 1
      const attempt = await attemptLock(files, 'lock', { pid, started: '', token: `t${this.#tokens}` })
      if (attempt !== 'again' && 'held' in attempt) return attempt.held
      await this.#turn(pid, () => undefined)
    }
  }

  #filesOf(pid: number): LockFiles {
    return {
      create: (path, holder) =>
        this.#turn(pid, () => {
          if (this.#disk.has(path)) return false
          this.#disk.set(path, holder)
          return true
        }),
      read: (path) => this.#turn(pid, () => this.#disk.get(path)),
      remove: (path) => this.#turn(pid, () => void this.#disk.delete(path)),
      isAlive: (holder) => this.#turn(pid, () => !this.#dead.has(holder.pid)),
    }
  }

  #turn<T>(pid: number, operate: () => T): Promise<T> {
    return new Promise<T>((resolve) => {
      // The answer of a killed process goes nowhere, but its operation may have happened.
      this.#pending.push({
        pid,
        perform: () => {
          const answer = operate()
          queueMicrotask(() => {
            if (!this.#dead.has(pid)) resolve(answer)
          })
        },
      })
    })
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** mulberry32: small, seeded, good enough to shuffle. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
