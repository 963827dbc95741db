/** What an operation may do. */
export const operationKinds = ['create', 'edit', 'login', 'logout', 'stop', 'restart', 'delete'] as const
export type OperationKind = (typeof operationKinds)[number]

/** Where an operation may stand. */
export const operationStates = ['running', 'succeeded', 'failed'] as const

/** One piece of work that may go on behind its answer. */
export interface Operation {
  readonly id: string
  readonly kind: OperationKind
  /** Names of workloads, or of something else that the kind is about. */
  readonly subjects: readonly string[]
  readonly state: (typeof operationStates)[number]
  /** RFC 3339. */
  readonly started: string
  readonly ended?: string
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string }
  /** The last lines that it told about itself. */
  readonly progress: readonly string[]
}
