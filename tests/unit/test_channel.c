/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Channels: ways into a source for several threads. */
#include "source/channel.h"
#include "test_image.h"

static void put_record(struct image *image, uint64_t start, size_t size, uint8_t byte)
{
	put_bytes(image, "EMiL\1\0\0\0", 8);
	put(image, 8, start);
	put(image, 8, start + size - 1);
	put(image, 8, 0);
	put_fill(image, byte, size);
}

static struct source_channel *open_channel(struct kioku_source *source)
{
	struct source_channel *channel;

	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	return channel;
}

static void reads_across_extents(void)
{
	struct image image = { 0 };
	struct heard heard;
	struct kioku_error error;
	char buffer[4];
	uint8_t states[2];

	put_record(&image, 0x1000, 0x1000, 'a');
	put_record(&image, 0x2000, 0x1000, 'b');
	AUTO_SOURCE struct kioku_source *source = open_image(&image, &heard);
	struct source_channel *first = open_channel(source), *second = open_channel(source);
	uint64_t requests = kioku_source_stats(source).requests;

	CHECK(source_channel_is_free(first) && source_channel_is_free(second));
	CHECK_EQUAL(source_channel_read(first, 0x1ffe, buffer, 4, &error), KIOKU_OK);
	CHECK(memcmp(buffer, "aabb", 4) == 0);
	CHECK_EQUAL(source_channel_read(second, 0x2ffd, buffer, 4, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x3000);
	CHECK(!source_channel_states(first, 0x1000, 2, states));
	CHECK_EQUAL(kioku_source_stats(source).requests, requests);
	source_channel_close(first);
	source_channel_close(second);
	source_channel_close(NULL);
}

/* Whoever leaves a hanging channel behind need not wait for it. */
static void outlives_its_source(void)
{
	struct image image = { 0 };
	struct heard heard;
	char byte;

	put_record(&image, 0x1000, 0x1000, 'a');
	struct kioku_source *source = open_image(&image, &heard);
	struct source_channel *channel = open_channel(source);
	kioku_source_close(source);
	CHECK_EQUAL(source_channel_read(channel, 0x1fff, &byte, 1, NULL), KIOKU_OK);
	CHECK_EQUAL(byte, 'a');
	source_channel_close(channel);
}

/* Through a mapping this would be a signal. */
static void survives_a_file_that_shrinks(void)
{
	struct image image = { 0 };
	struct kioku_source *source;
	struct kioku_error error;
	char buffer[16];

	put_record(&image, 0x1000, 0x2000, 'a');
	int descriptor = image_file(image.data, image.size);
	CHECK_EQUAL(kioku_source_open(file_path(descriptor), NULL, &source, NULL), KIOKU_OK);
	struct source_channel *channel = open_channel(source);
	CHECK_EQUAL(ftruncate(descriptor, 32 + 0x1008), 0);
	CHECK_EQUAL(source_channel_read(channel, 0x2000, buffer, 8, &error), KIOKU_OK);
	CHECK_EQUAL(source_channel_read(channel, 0x2000, buffer, 16, &error), KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(error.address, 0x2008);
	CHECK_SAYS(error.message, "shorter");
	source_channel_close(channel);
	kioku_source_close(source);
	close(descriptor);
}

TAP_MAIN(TEST(reads_across_extents), TEST(outlives_its_source), TEST(survives_a_file_that_shrinks))
