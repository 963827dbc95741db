import { z } from 'zod'
import { isolations } from '../domain/confinement.ts'
import { proxyModes, transportTypes } from '../domain/transport-type.ts'
import type { Workload } from '../domain/workload.ts'
import { workloadStatuses, type WorkloadStatus } from '../domain/state-machine.ts'
import { isReasonCode, statusReasons, type ReasonCode } from '../domain/status-reason.ts'

/** A status. */
export const statusSchema: z.ZodType<WorkloadStatus> = z.enum(workloadStatuses)
const reasonCodes = Object.keys(statusReasons).filter(isReasonCode)
/** The code of a reason. */
export const reasonSchema: z.ZodType<ReasonCode> = z.enum(reasonCodes)

/** Something that went wrong. */
export const lastErrorSchema = z
  .object({ at: z.string().describe('RFC 3339'), reason: reasonSchema, message: z.string() })
  .meta({ id: 'WorkloadError', description: 'Something that went wrong, and when' })

/** What a remote server says about itself. */
export const serverCardSchema = z
  .object({
    name: z.string(),
    title: z.string().exactOptional(),
    version: z.string(),
    description: z.string(),
  })
  .meta({ id: 'ServerCard', description: 'What a remote server says about itself; unproven' })

/** A workload as lists show it. */
export const workloadSchema: z.ZodType<Workload> = z
  .object({
    name: z.string(),
    package: z.string().describe('Image or package, or the command of a local server'),
    url: z.string().describe('What clients connect to'),
    port: z.int().describe('Port of the proxy'),
    transport_type: z.enum(transportTypes).describe('How the server speaks MCP'),
    proxy_mode: z.enum(proxyModes).exactOptional().describe('What clients speak'),
    status: statusSchema,
    status_context: z.string().exactOptional().describe('Why it has this status'),
    reason: reasonSchema.describe('Why it has this status, as a stable code'),
    reason_message: z.string().describe('Why it has this status, as a sentence'),
    since: z.string().describe('When the status began; RFC 3339'),
    last_error: lastErrorSchema.exactOptional().describe('The last thing that went wrong'),
    remote: z.boolean().exactOptional().describe('Whether the server is at a URL, and not started here'),
    server_card: serverCardSchema.exactOptional().describe('What a remote server says about itself'),
    created_at: z.string().describe('RFC 3339'),
    started_at: z.string().describe('RFC 3339; the year 1 for never'),
    labels: z.record(z.string(), z.string()).exactOptional().describe('Labels that the user gave'),
    group: z.string().exactOptional(),
    isolation: z.enum(isolations).exactOptional().describe('How the server of the last start is kept apart'),
    supervisor_pid: z.int().exactOptional().describe('Process that supervises it; absent when none lives'),
    restarts: z.int().exactOptional().describe('Restarts since the last stable run'),
    last_stderr: z.array(z.string()).exactOptional().describe('Last lines of the server on stderr'),
  })
  .meta({ id: 'Workload', description: 'A workload and how it is now' })

/** Several workloads. */
export const workloadListSchema = z
  .object({ workloads: z.array(workloadSchema) })
  .meta({ id: 'WorkloadList', description: 'Workloads, sorted by name' })

/** The status of one workload. */
export const workloadStatusSchema = z
  .object({ status: statusSchema })
  .meta({ id: 'WorkloadStatus', description: 'The status of a workload' })
