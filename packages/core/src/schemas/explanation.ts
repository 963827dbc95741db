import { z } from 'zod'
import type { Explanation } from '../use-cases/explain-workload.ts'
import { lastErrorSchema, reasonSchema, serverCardSchema, statusSchema } from './workload.ts'

const probeSchema = z
  .object({
    reason: reasonSchema,
    message: z.string(),
    since: z.string().describe('When the first of them ended; RFC 3339'),
    count: z.int().describe('How many; of the last run, how many there were when it began'),
  })
  .meta({ id: 'ProbeRun', description: 'Probes in a row that found the same' })

/** Why a workload is as it is. */
export const explanationSchema: z.ZodType<Explanation> = z
  .object({
    name: z.string(),
    status: statusSchema,
    reason: reasonSchema,
    reason_message: z.string(),
    since: z.string().describe('When the status began; RFC 3339'),
    causes: z
      .array(z.object({ at: z.string().exactOptional().describe('RFC 3339'), message: z.string() }))
      .describe('What is seen first, then what led to it'),
    probes: z.array(probeSchema).describe('What probes of its server found, oldest first'),
    supervisor_pid: z.int().exactOptional().describe('Process that supervises it; absent when none lives'),
    last_error: lastErrorSchema.exactOptional(),
    server_card: serverCardSchema.exactOptional(),
    last_stderr: z.array(z.string()).exactOptional().describe('Last lines of the server on stderr'),
    todo: z.string().describe('What can be done; empty when nothing needs to be'),
  })
  .meta({ id: 'WorkloadExplanation', description: 'Why a workload is as it is, and what to do' })
