/**
 * `npm start`: prepares the clone and runs a real MCP server behind thv until Ctrl-C.
 * Leaves nothing behind: state lives in a temporary directory, package caches in node_modules/.cache.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { run } from './commands.mjs'
import { isAlive } from './directory-lock.mjs'
import { prepare } from './prepare.mjs'
import { root } from './repository.mjs'

const workload = 'everything'
const server = 'npx://@modelcontextprotocol/server-everything'
const stopMs = 15_000
const proofMs = 60_000
const directoryPrefix = 'thv-start-'
const isWindows = process.platform === 'win32'
const thv = join(root, 'apps', 'thv', 'bin', 'thv.mjs')

async function main() {
  try {
    const port = parsePort(process.argv.slice(2))
    await prepare()
    return await demonstrate(port)
  } catch (error) {
    console.error(error.message)
    return 1
  }
}

function parsePort(args) {
  const { values } = parseArgs({ args, options: { port: { type: 'string' } } })
  const { port } = values
  if (port === undefined) return undefined
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new Error(`--port must be 0 to 65535, not "${port}"`)
  return port
}

async function demonstrate(port) {
  removeAbandoned()
  // The pid in the name lets a later start remove the directory of one that was killed.
  const directory = mkdtempSync(join(tmpdir(), `${directoryPrefix}${process.pid}-`))
  try {
    const env = environment(directory)
    const demo = startServer(env, port)
    const url = await Promise.race([demo.ready, demo.ended.then(() => undefined)])
    if (url !== undefined) {
      printConnections(url)
      await prove(url, env, demo)
    }
    return await demo.ended
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

function environment(directory) {
  const caches = join(root, 'node_modules', '.cache')
  return {
    ...process.env,
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_DATA_HOME: join(directory, 'data'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: join(caches, 'thv'),
    // thv installs the server's package with npm, whose own cache would be in the home directory.
    npm_config_cache: join(caches, 'npm'),
    TOOLHIVE_SKIP_DESKTOP_CHECK: '1',
    // With a container engine this would build an image, and leave it behind.
    THV_RUNTIME: 'process',
  }
}

/** Starts thv; `ended` resolves to our exit code, `stop` may be called any number of times. */
function startServer(env, port) {
  const options = ['--foreground', '--name', workload, ...(port === undefined ? [] : ['--proxy-port', port])]
  const child = spawn(process.execPath, ['--', thv, 'run', ...options, server, '--', 'stdio'], {
    env,
    // The channel is a life line: thv stops when it closes, so even SIGKILL of this process leaves no server.
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    // Its own process group: a Ctrl-C of the terminal reaches this process only, and is forwarded exactly once.
    detached: !isWindows,
    windowsHide: true,
  })
  const stopping = new AbortController()
  let promisedCode
  const stop = (signal, code) => {
    if (stopping.signal.aborted) return
    promisedCode = code
    stopping.abort()
    // Windows knows no polite signal; there the closed channel is the request.
    if (isWindows) child.disconnect()
    else child.kill(signal)
    setTimeout(() => {
      console.error(`thv did not stop within ${stopMs / 1000} s and was killed`)
      promisedCode = 1
      killGroup(child)
    }, stopMs).unref()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal, 0))
  // Nobody reads any more, as in `npm start | head`.
  process.stdout.on('error', () => stop('SIGTERM', 0))
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      const bySignal = signal ? 128 + constants.signals[signal] : code
      const isOurs = stopping.signal.aborted && (signal !== null || code === 0 || code > 128)
      resolve(isOurs ? promisedCode : bySignal)
    })
  })
  return { ready: readyUrl(child), ended, stop, stopping: stopping.signal }
}

function killGroup(child) {
  try {
    process.kill(isWindows ? child.pid : -child.pid, 'SIGKILL')
  } catch {
    // It ended in the same moment.
  }
}

/** The contract with `thv run --foreground`: one line on stdout when clients can connect. Other lines pass through. */
function readyUrl(child) {
  return new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const ready = /^\S+ is serving at (\S+)$/.exec(line)
      if (ready) resolve(ready[1])
      else console.log(line)
    })
  })
}

function printConnections(url) {
  const json = (value) => JSON.stringify(value)
  console.log(`
${workload} is serving at ${url}

connect a client:
  Claude Code    claude mcp add --transport http ${workload} ${url}
  VS Code        .vscode/mcp.json   ${json({ servers: { [workload]: { type: 'http', url } } })}
  Cursor         .cursor/mcp.json   ${json({ mcpServers: { [workload]: { url } } })}
  MCP Inspector  npx @modelcontextprotocol/inspector --cli ${url} --transport http --method tools/list
`)
}

/** Calls a tool through the proxy as a client would; a demo that can not answer is a failure, not a decoration. */
async function prove(url, env, { stop, stopping }) {
  const args = ['mcp', 'call', 'echo', '--server', url, '--args', JSON.stringify({ message: 'hello from thv' })]
  const command = { file: process.execPath, args: ['--', thv, ...args], shell: false }
  const result = await run(command, { env, signal: stopping, timeout: proofMs }).catch((error) => {
    if (!stopping.aborted) throw error
  })
  if (result === undefined || stopping.aborted) return
  if (result.code === 0) {
    console.log(`a call of the tool "echo" answered:\n${result.output.trim().replace(/^/gm, '  ')}\n`)
    console.log('press Ctrl-C to stop')
    return
  }
  console.error(`a call of the tool "echo" failed with exit code ${result.code}:\n${result.output.trim()}`)
  stop('SIGTERM', 1)
}

/** Directories of starts that were killed; anything that is not ours to remove stays. */
function removeAbandoned() {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(directoryPrefix) ? Number.parseInt(name.slice(directoryPrefix.length), 10) : Number.NaN
    if (Number.isNaN(pid) || isAlive(pid)) continue
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    } catch {
      // Another user's.
    }
  }
}

process.exitCode = await main()
