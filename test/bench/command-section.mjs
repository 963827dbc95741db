// Section "command": what a read-only command costs above the start of an empty Node.

import { runToEnd } from './processes.mjs'
import { format, judgeGoal, median, renderTable } from './statistics.mjs'
import { ECHO_SERVER } from './targets.mjs'
import { createThvHome, thvCommand, thvTarget } from './thv-target.mjs'

const COMMAND_TIMEOUT_MS = 10_000
const GOAL_MS = 40

/** `settings`: `{ commandRuns, log }`. `thv list` is run beside one running workload, as in real use. */
export async function runCommandSection({ thv }, settings) {
  const home = createThvHome()
  const rows = [
    { command: 'node -e 0', argv: [process.execPath, '-e', '0'] },
    { command: 'thv version', argv: thvCommand('version'), failure: thv.reason },
    { command: 'thv list', argv: thvCommand('list'), failure: thv.reason },
  ]
  for (const row of rows) row.timesMs = []
  const notes = []
  try {
    const workload = thv.reason === undefined ? await startWorkload(home, notes) : undefined
    settings.log(`command: ${settings.commandRuns} interleaved runs`)
    for (let run = 0; run < settings.commandRuns; run++) {
      for (const row of rows) await measure(row, home)
    }
    await workload?.stop()
  } finally {
    home.close()
  }
  return summarize(rows, notes)
}

async function startWorkload(home, notes) {
  const running = await thvTarget(home).launch(ECHO_SERVER)
  try {
    await running.ready
  } catch (error) {
    notes.push(`The workload to list could not be started, the list is empty: ${error.message}`)
  }
  return running
}

async function measure(row, home) {
  if (row.failure !== undefined) return
  const ended = await runToEnd(row.argv, { env: home.env, timeoutMs: COMMAND_TIMEOUT_MS })
  if (ended.code === 0) row.timesMs.push(ended.elapsedMs)
  else row.failure = `ended with code ${ended.code}: ${ended.stderr.trim().slice(0, 120)}`
}

function summarize(rows, notes) {
  const empty = median(rows[0].timesMs)
  const figures = rows.map(({ command, timesMs, failure }) => {
    const medianMs = median(timesMs)
    return {
      command,
      failure,
      runs: timesMs.length,
      medianMs,
      minMs: median([Math.min(...timesMs)]),
      overMs: medianMs - empty,
    }
  })
  const table = renderTable(
    ['command', 'runs', 'median ms', 'best ms', 'over empty node ms'],
    figures.map((row) => [
      row.failure === undefined ? row.command : `${row.command}: unavailable: ${row.failure.replaceAll(/[|\n]/g, ' ')}`,
      String(row.runs),
      format(row.medianMs),
      format(row.minMs),
      format(row.overMs),
    ]),
  )
  const goals = figures.slice(1).map((row) =>
    judgeGoal({
      goal: `'${row.command}' <= ${GOAL_MS} ms over empty node`,
      value: row.overMs,
      text: `${format(row.overMs)} ms`,
      isMet: (value) => value <= GOAL_MS,
    }),
  )
  return { title: 'Read-only commands', table, goals, notes, data: { rows: figures } }
}
