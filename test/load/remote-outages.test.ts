import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startScriptedRemote, type ScriptedRemote } from '../../packages/runner/src/fixtures/scripted-remote.ts'
import { connectV1, connectV2, type Peer } from '../e2e/clients.ts'
import { eventually, isAlive, openWorld, type StoredStatus, type World } from '../e2e/harness.ts'
import { planOutages, seeded, type OutageScript, type Truth } from '../e2e/outage-script.ts'
import { usageOf, type Usage } from '../e2e/process-usage.ts'

/** How much faster than in real life time goes: 1 takes half an hour and uses the intervals of every day. */
const speed = Number(process.env['THV_REMOTES_SPEED'] ?? 50)
const isFull = speed < 10
const workloads = 50
const totalMs = (30 * 60_000) / speed

const intervalMs = 10_000 / speed
const retryMs = 5_000 / speed
/** Not scaled: what is short for a silent server is not long enough for a busy machine. */
const timeoutMs = Math.max(1_500, 5_000 / speed)
/** Scheduling of a busy machine, which two cores are for fifty supervisors, their remotes and the test; and one sample. */
const slackMs = isFull ? 1_500 : 2_500
const longest = 1.1
/** From a change of the truth to its record: one interval to the next probe, and what the judgement takes. */
const downWithinMs = (intervalMs + 2 * retryMs) * longest + slackMs
const silentWithinMs = downWithinMs + 3 * timeoutMs
/** Probes of a server that is down come every three intervals; one that hangs is over first. */
const upWithinMs = 3 * intervalMs * longest + timeoutMs + slackMs
/** What a supervisor may grow by between warm-up and end. */
const growthMb = 12

let world: World
let remotes: ScriptedRemote[] = []
let peers: Peer[] = []

const nameOf = (index: number): string => `far-${index}`

beforeAll(async () => {
  world = await openWorld()
  Object.assign(world.environment, {
    TOOLHIVE_HEALTH_CHECK_INTERVAL: `${intervalMs}ms`,
    TOOLHIVE_HEALTH_CHECK_RETRY_DELAY: `${retryMs}ms`,
    TOOLHIVE_HEALTH_CHECK_PING_TIMEOUT: `${timeoutMs}ms`,
  })
  // Each on an address of its own, so that nobody takes its port while it is down.
  remotes = await Promise.all(
    Array.from(
      { length: workloads },
      async (_none, index) => await startScriptedRemote(undefined, `127.7.0.${index + 1}`),
    ),
  )
  const waiting = remotes.map(
    (remote, index) => async () => void (await world.ok('run', '--name', nameOf(index), remote.url)),
  )
  await inTurn(4, waiting)
})

afterAll(async () => {
  await Promise.all(peers.map(async (peer) => await peer.close().catch(() => undefined)))
  await world.close()
  await Promise.all(remotes.map(async (remote) => await remote.down()))
})

describe(`${workloads} remote workloads through half an hour of random outages`, () => {
  it(
    'are told the truth about, serve their old sessions afterwards, and neither die nor grow',
    { timeout: totalMs + 300_000 },
    async () => {
      const names = remotes.map((_remote, index) => nameOf(index))
      const listed = await world.list()
      const pids = names.map((name) => listed.find((workload) => workload.name === name)?.supervisor_pid ?? 0)
      peers = await Promise.all(
        names.map(async (name, index) => {
          const url = listed.find((workload) => workload.name === name)?.url ?? ''
          return await (index % 2 === 0 ? connectV1 : connectV2)(url)
        }),
      )
      for (const peer of peers) expect(await peer.text('echo', { text: 'before' })).toBe('before')
      const idle = isFull ? await cpuPerMinute(pids) : undefined

      const random = seeded(2026)
      const lengths = { totalMs, shortestMs: silentWithinMs * 0.2, longestMs: silentWithinMs * 2 }
      const scripts = remotes.map((remote) =>
        planOutages(remote, { random: seeded(Math.floor(random() * 2 ** 32)), ...lengths }),
      )
      const playing = Promise.all(scripts.map(async (script) => await script.play()))
      const watch = watchStatuses(names, scripts)
      let warm: Usage[] = []
      const warmed = delay(totalMs / 4).then(async () => (warm = await Promise.all(pids.map(usageOf))))
      await playing
      await warmed
      const { checked, lies } = await watch.end()

      expect(lies).toEqual([])
      expect(checked).toBeGreaterThan(workloads * 20)
      const outages = scripts.reduce((sum, { truths }) => sum + (truths.length - 1) / 2, 0)
      expect(outages).toBeGreaterThan(workloads)
      for (const name of names) {
        const { status, thv } = await eventually(`${name} runs`, upWithinMs * 2, async () => {
          const record = await world.status(name)
          return record.status === 'running' ? record : undefined
        })
        expect([status, thv]).toMatchObject(['running', { reason: 'serving' }])
      }
      for (const pid of pids) expect(await isAlive(pid)).toBe(true)
      for (const peer of peers) expect(await peer.text('echo', { text: 'after' })).toBe('after')
      const used = await Promise.all(pids.map(usageOf))
      const growth = used.map(({ rssMb }, index) => rssMb - (warm[index]?.rssMb ?? 0))
      const mean = (values: number[]): number =>
        Math.round((values.reduce((a, b) => a + b, 0) / values.length) * 10) / 10
      const figures = {
        outages,
        checked,
        'RSS when warm, MB each': mean(warm.map(({ rssMb }) => rssMb)),
        'RSS at the end, MB each': mean(used.map(({ rssMb }) => rssMb)),
        'PSS at the end, MB each': mean(used.map(({ pssMb }) => pssMb)),
        'largest growth, MB': mean([Math.max(...growth)]),
        ...(idle === undefined ? {} : { 'CPU of all while idle, ms per minute': idle }),
      }
      console.log(JSON.stringify(figures))
      expect(mean(growth)).toBeLessThan(growthMb)
    },
  )
})

interface Watch {
  end: () => Promise<{ checked: number; lies: string[] }>
}

/** Compares every record with the truth, again and again, wherever the truth has stood for long enough to be known. */
function watchStatuses(names: readonly string[], scripts: readonly OutageScript[]): Watch {
  const over = new AbortController()
  let checked = 0
  const lies: string[] = []
  const look = async (): Promise<void> => {
    while (!over.signal.aborted) {
      for (const [index, name] of names.entries()) {
        const beforeMs = performance.now()
        const record = await world.status(name)
        const truth = settledTruth(scripts[index]?.truths ?? [], beforeMs)
        if (truth === undefined || lies.length > 20) continue
        checked += 1
        const said = `${record.status} ${reasonIn(record)}`
        if (said !== `${truth.status} ${truth.reason}`) {
          const ageMs = Math.round(beforeMs - truth.fromMs)
          lies.push(`${name} was ${said}, and ${truth.status} ${truth.reason} since ${ageMs} ms`)
        }
      }
      await delay(100)
    }
  }
  const looking = look()
  return {
    end: async () => {
      over.abort()
      await looking
      return { checked, lies }
    },
  }
}

/** The truth at a moment, if it has been the same for so long that it must be on record. */
function settledTruth(truths: readonly Truth[], atMs: number): Truth | undefined {
  const now = truths.findLast(({ fromMs }) => fromMs <= atMs)
  if (now === undefined) return undefined
  const withinMs =
    now.status === 'running' ? upWithinMs : now.reason === 'remote-timeout' ? silentWithinMs : downWithinMs
  return atMs - now.fromMs > withinMs ? now : undefined
}

function reasonIn({ thv }: StoredStatus): string {
  return thv !== undefined && 'reason' in thv ? thv.reason : ''
}

async function cpuPerMinute(pids: readonly number[]): Promise<number> {
  const sum = async (): Promise<number> =>
    (await Promise.all(pids.map(usageOf))).reduce((total, { cpuMs }) => total + cpuMs, 0)
  const before = await sum()
  await delay(60_000)
  return (await sum()) - before
}

/** Runs all, a few at a time. */
async function inTurn(atOnce: number, work: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...work]
  const next = async (): Promise<void> => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) await job()
  }
  await Promise.all(Array.from({ length: atOnce }, next))
}
