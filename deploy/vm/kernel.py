"""Prepares a guest kernel: cuts `vmlinux` out of a bzImage and picks modules in load order.

Usage: kernel.py UNPACKED_KERNEL_PACKAGE OUTPUT MODULE...

Runs inside the image's own root, so that the machine that builds the image needs no Python and no LZ4 tool.
QEMU enters an uncompressed kernel through its PVH note, which saves the firmware and the unpacking in the guest.
"""

import gzip
import lzma
import pathlib
import shutil
import struct
import sys


def unlz4(data: bytes) -> bytes:
    """Unpacks LZ4's legacy frame, which is what the kernel's build makes: a magic, then blocks of 8 MiB.

    After the last block the build appends the unpacked size, so a "block" that does not fit is the end.
    """
    out = bytearray()
    at = 4
    while at + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        if size == 0 or at + size > len(data):
            break
        unlz4_block(data[at : at + size], out)
        at += size
    return bytes(out)


def unlz4_block(block: bytes, out: bytearray) -> None:
    """One block: token, literals, two-byte offset back, match; the last sequence has literals only."""
    at, end = 0, len(block)
    while at < end:
        token = block[at]
        at += 1
        literals = token >> 4
        if literals == 15:
            while True:
                more = block[at]
                at += 1
                literals += more
                if more != 255:
                    break
        if literals:
            out += block[at : at + literals]
            at += literals
        if at >= end:
            return
        offset = block[at] | block[at + 1] << 8
        at += 2
        length = token & 15
        if length == 15:
            while True:
                more = block[at]
                at += 1
                length += more
                if more != 255:
                    break
        length += 4
        start = len(out) - offset
        if offset >= length:
            out += out[start : start + length]
        else:
            pattern = bytes(out[start:])
            out += (pattern * (length // offset + 1))[:length]


def vmlinux(image: bytes) -> bytes:
    """The kernel proper. The setup header is documented in the kernel's Documentation/x86/boot.rst."""
    if image[0x1FE:0x200] != b"\x55\xaa" or image[0x202:0x206] != b"HdrS":
        sys.exit("the kernel is not a bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start : start + length]
    if payload[:4] == b"\x02\x21\x4c\x18":
        elf = unlz4(payload)
    elif payload[:6] == b"\xfd7zXZ\x00":
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload[:2] == b"\x1f\x8b":
        elf = gzip.decompress(payload[:-4])
    else:
        sys.exit(f"the kernel is packed in an unknown way ({payload[:6].hex()})")
    if elf[:4] != b"\x7fELF" or b"Linux version" not in elf:
        sys.exit("what was cut out of the kernel is not a kernel")
    return elf


def needs(module: bytes) -> list[str]:
    """The modules that have to be loaded before this one (its `depends=` field)."""
    for field in module.split(b"\0"):
        if field.startswith(b"depends="):
            return [name for name in field[8:].decode().split(",") if name]
    return []


def main() -> None:
    package, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    (image,) = package.glob("boot/vmlinuz-*")
    (output / "vmlinux").write_bytes(vmlinux(image.read_bytes()))
    (output / "kernel.version").write_text(image.name.removeprefix("vmlinuz-") + "\n")

    files = {path.stem.replace("-", "_"): path for path in package.glob("lib/modules/*/kernel/**/*.ko")}
    (listed,) = package.glob("lib/modules/*/modules.builtin")
    built_in = {pathlib.Path(line).stem.replace("-", "_") for line in listed.read_text().splitlines()}
    order: list[str] = []

    def add(name: str, wanted_by: str) -> None:
        if name in order or name in built_in:
            return
        if name not in files:
            sys.exit(f"module {name} (wanted by {wanted_by}) is not in {image.name}")
        for need in needs(files[name].read_bytes()):
            add(need.replace("-", "_"), name)
        order.append(name)

    for wanted in sys.argv[3:]:
        if wanted.endswith("?") and wanted[:-1] not in files:
            continue
        add(wanted.removesuffix("?"), "the recipe")

    folder = output / "modules"
    folder.mkdir()
    for name in order:
        shutil.copyfile(files[name], folder / f"{name}.ko")
    (folder / "modules.list").write_text("".join(f"{name}.ko\n" for name in order))


main()
