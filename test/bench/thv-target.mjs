// thv as a target: the command line starts a detached supervisor, and that is the process under test. All its state
// lives in a private directory, through the XDG variables.

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  cleanEnvironment,
  createScratch,
  findFreePort,
  launch,
  removeScratch,
  runToEnd,
  stopGroup,
} from './processes.mjs'

const PROGRAM = fileURLToPath(new URL('../../apps/thv/bin/thv.mjs', import.meta.url))
const BUNDLE = fileURLToPath(new URL('../../apps/thv/dist/thv.js', import.meta.url))
const REMOVE_TIMEOUT_MS = 15_000
// A cold start downloads; what takes longer than this hangs.
const RUN_TIMEOUT_MS = 150_000
const DEFAULT_MODE = 'sessions, one supervised server'

export const isThvBuilt = () => existsSync(BUNDLE)

/** A private home for thv; `close()` ends what still runs in it and deletes it. */
export function createThvHome() {
  const directory = createScratch('thv')
  const dataHome = join(directory, 'data')
  const env = cleanEnvironment({
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_DATA_HOME: dataHome,
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: join(directory, 'cache'),
    // Cold must be cold for the npm that thv may call too.
    npm_config_cache: join(directory, 'npm-cache'),
    TOOLHIVE_SKIP_DESKTOP_CHECK: '1',
    // What is measured does not depend on an engine of this machine.
    THV_RUNTIME: 'process',
  })
  return { env, dataHome, close: () => removeScratch(directory) }
}

/** The argv of a thv command. */
export function thvCommand(...args) {
  return [process.execPath, PROGRAM, ...args]
}

/**
 * `home` keeps the cache between starts. `server` is an argv or, as a string, a reference such as `npx://name`.
 * `flags` are more of `thv run`; `workload` has to differ between those that run at the same time.
 */
export function thvTarget(home, { name = 'thv', mode = DEFAULT_MODE, flags = [], workload = 'bench' } = {}) {
  return {
    name,
    mode,
    async launch(server) {
      const port = await findFreePort()
      const what = typeof server === 'string' ? [server] : ['--', ...server]
      const command = launch(thvCommand('run', '--name', workload, '--proxy-port', String(port), ...flags, ...what), {
        env: home.env,
      })
      const timer = setTimeout(() => void stopGroup(command), RUN_TIMEOUT_MS)
      const ready = command.exited.then(async ({ code, stderr, exitedAt }) => {
        clearTimeout(timer)
        if (code !== 0) throw new Error(`'thv run' ended with code ${code}: ${stderr.trim().slice(-200)}`)
        return { pid: await readSupervisorPid(home, workload), commandMs: exitedAt - command.startedAt }
      })
      // A good end of the command is no failure: the supervisor lives on.
      const failed = ready.then(() => new Promise(() => {}))
      // Whoever does not wait for them must not be ended by them.
      ready.catch(() => {})
      failed.catch(() => {})
      return {
        url: `http://127.0.0.1:${port}/mcp`,
        startedAt: command.startedAt,
        ready,
        failed,
        async stop() {
          await stopGroup(command)
          await runToEnd(thvCommand('rm', workload), { env: home.env, timeoutMs: REMOVE_TIMEOUT_MS })
        },
      }
    },
  }
}

async function readSupervisorPid(home, workload) {
  const path = join(home.dataHome, 'toolhive', 'statuses', `${workload}.json`)
  const { process_id: pid } = JSON.parse(await readFile(path, 'utf8'))
  if (!Number.isInteger(pid) || pid <= 0) throw new Error('the status file names no supervisor')
  return pid
}
