import { asShared, messageOf, type WatchWorkloadsDeps } from '@thv/core'
import { buildInfo } from '../build-info.ts'
import type { CommandContext } from '../command.ts'
import { addRunDefaults } from '../run-defaults.ts'
import { createNonce, openAnnouncement, type Announcement } from '../server-announcement.ts'
import { slogLine } from '../slog-line.ts'
import type { ApiDeps } from './api-deps.ts'
import { apiLimits } from './api-limits.ts'
import type { ApiLog } from './api-log.ts'
import { EventHub } from './events/event-hub.ts'
import type { ListenTarget } from './listener.ts'
import { Operations } from './operations.ts'
import { buildOpenApi } from './openapi.ts'
import { apiRoutes, documentedRoutes } from './routes.ts'
import { createApiServer } from './server.ts'

/** Serves the API until the signal aborts; then ends within its grace. */
export async function serveApi(
  context: CommandContext,
  options: { targets: readonly ListenTarget[]; withDocument: boolean },
): Promise<void> {
  const { signal } = context
  const log = createLog(context.debug)
  const deps = buildDeps(context, log)
  let announcement: Announcement | undefined
  const server = createApiServer({
    targets: options.targets,
    routes: options.withDocument ? documentedRoutes : apiRoutes,
    deps,
    beforeServing: async ([url]) => {
      if (url === undefined) return
      const warn = (message: string): void => log('warn', message)
      announcement = await openAnnouncement(context.container, { url, nonce: deps.nonce, warn }, signal)
    },
  })
  signal.throwIfAborted()
  const urls = await server.start()
  for (const url of urls) log('info', `listening on ${url}`, { url })
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
  log('info', 'the server is ending')
  await server.close()
  await announcement?.withdraw(AbortSignal.timeout(apiLimits.withdrawMs)).catch((error: unknown) => {
    log('warn', `the record of this server stays: ${messageOf(error)}`)
  })
}

function createLog(debug: boolean): ApiLog {
  return (level, message, fields) => {
    if (level !== 'debug' || debug) process.stderr.write(slogLine(level, message, fields))
  }
}

function buildDeps({ container }: CommandContext, log: ApiLog): ApiDeps {
  const nonce = createNonce()
  const operations = new Operations(log)
  // A package runs as a process, and processes there are always.
  const findTrouble = async (): Promise<undefined> => undefined
  const watching = async (): Promise<WatchWorkloadsDeps> => ({
    ...(await container.reading()),
    statusWatch: await container.statusWatch(),
  })
  return {
    version: buildInfo.version === 'dev' ? 'dev' : `v${buildInfo.version}`,
    nonce,
    operations,
    events: new EventHub({ run: nonce.slice(0, 8), operations, watching, findTrouble, log }),
    document: () => buildOpenApi(documentedRoutes),
    log,
    findTrouble,
    reading: container.reading,
    login: container.login,
    logs: container.logs,
    secrets: container.secrets,
    addDefaults: async (request, signal) =>
      await addRunDefaults(container, { request, note: (line) => log('warn', line) }, signal),
    workloads: async () => {
      const all = asShared(await container.workloads())
      const planConfinement = await container.confinementPlanner({
        warn: (message) => log('warn', message),
        note: (message) => log('info', message),
      })
      return { ...all, planConfinement }
    },
  }
}
