/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "archive.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, BUFFER = 256 << 10 };

/* O_DIRECT wants an aligned buffer; with it no copy of the archive stays in the guest's memory. */
static _Alignas(4096) char buffer[BUFFER];
static size_t filled;
static unsigned long written;
static int disk_file;

void archive_open(const char *disk)
{
	filled = 0;
	written = 0;
	disk_file = open(disk, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (disk_file < 0)
		perror(disk);
}

static void flush(void)
{
	size_t whole = (filled + 4095) & ~(size_t)4095;

	memset(buffer + filled, 0, whole - filled);
	if (write(disk_file, buffer, whole) != (ssize_t)whole)
		perror("truth disk");
	written += filled;
	filled = 0;
}

static void put(const void *bytes, size_t size)
{
	while (size) {
		size_t part = size < BUFFER - filled ? size : BUFFER - filled;
		memcpy(buffer + filled, bytes, part);
		bytes = (const char *)bytes + part;
		filled += part;
		size -= part;
		if (filled == BUFFER)
			flush();
	}
}

/* A ustar header, or with type 'L' the GNU way of saying a name of more than 99 bytes. */
static void header(const char *name, size_t size, char type, const char *link)
{
	union {
		struct {
			char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], check[8],
				type, link[100], magic[6], version[2];
		};
		unsigned char bytes[BLOCK];
	} block = { 0 };
	unsigned sum = 0;

	strncpy(block.name, name, sizeof block.name - 1);
	strncpy(block.link, link, sizeof block.link - 1);
	strcpy(block.mode, "0000644");
	strcpy(block.uid, "0000000");
	strcpy(block.gid, "0000000");
	snprintf(block.size, sizeof block.size, "%011zo", size);
	strcpy(block.mtime, "00000000000");
	memcpy(block.magic, "ustar", 6);
	memcpy(block.version, "00", 2);
	block.type = type;
	memset(block.check, ' ', sizeof block.check);
	for (size_t i = 0; i < BLOCK; i++)
		sum += block.bytes[i];
	snprintf(block.check, sizeof block.check, "%06o", sum);
	put(&block, BLOCK);
}

static void pad(size_t size)
{
	static const char zeros[BLOCK];
	put(zeros, -size & (BLOCK - 1));
}

static void long_field(char type, const char *text)
{
	if (strlen(text) < 100)
		return;
	header("././@LongLink", strlen(text) + 1, type, "");
	put(text, strlen(text) + 1);
	pad(strlen(text) + 1);
}

void archive_bytes(const char *path, const void *bytes, size_t size)
{
	const char *name = path[0] == '/' ? path + 1 : path;

	long_field('L', name);
	header(name, size, '0', "");
	put(bytes, size);
	pad(size);
}

void archive_file(const char *path)
{
	/* Files of /proc have no size: read until they end. */
	size_t size = 0, room = 16 << 10;
	char *bytes = malloc(room);
	ssize_t part;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	while (file >= 0 && (part = read(file, bytes + size, room - size)) > 0) {
		size += (size_t)part;
		if (size == room)
			bytes = realloc(bytes, room *= 2);
	}
	if (file >= 0) {
		archive_bytes(path, bytes, size);
		close(file);
	}
	free(bytes);
}

void archive_link(const char *path)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof target - 1);

	if (length < 0)
		return;
	target[length] = 0;
	long_field('K', target);
	long_field('L', path + 1);
	header(path + 1, 0, '2', target);
}

unsigned long archive_close(void)
{
	static const char end[2 * BLOCK];

	put(end, sizeof end);
	if (filled)
		flush();
	fsync(disk_file);
	close(disk_file);
	return written;
}
