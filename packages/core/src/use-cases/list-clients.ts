import { clientKinds, isClientKind, type ClientKind } from '../domain/client.ts'
import type { GroupStore } from '../ports/state-store.ts'
import { listGroups } from './manage-groups.ts'

/** A client with the groups whose workloads it is given. */
export interface RegisteredClient {
  name: ClientKind
  groups: string[]
}

/** The clients that the group files name, in the order of {@link clientKinds}; names nobody knows are left out. */
export async function listRegisteredClients(deps: { groups: GroupStore }): Promise<RegisteredClient[]> {
  const groupsOf = new Map<ClientKind, string[]>()
  for (const { name: group, registered_clients: clients } of await listGroups(deps)) {
    for (const client of new Set(clients.filter(isClientKind))) {
      groupsOf.set(client, [...(groupsOf.get(client) ?? []), group])
    }
  }
  return clientKinds.flatMap((name) => {
    const groups = groupsOf.get(name)
    return groups === undefined ? [] : [{ name, groups }]
  })
}
