/** Listens at an endpoint of tcp or ipc. */
import { renameSync, rmdir, statSync, unlink } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { SocketEvent } from "../../../SocketEvent.ts"
import type { Done, GiveUp } from "../../engine.ts"
import { type BindTo, bindTo, errorOf, pathError, whyNotReplace } from "../addresses.ts"
import type { Settings } from "../settings.ts"
import { accepted, type Readable } from "./reading.ts"

export interface Listening {
  readonly settings: Settings
  readonly tell: (event: SocketEvent) => void
  readonly welcome: (readable: Readable, endpoint: string) => void
}

export class Listener {
  private readonly options: Listening
  private readonly server: Server
  /** As it was resolved. */
  endpoint = ""
  private isOver = false
  private to: BindTo | undefined
  private path: string | undefined
  /** The file that it made, by its number. */
  private file: number | undefined

  constructor(options: Listening) {
    this.options = options
    this.server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.accept(socket))
  }

  /** Binds. Given up, it has never been. */
  listen(endpoint: string, done: Done<string>): GiveUp {
    let to: BindTo
    try {
      to = bindTo(endpoint, this.options.settings.ipv6)
    } catch (error) {
      done(error)
      return ignore
    }
    this.to = to
    const failed = (cause: Error): void => {
      if (this.isOver) return
      this.begun()
      this.isOver = true
      this.removeFolder()
      const error = to.path === undefined ? cause : pathError(to.path, cause)
      this.options.tell(SocketEvent.BindFailed({ endpoint, error }))
      done(error)
    }
    const { path } = to
    const bind = (): void => {
      if (this.isOver) return
      this.server.once("error", failed)
      this.server.listen({ ...to.listen, backlog: this.options.settings.backlog, exclusive: true }, () => {
        this.server.off("error", failed)
        this.server.on("error", (error) =>
          this.options.tell(SocketEvent.AcceptFailed({ endpoint: this.endpoint, error }))
        )
        this.begun()
        this.endpoint = to.resolved(this.server.address())
        if (path !== undefined) this.file = fileAt(path)
        if (this.isOver) return
        this.options.tell(SocketEvent.Listening({ endpoint: this.endpoint }))
        done(undefined, this.endpoint)
      })
    }
    if (path === undefined) bind()
    else if (binding.has(path)) failed(errorOf("EADDRINUSE", "somebody is about to listen there"))
    else {
      binding.add(path)
      this.path = path
      whyNotReplace(path, (error) => {
        if (error !== undefined) failed(error)
        // What is left of one that has ended is in the way.
        else if (!this.isOver) unlink(path, bind)
      })
    }
    return () => this.close(ignore)
  }

  /** Others may bind its path, or find that they cannot. */
  private begun(): void {
    if (this.path !== undefined) binding.delete(this.path)
    this.path = undefined
  }

  private accept(socket: Socket): void {
    const { settings, tell, welcome } = this.options
    const { endpoint } = this
    const { remoteAddress } = socket
    if (remoteAddress !== undefined && settings.denies(remoteAddress)) {
      socket.destroy()
      tell(SocketEvent.AcceptFailed({ endpoint, error: new Error(`${remoteAddress} is not let in`) }))
      return
    }
    tell(SocketEvent.Accepted({ endpoint }))
    const { waitsFor } = settings
    const readable = accepted(socket)
    if (waitsFor === undefined) welcome(readable, endpoint)
    else {
      readable.socket.on("error", ignore)
      void waitsFor.then(() => {
        // It may have been unbound meanwhile.
        if (this.isOver) readable.socket.destroy()
        else welcome(readable, endpoint)
      })
    }
  }

  /** Those who are there stay. */
  private closeServer(): void {
    const { file } = this
    const path = this.to?.path
    const there = path === undefined || file === undefined ? file : fileAt(path)
    if (path === undefined || there === file || there === undefined) {
      this.server.close()
      return
    }
    // Another has the path by now, and Node would take away what is there.
    const aside = `${path}.${process.pid}`
    const isAside = renamed(path, aside)
    this.server.close()
    if (isAside) renamed(aside, path)
  }

  private removeFolder(): void {
    if (this.to?.folder !== undefined) rmdir(this.to.folder, ignore)
  }

  /** Calls back when the endpoint is free. */
  close(done: () => void): void {
    this.isOver = true
    this.begun()
    this.closeServer()
    this.removeFolder()
    if (this.endpoint !== "") this.options.tell(SocketEvent.Closed({ endpoint: this.endpoint }))
    done()
  }
}

/** The number of the file at a path, if there is one that we may see. */
const fileAt = (path: string): number | undefined => {
  try {
    return statSync(path).ino
  } catch {
    return undefined
  }
}

/** Says whether it could be. */
const renamed = (from: string, to: string): boolean => {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

/** Paths of ipc that somebody of this process is about to bind: what is there is looked at first. */
const binding = new Set<string>()

const ignore = (): void => {}
