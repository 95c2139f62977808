/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/ikconfig.h"

#include <stdlib.h>

#include "base/unpack.h"
#include "source/source.h"

#define PACKED_LIMIT (1u << 20) /* bytes; they are about 60,000 of a distribution's kernel */

static bool is_mark(struct kioku_kernel *kernel, uint64_t virtual)
{
	uint8_t mark[IKCONFIG_MARK_SIZE];

	return image_contains(&kernel->image, virtual) &&
	       kernel_read(kernel, virtual, mark, sizeof(mark), NULL) == KIOKU_OK &&
	       memcmp(mark, IKCONFIG_START, sizeof(mark)) == 0;
}

/* Lost pages stay zero in the window, so that the rest can still be searched. */
static bool find_in_run(struct kioku_kernel *kernel, const struct mapping *run, uint64_t *physical)
{
	AUTO_IMAGE_WINDOW struct image_window window = { 0 };

	if (image_window_open(&kernel->space, run->virtual, run->size, &window, NULL) != KIOKU_OK)
		return false;
	window_need(&window.window, 0, run->size);
	const uint8_t *found = memmem(window.window.data, run->size, IKCONFIG_START "\x1f\x8b\x08",
				      IKCONFIG_MARK_SIZE + 3);
	if (found)
		*physical = run->physical + (uint64_t)(found - window.window.data);
	return found;
}

enum kioku_status ikconfig_locate(struct kioku_kernel *kernel, uint64_t *physical)
{
	uint64_t data = kernel_symbol(kernel, "kernel_config_data");

	/* The mark is before the symbol since v5.1 (13610aa908dc), before that it was at it. */
	for (uint64_t before = 0; data && before <= IKCONFIG_MARK_SIZE;
	     before += IKCONFIG_MARK_SIZE) {
		if (!is_mark(kernel, data - before))
			continue;
		*physical = image_to_physical(&kernel->image, data - before);
		return KIOKU_OK;
	}
	if (data)
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "kconfig: there is a symbol kernel_config_data, but no configuration");
	for (size_t i = 0; i < kernel->image.run_count && !data; i++)
		if (image_run_is_rodata(&kernel->image.runs[i]) &&
		    find_in_run(kernel, &kernel->image.runs[i], physical))
			return KIOKU_OK;
	return KIOKU_ERROR_NOT_FOUND;
}

/* As much as there is, without what is behind a page that is missing. */
static size_t read_packed(struct kioku_source *source, uint64_t physical, uint8_t *out)
{
	size_t size = 0;

	while (size < PACKED_LIMIT) {
		size_t part = PAGE_SIZE - (physical + size) % PAGE_SIZE;
		part = part < PACKED_LIMIT - size ? part : PACKED_LIMIT - size;
		if (kioku_source_read(source, physical + size, out + size, part, NULL) != KIOKU_OK)
			break;
		size += part;
	}
	return size;
}

enum kioku_status ikconfig_read(struct kioku_source *source, uint64_t physical,
				enum config_origin origin, struct config_texts *texts)
{
	AUTO_FREE uint8_t *raw = malloc(PACKED_LIMIT);
	struct bytes packed;

	if (!raw)
		return KIOKU_ERROR_NO_MEMORY;
	size_t size = read_packed(source, physical, raw);
	if (!ikconfig_packed((struct bytes){ raw, size }, &packed))
		return size < PACKED_LIMIT ? KIOKU_ERROR_ABSENT : KIOKU_ERROR_NOT_FOUND;
	if (packed.size < 18) /* the least that RFC 1952 allows */
		return KIOKU_ERROR_CORRUPT;
	size_t length = load_le32(packed.data + packed.size - 4);
	if (length == 0 || length > IKCONFIG_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	AUTO_FREE void *text = NULL;
	AUTO_FREE struct config_reader *reader = malloc(sizeof(*reader));
	if (!reader)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(unpack_exactly(packed, length, &text));
	struct config_text *added = config_texts_add(texts, origin);
	if (!added)
		return texts->is_full ? KIOKU_ERROR_LIMIT : KIOKU_ERROR_NO_MEMORY;
	config_reader_begin(reader, texts, added, true);
	reader->has_physical = false;
	TRY(config_reader_feed(reader, (struct bytes){ text, length }, 0));
	return config_reader_end(reader);
}
