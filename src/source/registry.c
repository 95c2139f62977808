/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which drivers there are, and which of them a file is for. */
#include "base/error.h"
#include "source/driver.h"

/* Ascending in how readily they say yes: of several that say maybe, the first gets the file. */
static const struct source_driver *const drivers[] = { &lime_source, &avml_source, &elf_source,
						       &kdump_source, &raw_source };

#define DRIVER_COUNT (sizeof(drivers) / sizeof(*drivers))

/*
 * Formats that are known but that no driver reads yet. Taking them for raw images would give a
 * machine full of nonsense instead of an answer.
 */
static const struct {
	const char *magic, *name;
} unread[] = {
	{ "EVF\x09\x0d\x0a\xff", "EWF (E01) image" },
	{ "QEVM", "QEMU save file" },
	{ "LibvirtQemudSave", "libvirt save file" },
	{ "QFI\xfb", "QCOW2 disk image" },
	{ "PAGEDU64", "Windows crash dump" },
	{ "PAGEDUMP", "Windows crash dump" },
	{ "\x28\xb5\x2f\xfd", "zstd-compressed file" },
	{ "\xfd"
	  "7zXZ",
	  "xz-compressed file" },
	{ "\x1f\x8b\x08", "gzip-compressed file" },
	{ "PK\x03\x04", "zip file (as AFF4 images are)" },
};

/* "NAME:" and what follows it are theirs. */
static const struct source_driver *const links[] = { &gdb_source, &nettlp_source, &qemu_source };

const struct source_driver *source_driver_of_url(const char *where)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		size_t length = strlen(links[i]->name);
		if (strncmp(where, links[i]->name, length) == 0 && where[length] == ':')
			return links[i];
	}
	return NULL;
}

static bool matches(const struct source_driver *driver, const char *name, size_t size)
{
	return (strlen(driver->name) == size && memcmp(driver->name, name, size) == 0) ||
	       (driver->alias && strlen(driver->alias) == size &&
		memcmp(driver->alias, name, size) == 0);
}

const struct source_driver *source_driver_named(const char *name, size_t size)
{
	for (size_t i = 0; i < DRIVER_COUNT; i++)
		if (matches(drivers[i], name, size))
			return drivers[i];
	return NULL;
}

static enum kioku_status refuse_unread(struct bytes head, struct kioku_error *error)
{
	for (size_t i = 0; i < sizeof(unread) / sizeof(*unread); i++) {
		size_t size = strlen(unread[i].magic);
		if (bytes_has(head, 0, size) && memcmp(head.data, unread[i].magic, size) == 0)
			return error_set(error, KIOKU_ERROR_UNSUPPORTED,
					 "it looks like a %s, which this version cannot read "
					 "(raw:PATH takes it as it is)",
					 unread[i].name);
	}
	return KIOKU_OK;
}

enum kioku_status source_driver_detect(struct bytes head, uint64_t file_size,
				       const struct source_driver **out, struct kioku_error *error)
{
	const struct source_driver *sure = NULL, *maybe = NULL;

	for (size_t i = 0; i < DRIVER_COUNT; i++) {
		enum probe_verdict verdict = drivers[i]->probe(head, file_size);
		if (verdict == PROBE_YES && sure)
			return error_set(error, KIOKU_ERROR_CORRUPT,
					 "it looks like a %s and like a %s; say which with %s:PATH "
					 "or %s:PATH",
					 sure->help, drivers[i]->help, sure->name,
					 drivers[i]->name);
		if (verdict == PROBE_YES)
			sure = drivers[i];
		if (verdict == PROBE_MAYBE && !maybe)
			maybe = drivers[i];
	}
	if (!sure)
		TRY(refuse_unread(head, error));
	*out = sure ? sure : maybe;
	return KIOKU_OK;
}
