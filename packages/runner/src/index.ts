export { runnerLimits } from './limits.ts'
export { supervise } from './supervise.ts'
export type { Log, SuperviseDeps, SuperviseResult } from './supervision.ts'
