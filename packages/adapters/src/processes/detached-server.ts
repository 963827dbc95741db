import { open } from 'node:fs/promises'
import { parse } from 'node:path'
import { messageOf, ThvError, type LaunchedServer, type ServerLauncher, type ServerTarget } from '@thv/core'
import { waitAtMost } from '../wait-at-most.ts'
import { processLimits } from './process-limits.ts'
import { spawnDetached, type DetachedProcess } from './spawn-detached.ts'

/** How API servers are started. */
export interface DetachedServerOptions {
  /** What runs thv, for example `[process.execPath, '/…/thv.js']`. */
  command: readonly [executable: string, ...args: string[]]
  /** Environment of the server: the caller's own. */
  environment: Readonly<Record<string, string | undefined>>
  /** Where its output goes; the directory exists. */
  logPath: string
}

/** Starts `thv serve` so that it outlives the calling command, in the root directory: it keeps no other one busy. */
export function createDetachedServerLauncher(options: DetachedServerOptions): ServerLauncher {
  const { command, environment, logPath } = options
  return {
    async launch(target) {
      const [executable, ...leading] = command
      const directory = parse(process.cwd()).root
      try {
        const spawned = await spawnDetached([executable, ...leading, 'serve', ...flagsOf(target)], {
          environment,
          logPath,
          directory,
        })
        return asLaunched(spawned, logPath)
      } catch (error) {
        throw new ThvError('api-server-start-failed', `the API server cannot be started: ${messageOf(error)}`, {
          hint: 'check free disk space and the permissions of the log directory',
          cause: error,
        })
      }
    },
  }
}

function asLaunched({ child, ended, logOffset }: DetachedProcess, logPath: string): LaunchedServer {
  const gone = new Promise<void>((resolve) => {
    if (ended.aborted) resolve()
    ended.addEventListener('abort', () => resolve(), { once: true })
  })
  return {
    pid: child.pid ?? 0,
    ended,
    words: async () => await readWords(logPath, logOffset),
    end: async () => {
      child.kill('SIGTERM')
      if (await waitAtMost(gone, processLimits.serverEndMs)) return
      child.kill('SIGKILL')
      await gone
    },
    release: () => child.unref(),
  }
}

function flagsOf({ host, port, socket, withDocument }: ServerTarget): string[] {
  return [
    ...(host === undefined ? [] : ['--host', host]),
    ...(port === undefined ? [] : ['--port', String(port)]),
    ...(socket === undefined ? [] : ['--socket', socket]),
    ...(withDocument ? ['--openapi'] : []),
  ]
}

async function readWords(path: string, from: number): Promise<string[]> {
  try {
    const log = await open(path, 'r')
    try {
      const { size } = await log.stat()
      const start = Math.max(from, size - processLimits.serverWordsBytes)
      const length = Math.max(0, size - start)
      const { buffer, bytesRead } = await log.read(Buffer.alloc(length), 0, length, start)
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n')
      return lines.filter((line) => line !== '').slice(-processLimits.serverWordsLines)
    } finally {
      await log.close()
    }
  } catch {
    return ['its log cannot be read']
  }
}
