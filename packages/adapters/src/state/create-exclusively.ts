import { constants } from 'node:fs'
import { copyFile, link } from 'node:fs/promises'
import { systemCodeOf } from '@thv/core'
import { discard, writeTemporary } from './temporary-file.ts'

// What file systems without hard links answer (FAT, some network and FUSE mounts).
const noLinks = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV']

/**
 * Creates a file with its whole content at once, or resolves to false when
 * something of that name exists (a dangling link included). Of concurrent callers,
 * in any process, exactly one gets true.
 *
 * The content is written to a temporary file that is then linked into place, so
 * nobody ever sees an empty or partial file, even if the writer is killed. Without
 * hard links it is an exclusive copy, which can be seen half-written for an instant.
 */
export async function createExclusively(
  path: string,
  content: string | Uint8Array,
  durable: boolean,
): Promise<boolean> {
  const temporary = await writeTemporary(path, content, durable)
  try {
    await link(temporary, path).catch(async (error: unknown) => {
      if (!noLinks.includes(systemCodeOf(error) ?? '')) throw error
      await copyFile(temporary, path, constants.COPYFILE_EXCL)
    })
    return true
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false
    throw error
  } finally {
    await discard(temporary)
  }
}
