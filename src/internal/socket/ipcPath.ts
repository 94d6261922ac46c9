/** The files of sockets. */
import { statSync } from "node:fs"
import { dirname } from "node:path"

/** How long their paths may be, in bytes: `sun_path`, less the NUL at its end. */
export const longestPath = process.platform === "darwin" || process.platform.endsWith("bsd") ? 103 : 107

export const statusOf = (path: string) => {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

/** Where the file of a socket is. For "*" libzmq makes a folder in one of these. */
export const folderOf = (path: string): string => {
  if (path !== "*") return dirname(path)
  const { TMPDIR, TEMPDIR, TMP } = process.env
  return [TMPDIR, TEMPDIR, TMP].find((folder) => folder && statusOf(folder)?.isDirectory()) ?? process.cwd()
}
