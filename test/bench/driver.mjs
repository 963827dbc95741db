// The load driver as a process of its own, so that what it costs falls on nobody else.

import { fileURLToPath } from 'node:url'
import { runToEnd } from './processes.mjs'

const DRIVER = fileURLToPath(new URL('load.mjs', import.meta.url))
const DRIVER_GRACE_MS = 30_000

/** Runs one load and resolves its figures. `load`: flags of `load.mjs`, of which `warmup-ms` and `measure-ms` must be there. */
export async function runDriver(load) {
  const flags = Object.entries(load).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  )
  const timeoutMs = load['warmup-ms'] + load['measure-ms'] + DRIVER_GRACE_MS
  const ended = await runToEnd([process.execPath, DRIVER, ...flags], { timeoutMs })
  if (ended.code !== 0) throw new Error(`the load driver failed: ${errorLine(ended.stderr)}`)
  return JSON.parse(ended.stdout)
}

function errorLine(stderr) {
  const lines = stderr.trim().split('\n')
  return (lines.find((line) => /Error:/.test(line)) ?? lines.at(-1)).trim().slice(0, 200)
}
