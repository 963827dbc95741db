import { getWorkload, readLogs, type LogKind } from '@thv/core'
import { z } from 'zod'
import type { ApiDeps } from '../api-deps.ts'
import { followLog } from '../follow-log.ts'
import { flagParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

/** What a workload has written: spec/local 5.3. To follow it is an addition. */
export const workloadLogRoutes: readonly ApiRoute[] = [
  logRoute('logs', 'server', 'Shows the last lines that the server of a workload has written'),
  logRoute('proxy-logs', 'proxy', 'Shows the last lines that the proxy of a workload has written'),
]

function logRoute(segment: string, which: LogKind, summary: string): ApiRoute {
  return defineRoute({
    method: 'GET',
    path: `/api/v1beta/workloads/{name}/${segment}`,
    tag: 'workloads',
    summary,
    query: z.object({
      follow: flagParameter(
        'Whether to send the whole log and what is added, until the workload is removed; default false',
      ),
    }),
    answers: { 200: { description: 'The lines', schema: z.string(), contentType: 'text/plain' } },
    errors: [400, 404],
    handle: async (deps, { params: { name = '' }, query: { follow = false }, closing }) => {
      if (follow) return { status: 200, stream: await open(deps, name, { which, closing }), headers }
      const logs = await deps.logs()
      return { status: 200, text: await readLogs({ ...(await deps.reading()), logs }, name, which) }
    },
  })
}

const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' }

async function open(
  deps: ApiDeps,
  name: string,
  { which, closing }: { which: LogKind; closing: AbortSignal },
): Promise<ReadableStream<Uint8Array>> {
  const reading = await deps.reading()
  const logs = await deps.logs()
  await getWorkload(reading, name)
  const path = which === 'proxy' ? logs.proxyLog(name) : logs.serverLog(name)
  return followLog({ deps: reading, name, path, log: deps.log }, closing)
}
