import { setMaxListeners } from 'node:events'
import type { Server } from 'node:http'
import { ThvError } from '@thv/core'
import { createApiApp, type ApiAppOptions } from './app.ts'
import { apiLimits } from './api-limits.ts'
import { createListener, type ListenTarget, type BoundListener } from './listener.ts'

/** What a server is made of. */
export interface ApiServerOptions extends Omit<ApiAppOptions, 'ending'> {
  /** At least one. */
  targets: readonly ListenTarget[]
  /**
   * Called once every target is bound, and before any request is answered; what it throws
   * ends the start. It gets the URLs by which the targets can be reached.
   */
  beforeServing?: (urls: readonly string[]) => Promise<void>
  /** Times that {@link ApiServer.close} gives what is under way, and then what was aborted; default `apiLimits`. */
  closeMs?: { grace: number; abort: number }
}

/** A server that listens, or is about to. */
export interface ApiServer {
  /** Binds, asks `beforeServing`, and serves. Resolves to the URLs. `address-in-use`, `port-not-permitted`, `host-invalid`. */
  start(): Promise<readonly string[]>
  /** Stops accepting, waits for what is under way, then cuts it. Idempotent. */
  close(): Promise<void>
}

/** A server of the API. Opens nothing. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  const ending = new AbortController()
  // Every request under way waits for it.
  setMaxListeners(0, ending.signal)
  const app = createApiApp({ ...options, ending: ending.signal })
  const listeners: BoundListener[] = []
  const { operations } = options.deps
  const { grace: graceMs, abort: abortMs } = options.closeMs ?? { grace: apiLimits.graceMs, abort: apiLimits.abortMs }
  let closing: Promise<void> | undefined

  async function start(): Promise<readonly string[]> {
    let serve = (): void => {}
    const serving = new Promise<void>((resolve) => {
      serve = resolve
    })
    try {
      for (const target of options.targets) {
        listeners.push(
          await createListener(target, async (request, refusal) => {
            await serving
            return await app.fetch(request, { refusal })
          }),
        )
        if (closing !== undefined) throw new ThvError('cancelled', 'the server was closed while it was starting')
      }
      const urls = listeners.map(({ url }) => url)
      await options.beforeServing?.(urls)
      serve()
      return urls
    } catch (error) {
      for (const { server } of listeners) server.closeAllConnections()
      await Promise.all(listeners.map(async ({ server }) => await ended(server)))
      throw error
    }
  }

  async function end(): Promise<void> {
    const all = Promise.all(listeners.map(async ({ server }) => await ended(server)))
    await Promise.all([within(all, graceMs), operations.close(graceMs, abortMs)])
    ending.abort(new ThvError('server-busy', 'the server is ending', { hint: 'start it again' }))
    await within(all, abortMs)
    for (const { server } of listeners) server.closeAllConnections()
    await all
  }

  return {
    start,
    close: async () => {
      closing ??= end()
      await closing
    },
  }
}

async function ended(server: Server): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
  })
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
