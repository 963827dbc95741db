import { clientUrl, effectiveProxyMode, type RunConfig } from '@thv/core'

/** The one line that says where a workload answers; `npm start` and scripts wait for it. */
export function servingLine(config: RunConfig): string {
  const mode = effectiveProxyMode(config.transport, config.proxy_mode)
  return `${config.name} is serving at ${clientUrl(config.name, config.host, config.port, mode)}`
}
