import { z } from 'zod'

/** A group as it is saved; further lists of ToolHive are kept. */
export const groupSchema = z
  .object({
    name: z.string(),
    registered_clients: z.array(z.string()).describe('Clients that are given the workloads of the group'),
    skills: z.array(z.string()).exactOptional(),
    plugins: z.array(z.string()).exactOptional(),
  })
  .meta({ id: 'Group', description: 'A set of workloads' })

/** Several groups. */
export const groupListSchema = z
  .object({ groups: z.array(groupSchema) })
  .meta({ id: 'GroupList', description: 'Groups, sorted by name' })

/** The body that creates a group. */
export const createGroupSchema = z
  .strictObject({ name: z.string().describe('Lower-case letters, digits, _, - and single blanks') })
  .meta({ id: 'CreateGroupRequest', description: 'A group as it is asked for' })

/** What creating a group answers. */
export const createdGroupSchema = z
  .object({ name: z.string() })
  .meta({ id: 'CreatedGroup', description: 'The group that was created' })
