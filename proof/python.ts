/** The PyZMQ on this machine, if there is one. */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const python = ["/usr/bin/python3", "/usr/local/bin/python3"].find(existsSync) ?? "python3"

export const script = (name: string): string => fileURLToPath(new URL(`./python/${name}`, import.meta.url))

let known: string | undefined | null = null

/** "PyZMQ 27.1.0, libzmq 4.3.5, Python 3.12.3", or `undefined`. */
export const pyzmqVersion = (): string | undefined => {
  if (known !== null) return known
  try {
    const print =
      "import zmq, platform; print(f'PyZMQ {zmq.__version__}, libzmq {zmq.zmq_version()}, Python {platform.python_version()}')"
    known = execFileSync(python, ["-c", print], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    known = undefined
  }
  return known
}

export const needsPyzmq = (): string | undefined =>
  pyzmqVersion() === undefined ? `${python} has no module zmq: install PyZMQ (python3-zmq) to run this row` : undefined
