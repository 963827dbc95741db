/** What an event may be about. */
export const eventKinds = ['workload', 'operation', 'health'] as const
export type EventKind = (typeof eventKinds)[number]

/** What an event is about, as far as a filter asks for it. */
export interface EventScope {
  readonly kind: EventKind
  readonly workloads: readonly string[]
  /** Before and after the change: whoever watches a group also sees what leaves it. */
  readonly groups: readonly string[]
}

/** Which events a client wants; what is left out is no restriction. */
export interface EventFilter {
  readonly workload?: string | undefined
  readonly group?: string | undefined
  readonly kinds?: readonly EventKind[] | undefined
}

/** Whether a client wants an event. The health of the server concerns every workload. */
export function isWantedEvent({ workload, group, kinds }: EventFilter, scope: EventScope): boolean {
  if (kinds !== undefined && !kinds.includes(scope.kind)) return false
  if (scope.kind === 'health') return true
  if (workload !== undefined && !scope.workloads.includes(workload)) return false
  return group === undefined || scope.groups.includes(group)
}
