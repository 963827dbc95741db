// The programs under comparison. A target's `launch(server)` starts it in front of a stdio server (an argv) and returns
// at once: `{ url, startedAt, ready, failed, stop }`. `ready` resolves `{ pid }`, the process under test; `failed`
// rejects when the program ends before it was stopped.

import { fileURLToPath } from 'node:url'
import { PACKAGES } from './packages.mjs'
import { findFreePort, launch, stopGroup } from './processes.mjs'

const BARE_SERVER = fileURLToPath(new URL('bare-server.mjs', import.meta.url))
const BARE_FORWARDER = fileURLToPath(new URL('bare-forwarder.mjs', import.meta.url))
const LOOPBACK_ONLY = new URL('loopback-only.mjs', import.meta.url).href

export const ECHO_SERVER = [process.execPath, fileURLToPath(new URL('echo-server.mjs', import.meta.url))]

/** The bare server as a command that finds its port in the environment, as thv starts servers. */
export const HTTP_SERVER = [process.execPath, BARE_SERVER]

/** The least that can stand in front of the bare server: undici, and nothing of a proxy's duties. */
export function forwarderTarget() {
  const name = 'bare undici forwarder'
  const mode = 'bytes streamed, nothing looked at'
  return {
    name,
    mode,
    async launch() {
      const backend = await bareTarget().launch()
      const toArguments = (port) => [BARE_FORWARDER, String(port), new URL(backend.url).origin]
      const running = await processTarget(name, mode, toArguments).launch()
      return { ...running, stop: () => Promise.all([running.stop(), backend.stop()]) }
    },
  }
}

/** The echo tool without a proxy; it ignores the server it is given. */
export function bareTarget() {
  return processTarget('bare node:http', 'no proxy, no child', (port) => [BARE_SERVER, String(port)])
}

/** `--logLevel none` spares it one formatted line per message: the quickest way it can be run. */
export function supergatewayTarget(program) {
  const { name, version } = PACKAGES.supergateway
  return processTarget(`${name} ${version}`, 'sessions, one server per session, SSE answers', (port, server) => [
    '--import',
    LOOPBACK_ONLY,
    program,
    // Two words: from '--stdio=<value>' its option parser would take the outer quotes away.
    '--stdio',
    server.map(quote).join(' '),
    '--outputTransport=streamableHttp',
    '--stateful',
    `--port=${port}`,
    '--logLevel=none',
  ])
}

/** Without its event store, which keeps every answer for replay: the quickest way it can be run with sessions. */
export function mcpProxyTarget(program) {
  const { name, version } = PACKAGES['mcp-proxy']
  return processTarget(`${name} ${version}`, 'sessions, one shared server, SSE answers', (port, server) => [
    program,
    '--host=127.0.0.1',
    `--port=${port}`,
    '--server=stream',
    '--no-eventStore',
    '--',
    ...server,
  ])
}

/** A stand-in that says why a program has no figures, so that its rows are there all the same. */
export function missingTarget(name, reason) {
  return { name, mode: '', reason }
}

function processTarget(name, mode, toArguments) {
  return {
    name,
    mode,
    async launch(server) {
      const port = await findFreePort()
      const running = launch([process.execPath, ...toArguments(port, server)])
      let isStopping = false
      const failed = running.exited.then(({ code, stderr }) => {
        if (isStopping) return new Promise(() => {})
        throw new Error(`ended with code ${code}: ${stderr.trim().slice(-200)}`)
      })
      failed.catch(() => {})
      return {
        url: `http://127.0.0.1:${port}/mcp`,
        startedAt: running.startedAt,
        ready: Promise.resolve({ pid: running.pid }),
        failed,
        async stop() {
          isStopping = true
          await stopGroup(running)
        },
      }
    },
  }
}

function quote(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}
