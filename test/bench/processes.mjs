// Everything the bench starts or writes is recorded here, so that it can be taken away again: at the end of a run, on
// Ctrl-C, and when time is up. Nothing that the bench did not start is ever signalled.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { listPidsByEnvironment } from './proc-stat.mjs'

const STOP_GRACE_MS = 3_000
const OUTPUT_LIMIT_CHARS = 64 * 1024

const groups = new Set()
const scratchDirectories = new Set()

/** Starts a program in a process group of its own. `exited` resolves `{ code, stderr }`; it never rejects. */
export function launch([command, ...args], { env = cleanEnvironment(), cwd, stdout = 'ignore' } = {}) {
  const startedAt = performance.now()
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', stdout, 'pipe'] })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name]?.setEncoding('utf8').on('data', (text) => {
      output[name] = (output[name] + text).slice(-OUTPUT_LIMIT_CHARS)
    })
  }
  if (child.pid !== undefined) groups.add(child.pid)
  const exited = new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: -1, stdout: '', stderr: error.message }))
    // `exit` and not `close`: a detached grandchild may hold the pipes open for as long as it lives.
    child.on('exit', (code, signal) => {
      const exitedAt = performance.now()
      // The id of a group without members may be given to a stranger, so it is forgotten at once.
      if (!signalGroup(child.pid, 0)) groups.delete(child.pid)
      setImmediate(() => resolve({ code: code ?? -1, signal, exitedAt, ...output }))
    })
  })
  return { pid: child.pid, startedAt, exited }
}

/** Runs a program to its end; past the deadline its group is killed and the answer has the code -1. */
export async function runToEnd(argv, { timeoutMs, ...options }) {
  const running = launch(argv, { stdout: 'pipe', ...options })
  const timer = setTimeout(() => signalGroup(running.pid, 'SIGKILL'), timeoutMs)
  const ended = await running.exited
  clearTimeout(timer)
  groups.delete(running.pid)
  return { ...ended, elapsedMs: ended.exitedAt - running.startedAt }
}

/** Asks a group to end, and ends it after a grace time. */
export async function stopGroup({ pid, exited }) {
  if (!groups.has(pid)) return
  signalGroup(pid, 'SIGTERM')
  await Promise.race([exited, delay(STOP_GRACE_MS, undefined, { ref: false })])
  // Also after a good end: a program may leave its children behind.
  if (groups.delete(pid)) signalGroup(pid, 'SIGKILL')
}

/** A private directory; what runs with its path in the environment belongs to it and ends with it. */
export function createScratch(label) {
  const directory = mkdtempSync(join(tmpdir(), `thv-bench-${label}-`))
  scratchDirectories.add(directory)
  return directory
}

export function removeScratch(directory) {
  for (const pid of listPidsByEnvironment(directory)) signal(pid, 'SIGKILL')
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  scratchDirectories.delete(directory)
}

/** Ends and removes everything, at once and without waiting: the last act before the process goes. */
export function cleanUpNow() {
  for (const pid of groups) signalGroup(pid, 'SIGKILL')
  groups.clear()
  for (const directory of scratchDirectories) {
    try {
      removeScratch(directory)
    } catch {
      // A file that cannot be removed must not keep the next directory alive.
    }
  }
}

/** The environment without what npm adds when the bench runs as one of its scripts: it would change inner npm runs. */
export function cleanEnvironment(extra = {}) {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^npm_/i.test(name) || /^npm_config_(registry|userconfig|https?_proxy)$/i.test(name),
  )
  return { ...Object.fromEntries(kept), ...extra }
}

export async function findFreePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function signalGroup(pid, name) {
  return pid !== undefined && signal(-pid, name)
}

function signal(pid, name) {
  try {
    return process.kill(pid, name)
  } catch {
    // It has already ended.
    return false
  }
}
