// Section "soak": steady mixed load for minutes, and whether the memory of the supervisors grows.

import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { waitForFirstAnswer } from './first-answer.mjs'
import { createScratch, removeScratch } from './processes.mjs'
import { readMemory } from './proc-stat.mjs'
import { runSoakClient } from './soak-client.mjs'
import { format, judgeGoal, renderTable } from './statistics.mjs'
import { ECHO_SERVER, HTTP_SERVER } from './targets.mjs'
import { createThvHome, thvTarget } from './thv-target.mjs'

const CLIENTS = 12
const SAMPLE_MS = 5_000
const START_TIMEOUT_MS = 30_000
const MINUTE_MS = 60_000
/** Caches fill and the compiler works in this part of the time, at least a minute and at most three. */
const WARM_UP_SHARE = 0.3
const GOAL_PERCENT = 5
const GOAL_MINUTES = 10

/** `settings`: `{ soakMinutes, log }`. */
export async function runSoakSection({ thv }, settings) {
  if (thv.reason !== undefined) throw new Error(thv.reason)
  const home = createThvHome()
  const heap = createScratch('heap')
  home.env.NODE_OPTIONS = `--import ${new URL('heap-reporter.mjs', import.meta.url).href}`
  home.env.THV_BENCH_HEAP = heap
  const runs = [
    { name: 'stdio bridge', server: ECHO_SERVER, options: { workload: 'soak-stdio' } },
    {
      name: 'transparent',
      server: HTTP_SERVER,
      options: { workload: 'soak-http', flags: ['--transport', 'streamable-http'] },
    },
  ]
  try {
    for (const run of runs) await start(run, home)
    await load(runs, heap, settings)
    return summarize(runs, settings)
  } finally {
    for (const { running } of runs) await running?.stop()
    home.close()
    removeScratch(heap)
  }
}

async function start(run, home) {
  run.running = await thvTarget(home, run.options).launch(run.server)
  await waitForFirstAnswer(run.running, { timeoutMs: START_TIMEOUT_MS })
  run.pid = (await run.running.ready).pid
  run.counts = { calls: 0, sessions: 0, failures: 0 }
  run.samples = []
}

async function load(runs, heap, { soakMinutes, log }) {
  const over = new AbortController()
  const clients = runs.flatMap(({ running, counts }) =>
    Array.from({ length: CLIENTS }, () => runSoakClient(running.url, counts, over.signal)),
  )
  const began = performance.now()
  while (performance.now() - began < soakMinutes * MINUTE_MS) {
    await delay(SAMPLE_MS)
    for (const run of runs) {
      const { rssMb } = readMemory(run.pid) ?? {}
      const heapMb = await readHeapMb(heap, run.pid)
      run.samples.push({ minute: (performance.now() - began) / MINUTE_MS, rssMb, heapMb })
    }
    const texts = runs.map(({ name, samples, counts }) => {
      const { rssMb, heapMb } = samples.at(-1)
      return `${name} ${format(rssMb)} MB, heap ${format(heapMb, 1)} MB, ${counts.calls} calls, ${counts.failures} failed`
    })
    log(`soak: ${format((performance.now() - began) / 1000)} s: ${texts.join('; ')}`)
  }
  over.abort()
  await Promise.all(clients)
}

async function readHeapMb(directory, pid) {
  try {
    const { heapUsed, external } = JSON.parse(await readFile(`${directory}/${pid}`, 'utf8'))
    return (heapUsed + external) / 1024 / 1024
  } catch {
    // The first report has not been written, or is being written now.
    return undefined
  }
}

function summarize(runs, { soakMinutes }) {
  const warmUp = Math.min(3, Math.max(1, soakMinutes * WARM_UP_SHARE))
  const rows = runs.map(({ name, samples, counts }) => {
    const settled = samples.filter(({ minute }) => minute >= warmUp)
    return { name, counts, rss: growth(settled, 'rssMb'), heap: growth(settled, 'heapMb'), samples }
  })
  const header = 'plane,calls,sessions,failed,RSS MB,RSS end,RSS % in 10 min,heap MB,heap end,heap % in 10 min'
  const table = renderTable(
    header.split(','),
    rows.map(({ name, counts, rss, heap }) => [
      name,
      String(counts.calls),
      String(counts.sessions),
      counts.failures === 0 ? '0' : `${counts.failures} (${counts.lastFailure})`,
      format(rss.fromMb),
      format(rss.toMb),
      format(rss.percent, 1),
      format(heap.fromMb, 1),
      format(heap.toMb, 1),
      format(heap.percent, 1),
    ]),
  )
  const goals = rows.flatMap(({ name, rss, heap }) =>
    [
      ['RSS', rss],
      ['heap', heap],
    ].map(([what, { percent }]) =>
      judgeGoal({
        goal: `${name}: ${what} grows <= ${GOAL_PERCENT} % in ${GOAL_MINUTES} minutes`,
        value: percent,
        text: `${format(percent, 1)} %`,
        isMet: (value) => value <= GOAL_PERCENT,
      }),
    ),
  )
  const notes = [
    `${soakMinutes} minute(s), ${CLIENTS} clients on each plane at once: sessions opened and closed, calls of 0.3, 10 and ` +
      '100 KB, streams, subscriptions, refused and unreadable requests, calls left in the middle. Figures are those of ' +
      `the line through all samples after ${format(warmUp, 1)} minute(s) of warm-up; growth is its slope over ` +
      `${GOAL_MINUTES} minutes, which a short run only guesses. Heap (with external memory) is read after a collection.`,
  ]
  return { title: 'Soak: memory under steady load', table, goals, notes, data: { rows } }
}

/** The line of least squares through the samples. */
function growth(samples, name) {
  const points = samples.filter((sample) => Number.isFinite(sample[name]))
  if (points.length < 3) return {}
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean(({ minute }) => minute), mean((point) => point[name])]
  const covariance = mean((point) => (point.minute - x) * (point[name] - y))
  const slope = covariance / mean(({ minute }) => (minute - x) ** 2)
  const at = (minute) => y + slope * (minute - x)
  const [fromMb, toMb] = [at(points[0].minute), at(points.at(-1).minute)]
  return { fromMb, toMb, percent: (slope * GOAL_MINUTES * 100) / fromMb }
}
