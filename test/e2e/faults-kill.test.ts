import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rules, type Rule } from './fault-checks.ts'
import { killTargets, walk, type KillTarget, type Walk } from './fault-walk.ts'
import { openWorld, type World } from './harness.ts'

const parallel = 3
const killsPerWorld = 70
/** Two minutes on an idle machine. */
const patienceMs = 500_000
const seed = Number(process.env['THV_FAULT_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const worlds: World[] = []
let walks: Walk[] = []

beforeAll(async () => {
  process.stdout.write(`faults-kill: seed ${seed} (repeat with THV_FAULT_SEED=${seed})\n`)
  for (let index = 0; index < parallel; index += 1) worlds.push(await openWorld())
  const end = { kills: killsPerWorld, withinMs: patienceMs }
  walks = await Promise.all(worlds.map((world, index) => walk(world, { seed: seed + index, ...end })))
  process.stdout.write(
    `faults-kill: ${JSON.stringify(Object.fromEntries(killTargets.map((one) => [one, kills(one)])))}\n`,
  )
}, patienceMs + 60_000)

afterAll(async () => {
  await Promise.all(worlds.map(async (world) => await world.close()))
})

describe('after SIGKILLs at random points of the life cycle', () => {
  it('the kills were many and of every kind', () => {
    const counts = killTargets.map((target) => kills(target))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(200)
    expect(Math.min(...counts)).toBeGreaterThan(0)
  })

  const facts: Record<Rule, string> = {
    orphan: 'no process outlives its supervisor by more than five seconds',
    torn: 'no state file is ever torn',
    litter: 'no temporary file and no dead lock is left after the next command',
    list: 'list always works and has nothing to remark',
    status: 'the status is right within five seconds, and running means serving',
    start: 'start works at once',
    port: 'the port stays',
    command: 'commands that nobody kills succeed',
  }
  it.each(rules.map((rule) => ({ rule, fact: facts[rule] })))('$fact', ({ rule }) => {
    expect({ seed, violations: violations(rule) }).toEqual({ seed, violations: [] })
  })
})

function kills(target: KillTarget): number {
  return walks.reduce((sum, walk) => sum + (walk.kills.get(target) ?? 0), 0)
}

function violations(rule: Rule): string[] {
  return walks.flatMap((walk) => walk.violations.filter((one) => one.rule === rule).map((one) => one.what))
}
