import { describe, expect, it } from 'vitest'
import { HopIds } from './hop-ids.ts'

describe('HopIds', () => {
  it('ascend by steps that differ, from a start that differs', () => {
    const free = (): boolean => false
    const [one, two] = [new HopIds(), new HopIds()]
    const ids = Array.from({ length: 200 }, () => one.next(free))
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(new Set(ids.map((id, index) => id - (ids[index - 1] ?? 0))).size).toBeGreaterThan(50)
    expect(two.next(free)).not.toBe(ids[0])
  })

  it('begin anew below 2^31 and leave out what is taken', () => {
    const ids = new HopIds((below) => below - 1)
    const taken = new Set([ids.next(() => false)])
    let last = 0
    for (let round = 0; round < 2 ** 20 + 2; round += 1) {
      last = ids.next((id) => taken.has(id))
      if (taken.has(last) || last >= 2 ** 31) break
    }
    expect(taken.has(last)).toBe(false)
    expect(last).toBeLessThan(2 ** 31)
  })
})
