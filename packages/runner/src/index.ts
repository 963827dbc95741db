export { runnerLimits } from './limits.ts'
export { supervise, type Log, type SuperviseDeps, type SuperviseResult } from './supervise.ts'
