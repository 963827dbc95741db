import type { IncomingMessage, ServerResponse } from 'node:http'
import { buildLimits, type ProxyLimits } from '../limits.ts'
import { refusalOf } from '../refusals.ts'
import { LabelledCounter } from './labelled-counter.ts'
import { Histogram } from './histogram.ts'
import { MetricsText } from './metrics-text.ts'

/** Numbers of the moment that the proxy is asked for when somebody reads the metrics. */
export interface Gauges {
  readonly sessions: number
  readonly inFlight: number
  readonly streams: number
  readonly heldBytes: number
  /** Servers that were attached after the first one. */
  readonly serverRestarts: number
  readonly isAttached: boolean
}

/**
 * What one proxy counts, in memory and for `/metrics` only: nothing is sent
 * anywhere, and nothing is stored.
 */
export class ProxyMetrics {
  readonly #requests: LabelledCounter
  readonly #refused: LabelledCounter
  readonly #tools: LabelledCounter
  readonly #posts = new Histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])

  constructor(overrides: Partial<ProxyLimits> = {}) {
    const { metricSeries: series, metricTools, metricLabelLength: valueLength } = buildLimits(overrides)
    this.#requests = new LabelledCounter(['method', 'status'], { series, valueLength })
    this.#refused = new LabelledCounter(['reason'], { series, valueLength })
    this.#tools = new LabelledCounter(['tool'], { series: metricTools, valueLength })
  }

  /** Counts one request when it is over. */
  observe(req: IncomingMessage, res: ServerResponse): void {
    const beganMs = performance.now()
    const { method = '' } = req
    res.once('close', () => {
      // A client that left before its answer began was answered nothing, which log files know as 499.
      const status = res.headersSent ? `${Math.floor(res.statusCode / 100)}xx` : '499'
      this.#requests.add([knownMethods.has(method) ? method : 'other', status])
      const reason = refusalOf(res)
      if (reason !== undefined) this.#refused.add([reason])
      // A GET is an event stream, whose length says nothing.
      if (method === 'POST') this.#posts.observe((performance.now() - beganMs) / 1000)
    })
  }

  /** Counts one call of a tool. */
  countToolCall(tool: string): void {
    this.#tools.add([tool])
  }

  /** Everything in the Prometheus text format; `workload` becomes a label of each sample. */
  render(workload: string, gauges: Gauges): string {
    const text = new MetricsText({ workload })
    text.counter('thv_http_requests_total', 'HTTP requests by method and class of status.', this.#requests)
    text.counter('thv_http_refused_total', 'HTTP requests that the proxy refused, by reason.', this.#refused)
    text.counter('thv_tool_calls_total', 'Calls sent towards the server, by its name of the tool.', this.#tools)
    text.histogram('thv_http_post_duration_seconds', 'Time from the head of a POST to its last byte.', this.#posts)
    text.gauge('thv_in_flight', 'Calls without an answer.', gauges.inFlight)
    text.gauge('thv_sessions', 'Client sessions.', gauges.sessions)
    text.gauge('thv_streams', 'Open event streams.', gauges.streams)
    text.gauge('thv_held_bytes', 'Bytes kept for peers that are slow or away.', gauges.heldBytes)
    text.gauge('thv_server_attached', '1 while a server is ready, 0 otherwise.', gauges.isAttached ? 1 : 0)
    text.total('thv_server_restarts_total', 'Servers attached after the first.', gauges.serverRestarts)
    return text.toString()
  }
}

const knownMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
