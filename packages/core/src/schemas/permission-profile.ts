import { z } from 'zod'
import type { PermissionProfile } from '../domain/permission-profile.ts'

const hosts = z.array(z.string())

const outboundSchema = z
  .strictObject({
    insecure_allow_all: z
      .boolean()
      .exactOptional()
      .describe('Every host and port outside this machine and its network'),
    allow_host: hosts.exactOptional().describe('Names, addresses, or .example.com for a domain and all below'),
    allow_port: z.array(z.int()).exactOptional().describe('Ports that may be reached'),
  })
  .meta({ id: 'OutboundPermissions', description: 'Where a server may connect to' })

const inboundSchema = z
  .strictObject({ allow_host: hosts.exactOptional().describe('Hosts that may connect') })
  .meta({ id: 'InboundPermissions', description: 'Who may connect to a server' })

const networkSchema = z
  .strictObject({
    mode: z.string().exactOptional().describe('bridge (default), none, host, or the name of a container network'),
    outbound: outboundSchema.exactOptional(),
    inbound: inboundSchema.exactOptional(),
  })
  .meta({ id: 'NetworkPermissions', description: 'The network of a server' })

/** What a server may do; its rules beyond the shape are those of `parsePermissionProfile`. */
export const permissionProfileSchema: z.ZodType<PermissionProfile> = z
  .strictObject({
    name: z.string().exactOptional().describe('Name of the profile'),
    read: z.array(z.string()).exactOptional().describe('Mounts that can be read'),
    write: z.array(z.string()).exactOptional().describe('Mounts that can be read and written'),
    network: networkSchema.exactOptional(),
    privileged: z.boolean().exactOptional().describe('A container that may do everything'),
  })
  .meta({ id: 'PermissionProfile', description: 'What a server may do' })
