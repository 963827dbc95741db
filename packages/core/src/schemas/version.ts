import { z } from 'zod'

/** The version of the server. */
export const versionSchema = z
  .object({ version: z.string().describe('v1.2.3, or dev for a program that was never built') })
  .meta({ id: 'Version', description: 'The version of the server' })
