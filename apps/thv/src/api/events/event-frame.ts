/** What asks a client to wait so long before it comes back, in milliseconds. */
const retryMs = 1_000

/** One server-sent event. JSON has no line breaks, so one line of data is enough. */
export function eventFrame(event: { id?: string; event: string; data: unknown }): string {
  const id = event.id === undefined ? '' : `id: ${event.id}\n`
  return `${id}event: ${event.event}\ndata: ${JSON.stringify(event.data)}\n\n`
}

/** The first thing on a stream. */
export const retryFrame = `retry: ${retryMs}\n\n`

/** Nothing, for proxies on the way. */
export const keepAliveFrame = ': keep-alive\n\n'
