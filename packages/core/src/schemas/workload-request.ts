import { z } from 'zod'
import { limits } from '../limits.ts'
import { permissionProfileSchema } from './permission-profile.ts'

const texts = z.array(z.string())
const textMap = z.record(z.string(), z.string())
const port = z.int().min(0).max(65_535)

const secretParameterSchema = z
  .strictObject({
    name: z.string().optional().describe('Name of the secret'),
    target: z.string().optional().describe('Environment variable that gets its value'),
  })
  .meta({ id: 'SecretParameter', description: 'A secret handed to a server' })

/** What clients are told about one tool. */
export const toolOverrideSchema = z
  .strictObject({
    name: z.string().optional().describe('Name that clients see'),
    description: z.string().optional().describe('Description that clients see'),
  })
  .meta({ id: 'ToolOverride', description: 'What clients are told about one tool; at least one of the two' })

const runtimeConfigSchema = z
  .strictObject({
    builder_image: z.string().optional().describe('Base image of the build'),
    additional_packages: texts.optional().describe('Further packages of the base system'),
    build_with: texts.optional().describe('Further Python packages'),
    runtime_env: textMap.optional().describe('Variables of the finished image'),
  })
  .meta({
    id: 'RuntimeConfig',
    description: 'How the image of a package is built; the package then runs in a container',
  })

const oidcSchema = z
  .strictObject({
    issuer: z.string().optional(),
    audience: z.string().optional(),
    jwks_url: z.string().optional(),
    introspection_url: z.string().optional(),
    client_id: z.string().optional(),
    client_secret: z.string().optional(),
    scopes: texts.optional(),
  })
  .meta({ id: 'OidcOptions', description: 'Who may call the proxy' })

const remoteOauthSchema = z
  .strictObject({
    issuer: z.string().optional(),
    authorize_url: z.string().optional(),
    token_url: z.string().optional(),
    client_id: z.string().optional(),
    client_secret: secretParameterSchema.optional(),
    bearer_token: secretParameterSchema.optional(),
    scopes: texts.optional(),
    use_pkce: z.boolean().optional(),
    oauth_params: textMap.optional(),
    callback_port: port.optional(),
    skip_browser: z.boolean().optional(),
    resource: z.string().optional(),
  })
  .meta({ id: 'RemoteOauthConfig', description: 'How to log in to a remote server' })

const headerSchema = z
  .strictObject({
    name: z.string().optional(),
    description: z.string().optional(),
    default: z.string().optional(),
    required: z.boolean().optional(),
    secret: z.boolean().optional(),
    choices: texts.optional(),
  })
  .meta({ id: 'RegistryHeader', description: 'A header that a remote server asks for' })

const headerForwardSchema = z
  .strictObject({
    add_plaintext_headers: textMap.optional(),
    add_headers_from_secret: textMap.optional(),
  })
  .meta({ id: 'HeaderForwardConfig', description: 'Headers added to every call to a remote server' })

/** What an edit may say: everything but the name and the registry entry. */
const settings = {
  image: z.string().optional().describe('Image, or package with its scheme: npx://, uvx://, go://'),
  url: z.string().optional().describe('Address of a remote server'),
  host: z.string().optional().describe('Address the proxy listens on; default 127.0.0.1'),
  cmd_arguments: texts.optional().describe('Arguments of the server'),
  target_port: port.optional().describe('Port of a server that speaks HTTP; 0 or absent for any free one'),
  proxy_port: port
    .optional()
    .describe('Port of the proxy; 0 or absent for any free one, or the present one in an edit'),
  env_vars: textMap.optional().describe('Environment variables of the server'),
  secrets: z.array(secretParameterSchema).optional().describe('Secrets handed to the server'),
  volumes: texts.optional().describe('host:container or host:container:ro, absolute paths'),
  transport: z
    .string()
    .optional()
    .describe('stdio (default), sse or streamable-http; of a remote server found out when absent'),
  proxy_mode: z.string().optional().describe('What clients of a stdio server speak: streamable-http (default) or sse'),
  authz_config: z.string().optional().describe('File with authorization rules'),
  oidc: oidcSchema.optional(),
  permission_profile: permissionProfileSchema.optional(),
  network_isolation: z.boolean().optional().describe("Whether only the profile's hosts can be reached; default true"),
  allow_docker_gateway: z.boolean().optional().describe('Whether an isolated container reaches this machine'),
  trust_proxy_headers: z.boolean().optional().describe('Whether X-Forwarded headers of a proxy in front are believed'),
  tools: texts.optional().describe('Tools that clients see, by the names they see; all without'),
  tools_override: z.record(z.string(), toolOverrideSchema).optional().describe("By the server's name of the tool"),
  group: z.string().optional().describe('Group of the workload; default: default'),
  oauth_config: remoteOauthSchema.optional(),
  headers: z.array(headerSchema).optional().describe('Headers that the registry names for a remote server'),
  header_forward: headerForwardSchema.optional(),
  runtime_config: runtimeConfigSchema.optional(),
}

/**
 * The body that creates a workload. A key that is not known is refused: a restriction must
 * not be lost to a slip of the pen.
 */
export const createWorkloadSchema = z
  .strictObject({
    name: z.string().describe('Name of the workload'),
    registry: z.string().optional().describe('Registry of the entry in server'),
    server: z.string().optional().describe('Entry of a registry'),
    ...settings,
  })
  .meta({ id: 'CreateWorkloadRequest', description: 'A workload as it is asked for' })

/** The body that replaces the whole configuration of a workload. */
export const updateWorkloadSchema = z
  .strictObject(settings)
  .meta({ id: 'UpdateWorkloadRequest', description: 'The whole new configuration of a workload; not a patch' })

/** What both create and edit answer. */
export const createdWorkloadSchema = z
  .object({ name: z.string(), port: z.int().describe('Port of the proxy') })
  .meta({ id: 'CreatedWorkload', description: 'What was created or changed' })

/** The body of a request about several workloads. */
export const bulkSchema = z
  .strictObject({
    names: texts.max(limits.bulkNames).optional().describe('Names of workloads'),
    group: z.string().optional().describe('Every workload of a group'),
  })
  .meta({ id: 'BulkRequest', description: 'Several workloads: by name or by group, exactly one of the two' })

export type CreateWorkloadRequest = z.infer<typeof createWorkloadSchema>
export type UpdateWorkloadRequest = z.infer<typeof updateWorkloadSchema>
export type BulkRequest = z.infer<typeof bulkSchema>
