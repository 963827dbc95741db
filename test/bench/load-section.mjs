// Section "load": calls per second, latency, CPU and memory of every target in front of the same echo server.

import { setTimeout as delay } from 'node:timers/promises'
import { runDriver } from './driver.mjs'
import { waitForFirstAnswer } from './first-answer.mjs'
import { readMemory } from './proc-stat.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { ECHO_SERVER } from './targets.mjs'

const START_TIMEOUT_MS = 30_000
const SETTLE_MS = 1_000

/** `settings`: `{ rounds, connections, warmupMs, measureMs, log }`. The first target is the unit of the CPU ratio. */
export async function runLoadSection(targets, settings) {
  const results = targets.map((target) => ({ target, rounds: [], failure: target.reason }))
  // Rounds go around all targets, so that a noisy minute on a shared machine falls on everybody.
  for (let round = 1; round <= settings.rounds; round++) {
    for (const result of results) {
      if (result.failure !== undefined) continue
      settings.log(`load: round ${round} of ${settings.rounds}, ${result.target.name}`)
      try {
        result.rounds.push(await measureRound(result.target, settings))
      } catch (error) {
        result.failure = error.message
      }
    }
  }
  return summarize(results, settings)
}

async function measureRound(target, settings) {
  const running = await target.launch(ECHO_SERVER)
  try {
    await waitForFirstAnswer(running, { timeoutMs: START_TIMEOUT_MS })
    const { pid } = await running.ready
    await delay(SETTLE_MS)
    const idle = readMemory(pid)
    const runs = {}
    for (const connections of settings.connections) {
      const { warmupMs, measureMs } = settings
      const load = { url: running.url, pid, connections, 'warmup-ms': warmupMs, 'measure-ms': measureMs }
      runs[connections] = await runDriver(load)
    }
    return { idle, runs, loaded: readMemory(pid) }
  } finally {
    await running.stop()
  }
}

function summarize(results, settings) {
  const rows = settings.connections.flatMap((connections) => results.map((result) => toRow(result, connections)))
  for (const row of rows) {
    const unit = rows.find((other) => other.connections === row.connections)
    row.cpuRatio = row.cpuUsPerCall / unit.cpuUsPerCall
  }
  const header = 'program,mode,conns,calls/s,best,p50 ms,p99 ms,errors,CPU us/call,x bare,tree us/call'
  const memory = 'RSS idle,RSS after,PSS idle,PSS after'
  const table = renderTable([...header.split(','), ...memory.split(',')], rows.map(toCells))
  const goals = settings.connections.flatMap((connections) =>
    judge(rows.filter((row) => row.connections === connections)),
  )
  const notes = [
    `Each figure is the median of ${settings.rounds} interleaved round(s) of ${settings.measureMs} ms after ` +
      `${settings.warmupMs} ms of warm-up; "best" is the best round. Closed loop, one session per connection, every ` +
      'answer checked. CPU is that of the program under test; "tree" adds its children (thv: the supervised server). ' +
      'Memory in MB of the program under test alone, before any load and after all of it. The peers run ' +
      'in a quick form of theirs: supergateway with --stateful --logLevel none, mcp-proxy with --no-eventStore.',
  ]
  return {
    title: 'Load: tools/call echo over streamable HTTP',
    table,
    goals,
    notes,
    data: { rows, results: results.map(toData) },
  }
}

function toRow({ target, rounds, failure }, connections) {
  const runs = rounds.map((round) => round.runs[connections])
  const of = (name) => median(runs.map((run) => run[name]))
  const memory = (moment, name) => median(rounds.map((round) => round[moment]?.[name]))
  return {
    program: target.name,
    mode: runs.length > 0 && !runs[0].isSessionful ? target.mode.replace('sessions', 'NO sessions') : target.mode,
    connections,
    failure,
    callsPerSecond: of('callsPerSecond'),
    bestCallsPerSecond: runs.length === 0 ? undefined : Math.max(...runs.map((run) => run.callsPerSecond)),
    p50Ms: of('p50Ms'),
    p99Ms: of('p99Ms'),
    errors: runs.reduce((sum, run) => sum + run.errors, 0),
    errorSamples: runs.flatMap((run) => run.errorSamples).slice(0, 3),
    cpuUsPerCall: of('cpuUsPerCall'),
    treeCpuUsPerCall: of('treeCpuUsPerCall'),
    rssIdleMb: memory('idle', 'rssMb'),
    rssAfterMb: memory('loaded', 'rssMb'),
    pssIdleMb: memory('idle', 'pssMb'),
    pssAfterMb: memory('loaded', 'pssMb'),
  }
}

function toCells(row) {
  return [
    row.program,
    row.failure === undefined ? row.mode : `unavailable: ${row.failure.replaceAll(/[|\n]/g, ' ')}`,
    String(row.connections),
    format(row.callsPerSecond),
    format(row.bestCallsPerSecond),
    format(row.p50Ms, 2),
    format(row.p99Ms, 2),
    row.errors === 0 ? '0' : `${row.errors} (${row.errorSamples[0]})`,
    format(row.cpuUsPerCall),
    format(row.cpuRatio, 1),
    format(row.treeCpuUsPerCall),
    ...[row.rssIdleMb, row.rssAfterMb, row.pssIdleMb, row.pssAfterMb].map((value) => format(value)),
  ]
}

function judge(rows) {
  const thv = rows.find((row) => row.program === 'thv')
  const peers = rows.filter((row) => row !== thv && row !== rows[0])
  // With no figure from any peer both are infinite, and the ratio is "not measured".
  const bestRate = Math.max(...peers.map((row) => row.callsPerSecond ?? -Infinity))
  const bestP99 = Math.min(...peers.map((row) => row.p99Ms ?? Infinity))
  const rate = Number.isFinite(bestRate) ? thv?.callsPerSecond / bestRate : undefined
  const p99 = Number.isFinite(bestP99) ? thv?.p99Ms / bestP99 : undefined
  const at = `at ${rows[0].connections} connection(s)`
  return [
    judgeGoal({
      goal: `calls/s >= 1.5x the better peer ${at}`,
      value: rate,
      text: `${format(rate, 2)}x (${format(thv?.callsPerSecond)} to ${format(bestRate)})`,
      isMet: (value) => value >= 1.5,
    }),
    judgeGoal({
      goal: `p99 <= half of the better peer ${at}`,
      value: p99,
      text: `${format(p99, 2)}x (${format(thv?.p99Ms, 2)} ms to ${format(bestP99, 2)} ms)`,
      isMet: (value) => value <= 0.5,
    }),
  ]
}

function toData({ target, rounds, failure }) {
  return { program: target.name, failure, rounds }
}
