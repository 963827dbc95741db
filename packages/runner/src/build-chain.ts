import { parseSessionTtl, readChainSettings, type RunConfig } from '@thv/core'
import {
  checkLimits,
  createToolFilter,
  createUsageMetrics,
  ProxyMetrics,
  type Middleware,
  type ProxyConfig,
  type ProxyLimits,
} from '@thv/proxy'

/** The part of a proxy's config that follows from what a run config says about its chain. */
export type ChainConfig = Pick<ProxyConfig, 'middleware' | 'metrics' | 'allowedOrigins' | 'limits'>

/**
 * Builds the chain of one workload, outermost first. The order is ToolHive's
 * (spec/local 4.8); what it has around the chain, origin, body limit and recovery,
 * the proxy does itself. Limits of the run config win over `limits`, which come
 * from the environment. Throws ThvError `invalid-run-config`, ProxyError `limit-invalid`.
 */
export function buildChain(config: RunConfig, limits: Partial<ProxyLimits>): ChainConfig {
  const { tools, allowedOrigins, bodyBytes, hasMetrics } = readChainSettings(config)
  const sessionTtlMs = parseSessionTtl(config.session_ttl ?? '')
  const merged = {
    ...(bodyBytes === undefined ? {} : { bodyBytes }),
    ...limits,
    ...(sessionTtlMs === undefined ? {} : { sessionTtlMs }),
    ...checkLimits(config.thv?.limits ?? {}),
  }
  const metrics = hasMetrics ? new ProxyMetrics(merged) : undefined
  const middleware: Middleware[] = []
  if (tools !== undefined) middleware.push(createToolFilter(tools))
  // Inside the filter: it counts what is sent to the server, by the names that the server knows.
  if (metrics !== undefined) middleware.push(createUsageMetrics(metrics))
  return {
    middleware,
    limits: merged,
    ...(metrics === undefined ? {} : { metrics }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
  }
}
