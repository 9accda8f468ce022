// Types of the two native packages that bring none: what we use of them.
declare module 'epoll' {
  namespace lib {
    interface Watcher {
      add(fd: number, events: number): Watcher
      modify(fd: number, events: number): Watcher
      remove(fd: number): Watcher
      close(): void
    }
    const Epoll: {
      new (listener: (error: Error | null, fd: number, events: number) => void): Watcher
      readonly EPOLLIN: number
      readonly EPOLLOUT: number
    }
  }
  export = lib
}

declare module 'ioctl' {
  /** @throws Error with `code` of errno */
  const ioctl: (fd: number, request: number, argument?: Buffer | number) => number
  export = ioctl
}
