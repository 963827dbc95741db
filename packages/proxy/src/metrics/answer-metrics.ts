import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendText } from '../respond.ts'

/** Answers `/metrics` with the text; with 404 and what to do when there is none. */
export function answerMetrics(req: IncomingMessage, res: ServerResponse, text: string | undefined): void {
  if (text === undefined) return sendText(res, 404, offText)
  if (req.method !== 'GET') return sendText(res, 405, 'Method not allowed\n', { Allow: 'GET' })
  const headers = { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8', 'Cache-Control': 'no-store' }
  sendText(res, 200, text, headers)
}

const offText =
  'The metrics of this workload are off. Run it with --otel-enable-prometheus-metrics-path to have them here.\n'
