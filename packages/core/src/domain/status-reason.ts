import type { StatusEvent, WorkloadStatus } from './state-machine.ts'

/** What a reason code means: where it may stand, what it says, and what a user can do. */
interface ReasonText {
  readonly statuses: readonly WorkloadStatus[]
  readonly says: string
  readonly todo: string
}

const comesBack = 'nothing needs to be started again: the remote server is asked on, and the first answer ends this'

/** Every reason a status can have. Codes are stable: scripts match on them. */
export const statusReasons = {
  launching: { statuses: ['starting'], says: 'it is being started', todo: 'wait a moment' },
  restarting: {
    statuses: ['starting'],
    says: 'its server ended and is started again',
    todo: "see 'thv logs NAME' for its last words",
  },
  serving: { statuses: ['running'], says: 'its server answers', todo: '' },
  'server-hung': {
    statuses: ['unhealthy'],
    says: 'its server runs and answers nothing',
    todo: "nothing: it is restarted by itself; see 'thv logs NAME' for its last words",
  },
  'server-busy': {
    statuses: ['unhealthy'],
    says: 'its server answers nothing since it has calls to work on',
    todo: 'wait: it may be busy; it is restarted by itself when it stays silent for minutes',
  },
  'server-refuses': {
    statuses: ['unhealthy'],
    says: 'its server runs and takes nothing',
    todo: "nothing: it is restarted by itself; see 'thv logs NAME' for its last words",
  },
  'server-error': {
    statuses: ['unhealthy'],
    says: 'its server answers with an error of its own (HTTP 5xx)',
    todo: "nothing: it is restarted by itself; see 'thv logs NAME' for its last words",
  },
  failed: {
    statuses: ['error'],
    says: 'it could not be kept running',
    todo: "see 'thv logs NAME', then 'thv start NAME'",
  },
  'start-interrupted': {
    statuses: ['error'],
    says: 'the start was interrupted: its process is gone',
    todo: "run 'thv start NAME'",
  },
  'stop-interrupted': {
    statuses: ['error'],
    says: "the stop was interrupted, and the container may still run; run 'thv stop' again",
    todo: "run 'thv stop NAME'",
  },
  'removal-interrupted': {
    statuses: ['error'],
    says: "the removal was interrupted; run 'thv rm' again",
    todo: "run 'thv rm NAME'",
  },
  'stop-asked': { statuses: ['stopping'], says: 'it is being stopped', todo: 'wait a moment' },
  stopped: { statuses: ['stopped'], says: 'it was stopped', todo: "run 'thv start NAME'" },
  'removal-asked': { statuses: ['removing'], says: 'it is being removed', todo: 'wait a moment' },
  'supervisor-gone': {
    statuses: ['unhealthy'],
    says: 'the process that ran it is gone',
    todo: "run 'thv start NAME'; the log of the process is 'thv logs NAME --proxy'",
  },
  'reported-unhealthy': {
    statuses: ['unhealthy'],
    says: 'another program has written that it is unhealthy',
    todo: "see 'thv logs NAME --proxy'; 'thv restart NAME' starts it anew",
  },
  'status-unreadable': {
    statuses: ['unknown'],
    says: 'nothing readable says how it is',
    todo: "look again in a moment; 'thv restart NAME' writes it anew",
  },
  'policy-stopped': { statuses: ['policy_stopped'], says: 'a policy stopped it', todo: 'ask whoever sets the policy' },
  'token-refresh-delayed': {
    statuses: ['auth_retrying'],
    says: 'its token cannot be renewed for now',
    todo: "wait: the renewal is tried again for a day; 'thv login NAME' ends the wait",
  },
  'login-needed': {
    statuses: ['unauthenticated'],
    says: 'it needs a login',
    todo: "run 'thv login NAME'; it is taken up by itself",
  },
  'scope-missing': {
    statuses: ['unauthenticated'],
    says: 'the login lacks a scope that the remote server asks for (HTTP 403)',
    todo: "run 'thv login NAME', which asks for it",
  },
  'remote-refused': {
    statuses: ['unhealthy'],
    says: 'the remote server refuses connections',
    todo: `see whether it runs and listens on that port; ${comesBack}`,
  },
  'remote-dns': {
    statuses: ['unhealthy'],
    says: 'the name of the remote server cannot be resolved',
    todo: `check the name and the network; ${comesBack}`,
  },
  'remote-tls': {
    statuses: ['unhealthy'],
    says: 'the remote server cannot prove who it is, or speaks no TLS',
    todo: `run it again with --thv-ca-bundle if its certificate is from an authority of your own; ${comesBack}`,
  },
  'remote-timeout': {
    statuses: ['unhealthy'],
    says: 'the remote server does not answer in time',
    todo: `see whether it is overloaded or asleep; ${comesBack}`,
  },
  'remote-cut': { statuses: ['unhealthy'], says: 'the remote server cuts connections', todo: comesBack },
  'remote-no-route': {
    statuses: ['unhealthy'],
    says: 'no way leads to the remote server',
    todo: `check the network of this machine; ${comesBack}`,
  },
  'remote-server-error': {
    statuses: ['unhealthy'],
    says: 'the remote server answers with an error of its own (HTTP 5xx)',
    todo: `tell whoever runs it; ${comesBack}`,
  },
  'remote-rate-limited': {
    statuses: ['unhealthy'],
    says: 'the remote server wants fewer requests (HTTP 429)',
    todo: `wait: it is asked again when it allows it; ${comesBack}`,
  },
  'remote-redirects': {
    statuses: ['unhealthy'],
    says: 'the remote server redirects elsewhere, or in a circle',
    todo: 'run it again with the URL that it redirects to; nothing is sent to another origin by itself',
  },
  'remote-not-mcp': {
    statuses: ['unhealthy'],
    says: 'what answers at the URL is no MCP server',
    todo: `check the path of the URL; ${comesBack}`,
  },
  'remote-unreachable': {
    statuses: ['unhealthy'],
    says: 'the remote server cannot be reached',
    todo: comesBack,
  },
  'remote-unauthorized': {
    statuses: ['unauthenticated'],
    says: 'the remote server wants a login (HTTP 401)',
    todo: 'give it a token: --remote-auth-bearer-token-file FILE; a new token in that file is taken up by itself',
  },
  'remote-forbidden': {
    statuses: ['unauthenticated'],
    says: 'the remote server knows the caller and forbids the access (HTTP 403)',
    todo: 'use a token that is allowed to use this server',
  },
  'token-unreadable': {
    statuses: ['unauthenticated'],
    says: 'the token for the remote server cannot be read',
    todo: 'mend what holds it; it is read again by itself',
  },
} as const satisfies Record<string, ReasonText>

/** One of {@link statusReasons}. */
export type ReasonCode = keyof typeof statusReasons

/** Whether a value read from outside is a reason. */
export function isReasonCode(value: unknown): value is ReasonCode {
  return typeof value === 'string' && Object.hasOwn(statusReasons, value)
}

/** Whether a reason may stand with a status. */
export function isReasonOf(reason: ReasonCode, status: WorkloadStatus): boolean {
  const { statuses }: ReasonText = statusReasons[reason]
  return statuses.includes(status)
}

/** The reason of a status that an event led to, unless more is known. */
export function reasonOfEvent(event: StatusEvent, from: WorkloadStatus, to: WorkloadStatus): ReasonCode {
  if (event === 'exit') return 'restarting'
  if (event === 'orphaned' && to === 'error') return from === 'removing' ? 'removal-interrupted' : 'start-interrupted'
  if (event === 'orphaned' && to === 'unhealthy') return 'supervisor-gone'
  return reasonOfStatus[to]
}

/** The reason of a status of which nothing is known: another program wrote it. */
export const reasonOfStatus: Readonly<Record<WorkloadStatus, ReasonCode>> = {
  running: 'serving',
  stopped: 'stopped',
  error: 'failed',
  starting: 'launching',
  stopping: 'stop-asked',
  unhealthy: 'reported-unhealthy',
  removing: 'removal-asked',
  unknown: 'status-unreadable',
  unauthenticated: 'remote-unauthorized',
  auth_retrying: 'token-refresh-delayed',
  policy_stopped: 'policy-stopped',
}
