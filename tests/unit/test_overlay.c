/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a manifest beside an image adds to it, and when it is not believed. */
#include <sys/stat.h>

#include "format/manifest_format.h"
#include "source/channel.h"
#include "test_image.h"

struct place {
	char folder[64], image[96], manifest[128];
};

static void make_place(struct place *place)
{
	snprintf(place->folder, sizeof(place->folder), "/tmp/kioku-test-XXXXXX");
	CHECK(mkdtemp(place->folder));
	snprintf(place->image, sizeof(place->image), "%s/image", place->folder);
	snprintf(place->manifest, sizeof(place->manifest), "%s.manifest.json", place->image);
}

static void remove_place(struct place *place)
{
	unlink(place->image);
	unlink(place->manifest);
	rmdir(place->folder);
}

static void write_file(const char *path, const void *data, size_t size)
{
	AUTO_CLOSE int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(descriptor >= 0 && write(descriptor, data, size) == (ssize_t)size);
}

static void write_manifest(const struct place *place, const struct manifest *manifest)
{
	AUTO_FREE char *text = NULL;
	size_t size;

	CHECK_EQUAL(manifest_encode(manifest, &text, &size, NULL), KIOKU_OK);
	write_file(place->manifest, text, size);
}

/* Of an image in a format, with everything that a manifest must have. */
static struct manifest make_manifest(char *format, uint64_t size, struct manifest_range *ranges,
				     size_t count)
{
	return (struct manifest){ .tool_version = "1",
				  .complete = true,
				  .image_name = "image",
				  .image_format = format,
				  .image_size = size,
				  .ranges = ranges,
				  .range_count = count };
}

static struct kioku_source *open_place(const struct place *place, const char *format,
				       const struct kioku_placement *placement, struct heard *heard)
{
	struct kioku_source_options options = { .size = sizeof(options),
						.placements = placement,
						.placement_count = placement ? 1 : 0,
						.diagnostic = hear,
						.diagnostic_user = heard };
	struct kioku_source *source;
	char where[128];

	*heard = (struct heard){ 0 };
	snprintf(where, sizeof(where), "%s%s", format, place->image);
	heard->status = kioku_source_open(where, &options, &source, &heard->error);
	return source;
}

/* 0x1000 'a', 0x2000 and half a page 'b', nothing of a third range, 0x1000 'c'. */
static void put_raw(struct image *image)
{
	put_fill(image, 'a', 0x1000);
	put_fill(image, 'b', 0x2800);
	put_fill(image, 'c', 0x1000);
}

static struct manifest_range raw_ranges[] = {
	{ 0x1000, 0x1000, "r1" },
	{ 0x100000, 0x2800, "r1o1r1" },
	{ 0x200000, 0x4000, "m4" },
	{ 0x100000000, 0x1000, "r1" },
};

static void places_raw_images(void)
{
	struct image image = { 0 };
	struct place place;
	struct heard heard;
	struct source_channel *channel;
	uint8_t states[4];

	make_place(&place);
	put_raw(&image);
	write_file(place.image, image.data, image.size);
	struct manifest manifest = make_manifest("raw", image.size, raw_ranges, 4);
	write_manifest(&place, &manifest);
	AUTO_SOURCE struct kioku_source *source = open_place(&place, "", NULL, &heard);
	remove_place(&place);
	CHECK(source && heard.gaps == 1 && heard.others == 0);
	CHECK_SAYS(heard.last, "16384 bytes of memory were lost when the image was made");
	CHECK(!kioku_source_is_ambiguous(source));
	CHECK_EQUAL(range_count(source), 6);
	CHECK_RANGE(source, 0, 0x1000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x100000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 2, 0x101000, 0x1000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 3, 0x102000, 0x800, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 4, 0x200000, 0x4000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 5, 0x100000000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_EQUAL(byte_at(source, 0x1fff), 'a');
	CHECK_EQUAL(byte_at(source, 0x102000), 'b');
	CHECK_EQUAL(byte_at(source, 0x101000), -1);
	CHECK_EQUAL(byte_at(source, 0x100000fff), 'c');

	CHECK_EQUAL(source_channel_open(source, &channel, NULL), KIOKU_OK);
	CHECK(source_channel_states(channel, 0x100000, 3, states));
	CHECK(states[0] == PAGE_READ && states[1] == PAGE_OFFLINE && states[2] == PAGE_READ);
	CHECK(source_channel_states(channel, 0x203000, 2, states));
	CHECK(states[0] == PAGE_MISSING && states[1] == PAGE_READ);
	source_channel_close(channel);
}

static void the_caller_knows_better(void)
{
	struct kioku_placement placement = { 0x5000, 0x1000, 0x1000 };
	struct image image = { 0 };
	struct place place;
	struct heard heard;

	make_place(&place);
	put_raw(&image);
	write_file(place.image, image.data, image.size);
	struct manifest manifest = make_manifest("raw", image.size, raw_ranges, 4);
	write_manifest(&place, &manifest);
	AUTO_SOURCE struct kioku_source *source = open_place(&place, "", &placement, &heard);
	remove_place(&place);
	CHECK(source && heard.gaps + heard.others == 0);
	CHECK_EQUAL(range_count(source), 1);
	CHECK_EQUAL(byte_at(source, 0x5000), 'b');
}

/* A prefix: the last range is not there, the one before in part. */
static void places_prefixes(void)
{
	struct image image = { 0 };
	struct place place;
	struct heard heard;

	make_place(&place);
	put_raw(&image);
	image.size = 0x2000;
	write_file(place.image, image.data, image.size);
	struct manifest manifest = make_manifest("raw", image.size, raw_ranges, 4);
	manifest.complete = false;
	write_manifest(&place, &manifest);
	AUTO_SOURCE struct kioku_source *source = open_place(&place, "", NULL, &heard);
	CHECK(source && heard.gaps == 2);
	CHECK_EQUAL(byte_at(source, 0x100fff), 'b');
	CHECK_EQUAL(byte_at(source, 0x102000), -1);
	CHECK_EQUAL(byte_at(source, 0x100000000), -1);
	CHECK_RANGE(source, 4, 0x100000000, 0x1000, KIOKU_RANGE_UNREADABLE);

	manifest.complete = true; /* then its ranges do not fit the file */
	write_manifest(&place, &manifest);
	AUTO_SOURCE struct kioku_source *other = open_place(&place, "", NULL, &heard);
	remove_place(&place);
	CHECK(other && heard.others == 1);
	CHECK_SAYS(heard.last, "is not used: its ranges do not fit the size of the image");
	CHECK_EQUAL(byte_at(other, 0), 'a');
}

/* A LiME record of 0x3000 bytes: 'a', zeros where the writer lost a page, 'c'; zeros left out. */
static void put_lime(struct image *image)
{
	put_bytes(image, "EMiL\1\0\0\0", 8);
	put(image, 8, 0x1000);
	put(image, 8, 0x3fff);
	put(image, 8, 0);
	put_fill(image, 'a', 0x1000);
	put_fill(image, 0, 0x1000);
	put_fill(image, 'c', 0x1000);
}

static struct manifest_range lime_ranges[] = {
	{ 0x1000, 0x4000, "r1f1r1z1" },
	{ 0x10000, 0x2000, "x2" },
};

static void lays_states_over(void)
{
	struct image image = { 0 };
	struct place place;
	struct heard heard;

	make_place(&place);
	put_lime(&image);
	write_file(place.image, image.data, image.size);
	struct manifest manifest = make_manifest("lime", image.size, lime_ranges, 2);
	write_manifest(&place, &manifest);
	AUTO_SOURCE struct kioku_source *source = open_place(&place, "", NULL, &heard);
	remove_place(&place);
	CHECK(source && heard.gaps == 1 && heard.others == 0);
	CHECK_RANGE(source, 0, 0x1000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 1, 0x2000, 0x1000, KIOKU_RANGE_UNREADABLE);
	CHECK_RANGE(source, 2, 0x3000, 0x1000, KIOKU_RANGE_PRESENT);
	CHECK_RANGE(source, 3, 0x4000, 0x1000, KIOKU_RANGE_ZERO);
	CHECK_RANGE(source, 4, 0x10000, 0x2000, KIOKU_RANGE_EXCLUDED);
	CHECK_EQUAL(byte_at(source, 0x2800), -1);
	CHECK_EQUAL(byte_at(source, 0x3800), 'c');
	CHECK_EQUAL(byte_at(source, 0x4800), 0);
}

static void refuses_what_does_not_fit(void)
{
	struct image image = { 0 };
	struct place place;
	struct heard heard;

	make_place(&place);
	put_lime(&image);
	write_file(place.image, image.data, image.size);
	struct manifest wrong[] = { make_manifest("lime", image.size + 1, lime_ranges, 2),
				    make_manifest("avml", image.size, lime_ranges, 2),
				    make_manifest("lime", image.size, lime_ranges, 2) };
	wrong[2].image_codec = "zstd";
	for (size_t i = 0; i < 3; i++) {
		write_manifest(&place, &wrong[i]);
		AUTO_SOURCE struct kioku_source *source = open_place(&place, "", NULL, &heard);
		CHECK(source && heard.gaps == 0 && heard.others == 1);
		CHECK_SAYS(heard.last, "is not used: it is about an image");
		CHECK_EQUAL(range_count(source), 1);
	}
	write_file(place.manifest, "{", 1);
	AUTO_SOURCE struct kioku_source *damaged = open_place(&place, "", NULL, &heard);
	CHECK(damaged && heard.others == 1);
	CHECK_EQUAL(range_count(damaged), 1);
	unlink(place.manifest);
	CHECK_EQUAL(mkfifo(place.manifest, 0600), 0);
	AUTO_SOURCE struct kioku_source *pipe_beside = open_place(&place, "", NULL, &heard);
	CHECK(pipe_beside && heard.others == 1);
	remove_place(&place);
}

TAP_MAIN(TEST(places_raw_images), TEST(the_caller_knows_better), TEST(places_prefixes),
	 TEST(lays_states_over), TEST(refuses_what_does_not_fit))
