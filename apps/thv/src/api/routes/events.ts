import { assertGroupName, assertWorkloadName, ThvError } from '@thv/core'
import { z } from 'zod'
import { eventKinds, type EventKind } from '../events/event-filter.ts'
import { textParameter } from '../query.ts'
import { defineRoute, type ApiRoute } from '../route.ts'

/** Everything that changes, as server-sent events: an addition to ToolHive's API. */
export const eventRoutes: readonly ApiRoute[] = [
  defineRoute({
    method: 'GET',
    path: '/api/v1beta/events',
    tag: 'events',
    summary: 'Tells what changes, as server-sent events that begin with a snapshot',
    query: z.object({
      workload: textParameter('Only what is about this workload'),
      group: textParameter('Only what is about workloads of this group'),
      kind: textParameter(`Only events of these kinds, with commas between: ${eventKinds.join(', ')}`),
    }),
    headers: { 'Last-Event-ID': 'The last event that the client has; what it missed takes the place of the snapshot' },
    answers: { 200: { description: 'The events', schema: z.string(), contentType: 'text/event-stream' } },
    errors: [400, 503],
    handle: async (deps, { query: { workload, group, kind }, headers, signal, closing }) => {
      if (workload !== undefined) assertWorkloadName(workload)
      if (group !== undefined) assertGroupName(group)
      const wish = {
        filter: { workload, group, kinds: kind?.split(',').map(kindOf) },
        lastId: headers.get('last-event-id') ?? undefined,
      }
      return {
        status: 200,
        stream: await deps.events.open(wish, signal, closing),
        headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' },
      }
    },
  }),
]

function kindOf(text: string): EventKind {
  const kind = eventKinds.find((known) => known === text)
  if (kind !== undefined) return kind
  throw new ThvError('request-invalid', `there are no events of the kind '${text}'`, {
    hint: `choose of ${eventKinds.join(', ')}`,
  })
}
