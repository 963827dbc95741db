import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { eventually, type World } from './harness.ts'

/** A `thv serve` of a world. */
export interface ApiProcess {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string
  readonly process: ChildProcess
  /** What it has logged so far. */
  log(): string
  /** Sends a request below `/api/v1beta`, or to a path of its own; a body goes as JSON, a text as it is. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>
  /** Asks until the status of a workload is the one that is waited for. */
  reaches(name: string, status: string): Promise<void>
  /** Asks it to end, and resolves to its exit code. */
  end(): Promise<number | null>
}

/** An answer, read to its end. */
export interface ApiAnswer {
  status: number
  text: string
  headers: Headers
  /** The text as JSON; trusts the shape. */
  json<T>(): T
}

/** Starts `thv serve --port 0` and waits until it serves. */
export async function startApi(world: World, ...flags: string[]): Promise<ApiProcess> {
  const child = world.spawn(['serve', '--port', '0', ...flags])
  let log = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const ended = once(child, 'close')
  const origin = await eventually('the server listens', 20_000, async () => {
    if (child.exitCode !== null) throw new Error(`thv serve ended with ${child.exitCode}: ${log}`)
    return /"url":"(http:[^"]+)"/.exec(log)?.[1]
  })
  const call: ApiProcess['call'] = async (method, path, body, headers = {}) => {
    const url = path.startsWith('//') ? `${origin}${path.slice(1)}` : `${origin}/api/v1beta${path}`
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await fetch(url, { method, headers, ...(payload === undefined ? {} : { body: payload }) })
    const text = await answer.text()
    return { status: answer.status, text, headers: answer.headers, json: () => JSON.parse(text) }
  }
  return {
    origin,
    process: child,
    log: () => log,
    call,
    reaches: async (name, wanted) => {
      await eventually(`'${name}' is ${wanted}`, 60_000, async () => {
        const { text } = await call('GET', `/workloads/${name}/status`)
        return text === `{"status":"${wanted}"}\n` ? true : undefined
      })
    },
    end: async () => {
      child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
  }
}
