import type { ApiRoute } from './route.ts'
import { clientRoutes } from './routes/clients.ts'
import { documentRoutes } from './routes/document.ts'
import { eventRoutes } from './routes/events.ts'
import { groupRoutes } from './routes/groups.ts'
import { healthRoutes } from './routes/health.ts'
import { operationRoutes } from './routes/operations.ts'
import { registryPageRoutes } from './routes/registry-pages.ts'
import { registryRoutes } from './routes/registry.ts'
import { secretRoutes } from './routes/secrets.ts'
import { skillRoutes } from './routes/skills.ts'
import { versionRoutes } from './routes/version.ts'
import { workloadActionRoutes } from './routes/workload-actions.ts'
import { workloadExplainRoutes } from './routes/workload-explain.ts'
import { workloadLoginRoutes } from './routes/workload-login.ts'
import { workloadLogRoutes } from './routes/workload-logs.ts'
import { workloadRoutes } from './routes/workloads.ts'

/** Every operation of the API. One line for each resource. */
export const apiRoutes: readonly ApiRoute[] = [
  ...healthRoutes,
  ...versionRoutes,
  ...workloadRoutes,
  ...workloadActionRoutes,
  ...workloadExplainRoutes,
  ...workloadLoginRoutes,
  ...workloadLogRoutes,
  ...groupRoutes,
  ...operationRoutes,
  ...eventRoutes,
  ...clientRoutes,
  ...registryRoutes,
  ...registryPageRoutes,
  ...secretRoutes,
  ...skillRoutes,
]

/** What the document tells of: also the document. */
export const documentedRoutes: readonly ApiRoute[] = [...apiRoutes, ...documentRoutes]
