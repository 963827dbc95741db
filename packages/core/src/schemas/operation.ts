import { z } from 'zod'
import { operationKinds, operationStates, type Operation } from '../domain/operation.ts'

/** One operation. */
export const operationSchema: z.ZodType<Operation> = z
  .object({
    id: z.string(),
    kind: z.enum(operationKinds),
    subjects: z.array(z.string()).describe('Names of the workloads that it is about'),
    state: z.enum(operationStates),
    started: z.string().describe('RFC 3339'),
    ended: z.string().exactOptional().describe('RFC 3339'),
    error: z
      .object({
        code: z.string().describe('A code that is never renamed'),
        message: z.string(),
        hint: z.string().exactOptional().describe('What to do'),
      })
      .exactOptional(),
    progress: z.array(z.string()).describe('The last lines that it told about itself'),
  })
  .meta({ id: 'Operation', description: 'Work that may go on behind its answer' })

/** Several operations. */
export const operationListSchema = z
  .object({ operations: z.array(operationSchema) })
  .meta({ id: 'OperationList', description: 'Operations that run or have ended lately, the oldest first' })
