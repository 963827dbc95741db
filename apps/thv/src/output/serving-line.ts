import { clientUrlOf, effectiveProxyMode, type RunConfig } from '@thv/core'

/** The one line that says where a workload answers; `npm start` and scripts wait for it. */
export function servingLine(config: RunConfig): string {
  return `${config.name} is serving at ${clientUrlOf(config, effectiveProxyMode(config.transport, config.proxy_mode))}`
}
