export { runnerLimits } from './limits.ts'
export type { Log } from './log.ts'
export { supervise } from './supervise.ts'
export type { SuperviseDeps, SuperviseResult } from './supervision.ts'
