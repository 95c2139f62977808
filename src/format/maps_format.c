/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/maps_format.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/scan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Those that say nothing which permissions and is_shared do not have 0. */
static const struct {
	char letters[3];
	uint32_t flag;
} vm_flags[] = {
	/* the most frequent ones first */
	{ "rd", 0 },
	{ "wr", 0 },
	{ "ex", 0 },
	{ "mr", 0 },
	{ "mw", 0 },
	{ "me", 0 },
	{ "ms", 0 },
	{ "ac", MAPPING_ACCOUNTED },
	{ "sd", MAPPING_SOFT_DIRTY },
	{ "sh", MAPPING_SHARED },
	{ "gd", MAPPING_GROWS_DOWN },
	{ "pf", MAPPING_PFNMAP },
	{ "lo", MAPPING_LOCKED },
	{ "lf", MAPPING_LOCK_ON_FAULT },
	{ "io", MAPPING_DEVICE },
	{ "sr", 0 },
	{ "rr", 0 },
	{ "dc", MAPPING_DONTFORK },
	{ "de", 0 },
	{ "nr", MAPPING_NO_RESERVE },
	{ "ht", MAPPING_HUGETLB },
	{ "sf", 0 },
	{ "nl", 0 }, /* until v4.0 */
	{ "mp", 0 }, /* MPX, until v5.6 */
	{ "dw", 0 }, /* until v5.16 */
	{ "ar", 0 },
	{ "wf", MAPPING_WIPEONFORK },
	{ "dd", MAPPING_DONTDUMP },
	{ "bt", 0 },
	{ "mm", MAPPING_MIXED },
	{ "hg", MAPPING_HUGE_PAGES },
	{ "nh", 0 },
	{ "mg", MAPPING_MERGEABLE },
	{ "um", MAPPING_UFFD_MISSING },
	{ "uw", MAPPING_UFFD_PROTECTED },
	{ "mt", 0 },
	{ "ui", MAPPING_UFFD_MINOR },
	{ "ss", MAPPING_SHADOW_STACK },
	{ "dp", MAPPING_DROPPABLE },
	{ "sl", MAPPING_SEALED },
	{ "gu", MAPPING_MAYBE_GUARD },
};

static const struct {
	const char *key;
	size_t offset;
} sizes[] = {
	{ "Rss:", offsetof(struct mapping, resident) },
	{ "Swap:", offsetof(struct mapping, swapped) },
	{ "Anonymous:", offsetof(struct mapping, anonymous) },
	{ "AnonHugePages:", offsetof(struct mapping, anonymous_huge) },
	{ "Locked:", offsetof(struct mapping, locked) },
	{ "Private_Hugetlb:", offsetof(struct mapping, private_hugetlb) },
	{ "Shared_Hugetlb:", offsetof(struct mapping, shared_hugetlb) },
	{ "KernelPageSize:", offsetof(struct mapping, page_size) },
};

static uint32_t flag_of(struct bytes letters)
{
	for (size_t i = 0; i < COUNT(vm_flags) && letters.size == 2; i++)
		if (memcmp(letters.data, vm_flags[i].letters, 2) == 0)
			return vm_flags[i].flag;
	return MAPPING_FLAG_UNKNOWN;
}

/* "Rss:   12 kB", "VmFlags: rd wr"; other keys are of no interest. */
static bool decode_detail(struct bytes line, struct mapping *mapping)
{
	size_t offset = 0;
	struct bytes word;
	uint64_t size;

	if (scan_text(line, &offset, "VmFlags:")) {
		mapping->flags |= MAPPING_FLAGS_KNOWN;
		while (scan_word(line, &offset, &word))
			mapping->flags |= flag_of(word);
		return true;
	}
	for (size_t i = 0; i < COUNT(sizes); i++) {
		offset = 0;
		if (!scan_text(line, &offset, sizes[i].key))
			continue;
		scan_blanks(line, &offset);
		if (!scan_decimal(line, &offset, &size) || size > UINT64_MAX >> 10 ||
		    !scan_text(line, &offset, " kB"))
			return false;
		size <<= 10;
		memcpy((uint8_t *)mapping + sizes[i].offset, &size, sizeof(size));
		return true;
	}
	return true;
}

/* "r-xp " */
static bool decode_permissions(struct bytes line, size_t *offset, struct mapping *out)
{
	static const struct {
		char letter;
		uint32_t permission;
	} places[] = { { 'r', PROT_READ }, { 'w', PROT_WRITE }, { 'x', PROT_EXEC } };
	uint8_t sharing;

	if (!bytes_has(line, *offset, 5))
		return false;
	for (size_t i = 0; i < COUNT(places); i++, ++*offset) {
		if (line.data[*offset] == places[i].letter)
			out->permissions |= places[i].permission;
		else if (line.data[*offset] != '-')
			return false;
	}
	sharing = line.data[*offset];
	++*offset;
	out->is_shared = sharing == 's';
	return (sharing == 's' || sharing == 'p') && scan_text(line, offset, " ");
}

static bool decode_head(struct bytes line, struct mapping *out)
{
	struct mapping mapping = { 0 };
	uint64_t major, minor;
	size_t offset = 0;

	if (!scan_hex(line, &offset, &mapping.start) || !scan_text(line, &offset, "-") ||
	    !scan_hex(line, &offset, &mapping.end) || !scan_text(line, &offset, " ") ||
	    mapping.start >= mapping.end || !decode_permissions(line, &offset, &mapping) ||
	    !scan_hex(line, &offset, &mapping.file_offset) || !scan_text(line, &offset, " ") ||
	    !scan_hex(line, &offset, &major) || !scan_text(line, &offset, ":") ||
	    !scan_hex(line, &offset, &minor) || !scan_text(line, &offset, " ") ||
	    major > UINT32_MAX || minor > UINT32_MAX ||
	    !scan_decimal(line, &offset, &mapping.inode))
		return false;
	mapping.device_major = (uint32_t)major;
	mapping.device_minor = (uint32_t)minor;
	/* No name begins with a blank: they are paths, or begin with a bracket or a word. */
	while (offset < line.size && line.data[offset] == ' ')
		offset++;
	mapping.name = (struct bytes){ line.data + offset, line.size - offset };
	*out = mapping;
	return true;
}

/* Heads begin with a digit of an address, in lower case. */
static bool is_detail(struct bytes text, size_t offset)
{
	return offset < text.size && text.data[offset] >= 'A' && text.data[offset] <= 'Z';
}

bool maps_decode(struct bytes text, size_t *offset, struct mapping *out)
{
	struct mapping mapping;
	struct bytes line;
	bool valid;

	if (!scan_line(text, offset, &line) || !decode_head(line, &mapping))
		return false;
	for (valid = true; valid && is_detail(text, *offset);)
		valid = scan_line(text, offset, &line) && decode_detail(line, &mapping);
	if (valid)
		*out = mapping;
	return valid;
}

bool mapping_list_reserve(struct mapping_list *list, size_t capacity)
{
	if (capacity <= list->capacity)
		return true;
	struct mapping *larger = reallocarray(list->mappings, capacity, sizeof(*larger));
	if (!larger)
		return false;
	list->mappings = larger;
	list->capacity = capacity;
	return true;
}

void mapping_list_release(struct mapping_list *list)
{
	free(list->mappings);
	*list = (struct mapping_list){ 0 };
}

enum maps_verdict maps_list(struct bytes text, struct mapping_list *list)
{
	uint64_t end = 0;

	list->count = 0;
	for (size_t offset = 0; offset < text.size;) {
		if (list->count == list->capacity &&
		    !mapping_list_reserve(list, list->capacity ? list->capacity * 2 : 256))
			return MAPS_NO_MEMORY;
		struct mapping *next = &list->mappings[list->count];
		if (!maps_decode(text, &offset, next))
			return MAPS_DAMAGED;
		if (next->start < end) {
			next->file_offset += next->inode ? end - next->start : 0;
			next->start = end;
		}
		if (next->start >= next->end)
			continue;
		end = next->end;
		list->count++;
	}
	return MAPS_OK;
}

size_t mapping_list_after(const struct mapping_list *list, uint64_t address)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list->mappings[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct mapping *mapping_list_find(const struct mapping_list *list, uint64_t address)
{
	size_t i = mapping_list_after(list, address);

	return i < list->count && list->mappings[i].start <= address ? &list->mappings[i] : NULL;
}

bool mapping_is_deleted(const struct mapping *mapping)
{
	static const char suffix[] = " (deleted)";
	size_t size = sizeof(suffix) - 1;

	return mapping->name.size > size &&
	       memcmp(mapping->name.data + mapping->name.size - size, suffix, size) == 0;
}
