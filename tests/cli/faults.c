/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To be preloaded: makes system calls on one file, which FAULT_FILE names, fail as they are told to.
 * FAULT_READ: what pread() of any byte from FAULT_START up to FAULT_END is: "EIO", or "hang" for ever.
 * FAULT_WRITE: a number of errno, for writing beyond FAULT_START; before that comes a short write,
 * as of a disk that fills up.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A function under the name that the program looks for; glibc has two for each size of off_t. */
#define EXPORT(name, function) __asm__(".globl " name "\n.set " name ", " function)

EXPORT("pread", "fault_pread");
EXPORT("pread64", "fault_pread");
EXPORT("pwrite", "fault_pwrite");
EXPORT("pwrite64", "fault_pwrite");
EXPORT("write", "fault_write");

ssize_t fault_pread(int descriptor, void *buffer, size_t size, off_t offset);
ssize_t fault_pwrite(int descriptor, const void *buffer, size_t size, off_t offset);
ssize_t fault_write(int descriptor, const void *buffer, size_t size);

static uint64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : 0;
}

static bool is_file(int descriptor)
{
	const char *path = getenv("FAULT_FILE");
	struct stat wanted, open;

	return path && stat(path, &wanted) == 0 && fstat(descriptor, &open) == 0 &&
	       wanted.st_dev == open.st_dev && wanted.st_ino == open.st_ino;
}

ssize_t fault_pread(int descriptor, void *buffer, size_t size, off_t offset)
{
	const char *what = getenv("FAULT_READ");
	uint64_t start = (uint64_t)offset;

	if (what && start < number("FAULT_END") && start + size > number("FAULT_START") &&
	    is_file(descriptor)) {
		while (strcmp(what, "hang") == 0)
			pause();
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, descriptor, buffer, size, offset);
}

/* What may be written at an offset, in errno why nothing may. */
static size_t allowed(int descriptor, uint64_t offset, size_t size)
{
	uint64_t limit = number("FAULT_START");

	if (!getenv("FAULT_WRITE") || offset + size <= limit || !is_file(descriptor))
		return size;
	errno = (int)number("FAULT_WRITE");
	return offset < limit ? (size_t)(limit - offset) : 0;
}

ssize_t fault_pwrite(int descriptor, const void *buffer, size_t size, off_t offset)
{
	size_t part = allowed(descriptor, (uint64_t)offset, size);

	return part == 0 && size > 0 ? -1 : syscall(SYS_pwrite64, descriptor, buffer, part, offset);
}

ssize_t fault_write(int descriptor, const void *buffer, size_t size)
{
	off_t offset = lseek(descriptor, 0, SEEK_CUR);
	size_t part = offset < 0 ? size : allowed(descriptor, (uint64_t)offset, size);

	return part == 0 && size > 0 ? -1 : syscall(SYS_write, descriptor, buffer, part);
}
