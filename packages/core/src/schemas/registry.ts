import { z } from 'zod'

const registryInfo = {
  name: z.string(),
  version: z.string(),
  last_updated: z.string().describe('RFC 3339; empty for one that was never fetched'),
  server_count: z.int(),
  type: z.enum(['file', 'url', 'api', 'default']),
  source: z.string().describe('URL or path; empty for the built-in one'),
  auth_status: z.string().describe('none, configured or authenticated'),
  auth_type: z.string().describe('Empty or oauth'),
}

/** What is known of every registry. */
export const registryListSchema = z
  .object({ registries: z.array(z.object(registryInfo).meta({ id: 'RegistryInfo', description: 'One registry' })) })
  .meta({ id: 'RegistryList', description: 'Every registry; always one, default' })

/** One registry with what is in it. */
export const registrySchema = z
  .object({
    ...registryInfo,
    registry: z.object({
      version: z.string(),
      last_updated: z.string(),
      servers: z.record(z.string(), z.object({})),
      remote_servers: z.record(z.string(), z.object({})),
      groups: z.array(z.object({})),
    }),
  })
  .meta({ id: 'Registry', description: 'A registry with its servers' })

/** The servers of a registry. */
export const registryServersSchema = z
  .object({ servers: z.array(z.object({})), remote_servers: z.array(z.object({})).exactOptional() })
  .meta({ id: 'RegistryServers', description: 'The servers of a registry' })

/** How the registry endpoints of version 0.1 tell of an error. */
export const registryErrorSchema = z
  .object({ code: z.string(), message: z.string() })
  .meta({ id: 'RegistryError', description: 'An error of a registry' })

const metadata = z
  .object({ total: z.int(), page: z.int(), limit: z.int() })
  .meta({ id: 'RegistryPage', description: 'Which part of a list this is' })

/** A page of servers, skills or plugins. */
export const registryPageSchemas = {
  servers: z
    .object({ servers: z.array(z.object({})), metadata })
    .meta({ id: 'ServersPage', description: 'A page of servers' }),
  skills: z
    .object({ skills: z.array(z.object({})), metadata })
    .meta({ id: 'SkillsPage', description: 'A page of skills' }),
  plugins: z
    .object({ plugins: z.array(z.object({})), metadata })
    .meta({ id: 'PluginsPage', description: 'A page of plugins' }),
} as const
