import { z } from 'zod'
import { clientKinds } from '../domain/client.ts'

const clientName = z.enum(clientKinds).meta({ id: 'ClientName', description: 'A client that thv knows' })

/** Clients with the groups they are given. */
export const registeredClientsSchema = z
  .array(
    z
      .object({ name: clientName, groups: z.array(z.string()) })
      .meta({ id: 'RegisteredClient', description: 'A client, and the groups whose workloads it is given' }),
  )
  .meta({ id: 'RegisteredClientList', description: 'The registered clients' })

/** Every client, and what is true of it here. */
export const clientStatusesSchema = z
  .object({
    clients: z.array(
      z
        .object({
          client_type: clientName,
          installed: z.boolean(),
          registered: z.boolean(),
          supports_skills: z.boolean(),
          supports_plugins: z.boolean(),
        })
        .meta({ id: 'ClientStatus', description: 'A client, and what is true of it on this machine' }),
    ),
  })
  .meta({ id: 'ClientStatusList', description: 'Every client that thv knows' })

// Names are checked by hand, because tools match on what is said about a wrong one.
const name = z.string().describe('A client: see GET /api/v1beta/discovery/clients')
const groups = z.array(z.string()).exactOptional().describe('Default: the default group')

/** The body that registers one client. */
export const registerClientSchema = z
  .strictObject({ name, groups })
  .meta({ id: 'RegisterClientRequest', description: 'A client to register' })

/** The body that registers or unregisters several clients. */
export const clientSelectionSchema = z
  .strictObject({ names: z.array(name).min(1), groups })
  .meta({ id: 'ClientSelection', description: 'Clients to register or to unregister' })
