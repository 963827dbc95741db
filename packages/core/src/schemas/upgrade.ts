import { z } from 'zod'
import type { UpgradeCheck } from '../use-cases/check-upgrade.ts'

const checkSchema: z.ZodType<UpgradeCheck> = z
  .object({
    workload_name: z.string(),
    status: z.enum(['not-registry-sourced']),
    current_image: z.string().exactOptional(),
    reason: z.string().exactOptional(),
  })
  .meta({ id: 'UpgradeCheck', description: 'Whether a registry has something newer' })

/** The answer for one workload. */
export const upgradeCheckSchema = z
  .object({ result: checkSchema })
  .meta({ id: 'UpgradeCheckResponse', description: 'Whether a registry has something newer for a workload' })

/** The answer for several. */
export const upgradeChecksSchema = z
  .object({ results: z.array(checkSchema) })
  .meta({ id: 'UpgradeChecksResponse', description: 'Whether a registry has something newer for each workload' })

/** The body that asks for an upgrade. */
export const upgradeRequestSchema = z
  .strictObject({
    env: z.record(z.string(), z.string()).optional().describe('Variables that the new version needs'),
    secrets: z.array(z.string()).optional().describe('Secrets that the new version needs: NAME,target=VARIABLE'),
  })
  .meta({ id: 'UpgradeRequest', description: 'What the new version needs beyond the old one' })
