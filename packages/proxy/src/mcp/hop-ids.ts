import { randomInt } from 'node:crypto'

/**
 * Ids for requests to one server. They ascend, so that an answer that comes late
 * meets no other call; they begin and step at random, so that no client can guess
 * the id of another client's call. They stay below 2^31, because some servers
 * read ids into 32 bits.
 */
export class HopIds {
  readonly #random: (below: number) => number
  #last: number

  constructor(random: (below: number) => number = randomInt) {
    this.#random = random
    this.#last = 1 + random(firstBelow)
  }

  /** The next id that is not taken. */
  next(isTaken: (id: number) => boolean): number {
    do {
      this.#last += 1 + this.#random(stepBelow)
      if (this.#last > maximum) this.#last = 1 + this.#random(firstBelow)
    } while (isTaken(this.#last))
    return this.#last
  }
}

const maximum = 2 ** 31 - 1
const firstBelow = 2 ** 30
const stepBelow = 2 ** 10
