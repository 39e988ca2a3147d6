#!/usr/bin/env python3
"""A file system that keeps what was fsynced and, at SIGUSR1, nothing else: a power cut without a machine to cut off.

fsync of a file makes its bytes durable, and not its name. fsync of a folder makes the names in it durable. A rename, a link, an unlink or a new file
that no fsync of the folder followed is undone. That is the least that POSIX promises; real file systems often keep more.

It lives in memory and speaks the FUSE protocol (7.31, linux/fuse.h) to /dev/fuse itself, so it needs Linux, Python and the right to mount.
Nothing is cached by the kernel. Usage: forgetful_disk.py FOLDER; prints `mounted`, and `forgotten` after each SIGUSR1; SIGTERM unmounts.
With --try it mounts, unmounts and ends. With --no-links it has no hard links, as vfat has none.
"""
import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import time

MAX_WRITE = 128 * 1024
DIRECT_IO = 1
SET_MODE, SET_SIZE, SET_MTIME, SET_MTIME_NOW = 1, 8, 32, 256
BIG_WRITES = 1 << 5
MNT_DETACH = 2
libc = ctypes.CDLL(None, use_errno=True)


class Node:
    """A file (`data`) or a folder (`names`), as it is and as a power cut would leave it."""

    def __init__(self, mode):
        self.mode, self.mtime = mode, time.time()
        self.data, self.durable_data = bytearray(), b''
        self.names, self.durable_names = {}, {}

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    def sync(self):
        self.durable_data, self.durable_names = bytes(self.data), dict(self.names)

    def forget(self):
        self.data, self.names = bytearray(self.durable_data), dict(self.durable_names)


class Disk:
    def __init__(self):
        # Node numbers are never used twice: the folder that forgets an unlink names the node again.
        self.nodes = {1: Node(stat.S_IFDIR | 0o700)}

    def forget(self):
        for node in self.nodes.values():
            node.forget()

    def attr(self, ino):
        node = self.nodes[ino]
        at, size = int(node.mtime), len(node.data)
        nanos = int((node.mtime - at) * 1e9)
        times = (at, at, at, nanos, nanos, nanos)
        links = 2 if node.is_folder else 1
        return struct.pack('<6Q10I', ino, size, (size + 511) // 512, *times[:3], *times[3:], node.mode, links, 0, 0, 0, 4096, 0)

    def entry(self, ino):
        return struct.pack('<4Q2I', ino, 0, 0, 0, 0, 0) + self.attr(ino)

    def child(self, ino, name):
        found = self.nodes[ino].names.get(name)
        if found is None:
            raise OSError(errno.ENOENT, 'no such name')
        return found

    def add(self, parent, name, mode):
        if name in self.nodes[parent].names:
            raise OSError(errno.EEXIST, 'the name is taken')
        ino = max(self.nodes) + 1
        self.nodes[ino] = Node(mode)
        self.nodes[parent].names[name] = ino
        return ino

    # One method an operation of the protocol: the node that it is about, and the rest of the request.

    def op1_lookup(self, ino, body):
        return self.entry(self.child(ino, name_of(body)))

    def op3_getattr(self, ino, _body):
        return struct.pack('<QII', 0, 0, 0) + self.attr(ino)

    def op4_setattr(self, ino, body):
        valid, _, _, size, _, _, mtime, _, _, mtime_nanos, _, mode = struct.unpack_from('<IIQQQQQQIIII', body)
        node = self.nodes[ino]
        if valid & SET_SIZE:
            node.data = node.data[:size].ljust(size, b'\0')
        if valid & SET_MODE:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & SET_MTIME_NOW:
            node.mtime = time.time()
        elif valid & SET_MTIME:
            node.mtime = mtime + mtime_nanos / 1e9
        return self.op3_getattr(ino, body)

    def op9_mkdir(self, ino, body):
        (mode,) = struct.unpack_from('<I', body)
        return self.entry(self.add(ino, name_of(body[8:]), stat.S_IFDIR | mode))

    def op10_unlink(self, ino, body):
        self.child(ino, name_of(body))
        del self.nodes[ino].names[name_of(body)]

    def op11_rmdir(self, ino, body):
        if self.nodes[self.child(ino, name_of(body))].names:
            raise OSError(errno.ENOTEMPTY, 'not empty')
        self.op10_unlink(ino, body)

    def op12_rename(self, ino, body):
        (target,) = struct.unpack_from('<Q', body)
        self.rename(ino, target, body[8:])

    def op45_rename2(self, ino, body):
        target, flags = struct.unpack_from('<QI', body)
        if flags:
            raise OSError(errno.EINVAL, 'no flags')
        self.rename(ino, target, body[16:])

    def rename(self, ino, target, names):
        old, new = bytes(names).split(b'\0')[:2]
        moved = self.child(ino, old)
        del self.nodes[ino].names[old]
        self.nodes[target].names[new] = moved

    def op13_link(self, ino, body):
        if '--no-links' in sys.argv:
            raise OSError(errno.EPERM, 'no hard links')
        (source,) = struct.unpack_from('<Q', body)
        if name_of(body[8:]) in self.nodes[ino].names:
            raise OSError(errno.EEXIST, 'the name is taken')
        self.nodes[ino].names[name_of(body[8:])] = source
        return self.entry(source)

    def op14_open(self, _ino, _body):
        return struct.pack('<QII', 0, DIRECT_IO, 0)

    def op15_read(self, ino, body):
        _, offset, size = struct.unpack_from('<QQI', body)
        return bytes(self.nodes[ino].data[offset:offset + size])

    def op16_write(self, ino, body):
        _, offset, size = struct.unpack_from('<QQI', body)
        node = self.nodes[ino]
        if offset > len(node.data):
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset:offset + size] = body[40:40 + size]
        node.mtime = time.time()
        return struct.pack('<II', size, 0)

    def op17_statfs(self, _ino, _body):
        return struct.pack('<5Q4I24x', 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)

    def done(self, _ino, _body):
        return b''

    op18_release = op25_flush = op29_releasedir = op34_access = done

    def op20_fsync(self, ino, _body):
        self.nodes[ino].sync()

    op30_fsyncdir = op20_fsync

    def op27_opendir(self, _ino, _body):
        return struct.pack('<QII', 0, 0, 0)

    def op28_readdir(self, ino, body):
        _, offset, size = struct.unpack_from('<QQI', body)
        found = b''
        for index, (name, child) in enumerate(list(self.nodes[ino].names.items())[offset:], offset + 1):
            kind = self.nodes[child].mode >> 12
            dirent = struct.pack('<QQII', child, index, len(name), kind) + name
            dirent = dirent.ljust((len(dirent) + 7) // 8 * 8, b'\0')
            if len(found) + len(dirent) > size:
                break
            found += dirent
        return found

    def op35_create(self, ino, body):
        (_flags, mode) = struct.unpack_from('<II', body)
        return self.entry(self.add(ino, name_of(body[16:]), stat.S_IFREG | mode)) + self.op14_open(ino, body)


def name_of(body):
    return bytes(body).split(b'\0', 1)[0]


INIT, FORGET, INTERRUPT, DESTROY, BATCH_FORGET = 26, 2, 36, 38, 42
OPERATIONS = {int(name[2:].split('_')[0]): name for name in dir(Disk) if name.startswith('op')}


def answer(disk, opcode, ino, body):
    if opcode == INIT:
        (_major, _minor, readahead) = struct.unpack_from('<III', body)
        return 0, struct.pack('<4I2H2I2H8I', 7, 31, readahead, BIG_WRITES, 16, 12, MAX_WRITE, 1, 0, 0, *[0] * 8)
    if opcode not in OPERATIONS:
        return -errno.ENOSYS, b''
    try:
        return 0, getattr(disk, OPERATIONS[opcode])(ino, body) or b''
    except OSError as error:
        return -error.errno, b''


def serve(device, disk):
    while True:
        try:
            request = memoryview(os.read(device, MAX_WRITE + 8192))
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            if error.errno in (errno.ENOENT, errno.EAGAIN):
                continue
            raise
        length, opcode, unique, ino = struct.unpack_from('<IIQQ', request)
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            continue
        code, reply = answer(disk, opcode, ino, request[40:length])
        try:
            os.write(device, struct.pack('<IiQ', 16 + len(reply), code, unique) + reply)
        except OSError as error:
            # Whoever asked was killed meanwhile.
            if error.errno != errno.ENOENT:
                raise
        if opcode == DESTROY:
            return


def mount(folder):
    device = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
    options = f'fd={device},rootmode=40000,user_id=0,group_id=0,default_permissions'.encode()
    if libc.mount(b'forgetful', folder, b'fuse', 0, options) != 0:
        sys.exit(f'mount: {os.strerror(ctypes.get_errno())}')
    return device


def main():
    folder = sys.argv[1].encode()
    disk = Disk()

    def forget(_signal, _frame):
        disk.forget()
        print('forgotten', flush=True)

    def unmount(_signal, _frame):
        libc.umount2(folder, MNT_DETACH)
        sys.exit(0)

    signal.signal(signal.SIGUSR1, forget)
    signal.signal(signal.SIGTERM, unmount)
    device = mount(folder)
    print('mounted', flush=True)
    if '--try' in sys.argv:
        unmount(None, None)
    try:
        serve(device, disk)
    finally:
        libc.umount2(folder, MNT_DETACH)


main()
