import { z } from 'zod'
import { limits } from '../limits.ts'

/** The body that begins a login. */
export const loginRequestSchema = z
  .strictObject({
    scopes: z
      .array(z.string())
      .optional()
      .describe('Scopes to ask for; default those that there were, and what calls have needed'),
    callback_port: z.int().min(0).max(65_535).optional().describe('Where the browser comes back to; default 8666'),
    timeout_seconds: z
      .int()
      .min(1)
      .max(limits.maxLoginMs / 1000)
      .optional()
      .describe('Time for a person; default 300'),
  })
  .meta({ id: 'LoginRequest', description: 'A login at a remote server' })

/** A login that waits for a person. */
export const begunLoginSchema = z
  .object({ authorization_url: z.string().describe('To be opened in a browser on the machine of the server') })
  .meta({ id: 'BegunLogin', description: 'A login that waits for a person' })

/** What a logout has led to. */
export const loggedOutSchema = z
  .object({
    was_logged_in: z.boolean(),
    others: z.array(z.string()).describe('Workloads that shared the login, and lost it too'),
    problem: z.string().exactOptional().describe('Why the authorization server could not be told'),
  })
  .meta({ id: 'LoggedOut', description: 'A login that was forgotten' })
