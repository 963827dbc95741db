import { z } from 'zod'
import { proxyModes, transportTypes } from '../domain/transport-type.ts'
import { permissionProfileSchema } from './permission-profile.ts'
import { toolOverrideSchema } from './workload-request.ts'

const texts = z.array(z.string())
const textMap = z.record(z.string(), z.string())

/** A saved configuration as it is exported. Keys of ToolHive that thv does not know are kept and exported too. */
export const runConfigSchema = z
  .looseObject({
    schema_version: z.string(),
    image: z.string().describe('Image or package; empty for a local command'),
    name: z.string(),
    base_name: z.string().exactOptional(),
    container_name: z.string().exactOptional(),
    cmd_args: texts.exactOptional().describe('Arguments of the server'),
    transport: z.enum(transportTypes),
    host: z.string().describe('Address of the proxy'),
    port: z.int().describe('Port of the proxy'),
    target_port: z.int().exactOptional(),
    target_host: z.string().exactOptional(),
    allowed_origins: texts.exactOptional(),
    trust_proxy_headers: z.boolean().exactOptional(),
    endpoint_prefix: z.string().exactOptional(),
    stateless: z.boolean().exactOptional(),
    session_ttl: z.string().exactOptional(),
    strict_protocol_validation: z.boolean().exactOptional(),
    permission_profile: permissionProfileSchema.nullable(),
    permission_profile_name_or_path: z.string().exactOptional(),
    volumes: texts.exactOptional(),
    isolate_network: z.boolean().exactOptional(),
    env_vars: textMap.exactOptional(),
    debug: z.boolean().exactOptional(),
    container_labels: textMap.exactOptional(),
    proxy_mode: z.enum(proxyModes).exactOptional(),
    group: z.string().exactOptional(),
    tools_filter: texts.exactOptional(),
    tools_override: z.record(z.string(), toolOverrideSchema).exactOptional(),
  })
  .meta({ id: 'RunConfig', description: 'A saved configuration' })
