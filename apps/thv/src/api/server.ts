import { setMaxListeners } from 'node:events'
import { ThvError } from '@thv/core'
import { createApiApp, type ApiAppOptions } from './app.ts'
import { apiLimits } from './api-limits.ts'
import { createListener, type ListenTarget, type BoundListener } from './listener.ts'
import { within } from './within.ts'

/** What a server is made of. */
export interface ApiServerOptions extends Omit<ApiAppOptions, 'closing' | 'ending'> {
  /** At least one. */
  targets: readonly ListenTarget[]
  /**
   * Called once every target is bound, and before any request but `/health` is answered; what it
   * throws ends the start. It gets the URLs by which the targets can be reached.
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
  const closed = new AbortController()
  const ending = new AbortController()
  // Every request under way listens to them.
  setMaxListeners(0, closed.signal, ending.signal)
  const app = createApiApp({ ...options, closing: closed.signal, ending: ending.signal })
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
      const open = async (target: ListenTarget): Promise<BoundListener> => {
        const listener = await createListener(target, async (request, refusal) => {
          if (!isHealthRequest(request)) await serving
          return await app.fetch(request, { refusal })
        })
        listeners.push(listener)
        if (closing !== undefined) throw new ThvError('cancelled', 'the server was closed while it was starting')
        return listener
      }
      for (const target of options.targets) {
        const { url, port } = await open(target)
        // Nobody on this machine would follow a URL of another interface, so loopback is opened beside it.
        if (url === undefined && port !== undefined) await open({ host: '127.0.0.1', port })
      }
      const urls = listeners.flatMap(({ url }) => url ?? [])
      await options.beforeServing?.(urls)
      serve()
      return urls
    } catch (error) {
      await Promise.all(listeners.map(async (listener) => await listener.close(0)))
      throw error
    }
  }

  async function end(): Promise<void> {
    closed.abort(ended())
    const all = Promise.all(listeners.map(async (listener) => await listener.close(graceMs + abortMs)))
    await Promise.all([within(all, graceMs), operations.close(graceMs, abortMs)])
    ending.abort(ended())
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

/** A record left on this very port leads back here while the start still judges it: no answer would look like a hung server. */
function isHealthRequest(request: Request): boolean {
  return new URL(request.url).pathname === '/health'
}

function ended(): ThvError {
  return new ThvError('server-busy', 'the server is ending', { hint: 'start it again' })
}
