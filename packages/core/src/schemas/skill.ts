import { z } from 'zod'

const none = z.array(z.object({}))

/** What is installed of skills and plugins. */
export const installedSchemas = {
  skills: z.object({ skills: none }).meta({ id: 'SkillList', description: 'Installed skills' }),
  plugins: z.object({ plugins: none }).meta({ id: 'PluginList', description: 'Installed plugins' }),
} as const

/** What was built on this machine. */
export const localBuildsSchema = z.object({ builds: none }).meta({ id: 'LocalBuilds', description: 'Local builds' })
